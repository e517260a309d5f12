"""The state that the docks of one viewer share: frames, reference, current result, the pinned point. No widgets."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import psutil
from napari.components import ViewerModel
from napari.layers import Image
from psygnal import Signal

from hsimisr.cube import Cube, FrameStack
from hsimisr.errors import HsimisrError, StackError
from hsimisr.geometry import View
from hsimisr.physics.types import Estimate, Registration
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Cancelled, Event, Failed, Finished, HeldOut, Preview, Progress, Result
from hsimisr.pipeline.job import Job, Kind
from napari_hsimisr.alignment import Alignment, Motions, State, started_from
from napari_hsimisr.forecast import Forecast, forecast
from napari_hsimisr.history import History, Run
from napari_hsimisr.later import Later, at_once
from napari_hsimisr.layers import align_frames, cube_of, is_frame, starting_band, unalign_frames
from napari_hsimisr.overlays import Overlays
from napari_hsimisr.pins import Pins
from napari_hsimisr.view import current_view

PREVIEW = "this is a preview, no result: refine again before saving it"
CORRECTED_MEANWHILE = "the motions were changed meanwhile and stay: refine again to see what they give"
PROVISIONAL = (
    "this rests on a provisional scene model, estimated around one view: refine a region or everything before saving it"
)


class JobRunner(Protocol):
    """What the session needs of an engine."""

    def submit(self, job: Job) -> None: ...

    def cancel(self, number: int) -> None: ...


@dataclass(frozen=True)
class Status:
    """One line for the user; an error comes with a hint of what to do."""

    text: str
    hint: str = ""
    error: bool = False


@dataclass(frozen=True, eq=False)
class NamedSpectrum:
    """A spectrum ``(band,)`` at the bands of the frames, NaN where it is not known."""

    name: str
    values: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Request:
    """What was asked of the engine, as the layers stood at that moment."""

    number: int
    layers: tuple[Image, ...]
    cubes: tuple[Cube, ...]
    reference: int
    config: PipelineConfig
    kind: Kind
    view: View | None
    start: Motions | None
    """The motions from which to register, or None for a search from scratch."""
    corrections: int
    """How often a person had changed the motions by then."""
    motions_given: bool
    """Whether motions that a person or a file had set were used, or begun from."""

    @property
    def reference_layer(self) -> Image:
        return self.layers[self.reference]

    @property
    def what(self) -> str:
        """What is refined, for people."""
        return "whole frame" if self.view is None else f"{self.kind} {self.view}"


class Session:
    """Frames in, requests to the engine, results onto the canvas.

    Attributes:
        request: the request whose estimate is shown, or None.
        estimate: what is shown, perhaps still a preview.
        result: the finished result of `request`, or None.
        alignment: the motion of the frames, with its past.
        history: the runs that have finished.
        config: the knobs as they stand in the docks.
        pins: the points whose spectra are compared.
        entry: the entry of a spectral library that is selected, or None.
    """

    frames_changed = Signal()
    estimate_changed = Signal()
    motions_changed = Signal()
    aligned_changed = Signal(bool)
    busy_changed = Signal(bool)
    progressed = Signal(Progress)
    heldout_checked = Signal(HeldOut)
    status_changed = Signal(Status)
    pin_changed = Signal()
    entry_changed = Signal()
    knobs_given = Signal()

    def __init__(self, viewer: ViewerModel, engine: JobRunner, later: Later = at_once) -> None:
        self.viewer = viewer
        self.request: Request | None = None
        self.estimate: Estimate | None = None
        self.result: Result | None = None
        self.alignment = Alignment()
        self.history = History()
        self.config = PipelineConfig()
        self.entry: NamedSpectrum | None = None
        self.pins = Pins()
        self.pins.changed.connect(self.pin_changed.emit)
        self.overlays = Overlays(viewer, later)
        self._engine = engine
        self._later = later
        self._numbers = itertools.count(1)
        self._pending: dict[int, Request] = {}
        self._reference: Image | None = None
        self._aligned = True
        self._known_frames: list[Image] = []
        self._to_place: set[Image] = set()
        self.alignment.changed.connect(self._follow_alignment)
        layers = viewer.layers.events
        self._layer_events = (layers.inserted, layers.removed, layers.reordered)
        for event in self._layer_events:
            event.connect(self._look_for_frames)
        self._look_for_frames()

    def close(self) -> None:
        """Stop listening to the viewer."""
        for event in self._layer_events:
            event.disconnect(self._look_for_frames)

    @property
    def frames(self) -> list[Image]:
        """The layers that hold measured cubes, from the bottom of the layer list up."""
        return list(self._known_frames)

    @property
    def included(self) -> list[Image]:
        """The frames that take part."""
        return [layer for layer in self._known_frames if layer not in self.alignment.state.left_out]

    @property
    def reference(self) -> Image | None:
        """The frame whose pixel grid counts: the chosen one while it takes part, else the first."""
        included = self.included
        if self._reference in included:
            return self._reference
        return included[0] if included else None

    @property
    def motions(self) -> Motions:
        """The motion of every frame that has one, relative to `motion_reference`."""
        return self.alignment.state.motions

    @property
    def motion_reference(self) -> Image | None:
        """The frame that the motions are relative to, or None while there are none."""
        return self.alignment.state.reference

    @property
    def aligned(self) -> bool:
        """Whether the frames are shown at their registered places."""
        return self._aligned

    @property
    def pin(self) -> tuple[float, float] | None:
        """The point whose spectra are shown, in world coordinates ``(y, x)``, or None."""
        current = self.pins.current
        return None if current is None else current.world

    @property
    def busy(self) -> bool:
        """Whether any request has not ended yet."""
        return bool(self._pending)

    def include(self, layer: Image, included: bool) -> None:
        """Let a frame take part, or leave it out."""
        self.alignment.include(layer, included)

    def choose_reference(self, layer: Image) -> None:
        """Make a frame the reference."""
        self._reference = layer
        self.frames_changed.emit()

    def refine(
        self, config: PipelineConfig, *, whole: bool, from_here: bool = False, region: View | None = None
    ) -> None:
        """Ask for the current view, a region, or the whole frame; what the data cannot give goes to the status line.

        A view takes the place of the view asked for before, in the engine too; regions and whole frames all come to
        their end.

        Args:
            from_here: register anew from the motions as they stand, also where nobody has corrected them.
            region: pixels of the reference frame to refine in place of the view.
        """
        self.config = config
        kind: Kind = "cube" if whole else "view" if region is None else "region"
        try:
            request, fixed = self._make_request(config, kind, region, from_here)
        except HsimisrError as error:
            self.status_changed.emit(Status(str(error), error=True))
            return
        if kind == "view":
            self._pending = {number: older for number, older in self._pending.items() if older.kind != "view"}
        self._pending[request.number] = request
        self.busy_changed.emit(True)
        self.status_changed.emit(Status(f"refining the {request.what} …"))
        self._engine.submit(
            Job(
                number=request.number,
                frames=request.cubes,
                config=config,
                reference=request.reference,
                view=request.view,
                kind=kind,
                registration=fixed,
                start=_start_of(request),
            )
        )

    def forecast(self, config: PipelineConfig, region: View | None = None) -> Forecast | None:
        """What a region, or everything, will take with these settings; None without frames."""
        reference = cube_of(self.reference)
        if reference is None:
            return None
        view = View.whole(reference.shape_yx) if region is None else region
        free = int(psutil.virtual_memory().available)
        return forecast(self.history, config, len(self.included), reference.bands, view, free)

    def cancel(self) -> None:
        """Stop all that was asked for; the picture reached so far stays."""
        for number in self._pending:
            self._engine.cancel(number)

    def handle(self, event: Event) -> None:
        """Take an event of the engine, on the GUI thread; those of requests that were replaced are dropped."""
        request = self._pending.get(event.job)
        if request is None:
            return
        match event:
            case Progress():
                self.progressed.emit(event)
            case HeldOut():
                self.heldout_checked.emit(event)
            case Preview(estimate=estimate):
                self._show(request, estimate)
            case Finished(result=result):
                self._finish(request, result)
            case Cancelled(estimate=estimate):
                if estimate is not None:
                    self._show(request, estimate)
                text = "cancelled" if estimate is None else "cancelled; the picture reached so far is shown"
                self._end(request, Status(text))
            case Failed(error=error, hint=hint):
                self._end(request, Status(error, hint, error=True))

    def set_pin(self, world_yx: tuple[float, float]) -> None:
        """Pin a point, in world coordinates."""
        self.pins.move(world_yx)

    def set_entry(self, entry: NamedSpectrum | None) -> None:
        """Select an entry of a spectral library, or none."""
        if entry is not self.entry:
            self.entry = entry
            self.entry_changed.emit()

    def give_knobs(self, config: PipelineConfig) -> None:
        """Set the knobs to those of a file, or of another run."""
        self.config = config
        self.knobs_given.emit()

    def restore(self, run: Run) -> None:
        """Show a finished run again, and set the knobs to what it ran with; the motions stay as they are."""
        self._show_result(run.request, run.result)
        self.give_knobs(run.result.config)
        self.status_changed.emit(Status(f"{run.name} of {run.finished:%H:%M} is shown again, its settings too"))

    def show_aligned(self, aligned: bool) -> None:
        """Show the frames at their registered places, or pixel on pixel."""
        if aligned == self._aligned:
            return
        self._aligned = aligned
        self._apply_alignment(self._later)
        self.aligned_changed.emit(aligned)

    def _make_request(
        self, config: PipelineConfig, kind: Kind, region: View | None, from_here: bool
    ) -> tuple[Request, Registration | None]:
        """What to ask of the engine, and the motions to use as they are, if so."""
        layers, reference = self.included, self.reference
        if reference is None:
            raise StackError("no frames to refine: open two or more cubes of one scene, then tick them in the list")
        cubes = tuple(cube for layer in layers if (cube := cube_of(layer)) is not None)
        index = layers.index(reference)
        FrameStack(cubes, index)
        view = current_view(self.viewer, reference) if kind == "view" else region
        alignment, state = self.alignment, self.alignment.state
        fixed = alignment.to_use(layers, reference)
        start = None if fixed is not None else (state.motions or None) if from_here else state.next_start
        given = fixed is not None or (start is not None and alignment.corrections > 0)
        number, corrections = next(self._numbers), alignment.corrections
        request = Request(number, tuple(layers), cubes, index, config, kind, view, start, corrections, given)
        return request, fixed

    def _show(self, request: Request, estimate: Estimate) -> None:
        self.request, self.estimate, self.result = request, estimate, None
        self.overlays.show(estimate, request.reference_layer, request.config.dump(), not_for_export=PREVIEW)
        self.estimate_changed.emit()

    def _finish(self, request: Request, result: Result) -> None:
        outdated = self.alignment.corrections != request.corrections
        if not outdated:  # first: it may move the reference, on which the result is to lie
            self.alignment.take_run(request.layers, result.scene, request.start)
        self.history.add(request, result)
        summary = _summary(request, result)
        self._show_result(request, result)
        self._end(request, Status(f"{summary}; {CORRECTED_MEANWHILE}" if outdated else summary))

    def _show_result(self, request: Request, result: Result) -> None:
        self.request, self.estimate, self.result = request, result.estimate, result
        self.overlays.show(
            result.estimate, request.reference_layer, result.config.dump(), not_for_export=_flaw_of(result)
        )
        for step in (self.estimate_changed.emit, self._show_uncertainty):
            self._later(step)

    def _show_uncertainty(self) -> None:
        if self.request is not None and self.result is not None:
            reference, flaw = self.request.reference_layer, _flaw_of(self.result)
            self.overlays.show_uncertainty(self.result.estimate, reference, not_for_export=flaw)

    def _end(self, request: Request, status: Status) -> None:
        del self._pending[request.number]
        self.busy_changed.emit(self.busy)
        self.status_changed.emit(status)

    def _follow_alignment(self, before: State, now: State) -> None:
        unalign_frames(before.motions.keys() - now.motions.keys())
        by_hand = now.found is before.found
        self._apply_alignment(at_once if by_hand else self._later)
        if before.left_out != now.left_out:
            self.frames_changed.emit()
        self.motions_changed.emit()

    def _apply_alignment(self, later: Later) -> None:
        """Place what is seen now and hidden frames `later`: napari computes the whole scene anew for each of them."""
        for layer in self.motions:
            if layer.visible or layer is self.motion_reference:
                self._place(layer)
            elif layer not in self._to_place:
                self._to_place.add(layer)
                later(partial(self._place, layer))
        self.overlays.follow()

    def _place(self, layer: Image) -> None:
        self._to_place.discard(layer)
        motion, reference = self.motions.get(layer), self.motion_reference
        if self._aligned and motion is not None and reference is not None:
            align_frames({layer: motion}, reference)
        else:
            unalign_frames([layer])

    def _show_another(self) -> None:
        """Show the reference where the frame that was seen has gone.

        A finer picture would lie on nothing, and napari 0.9.2 has crashed in drawing it then, without a graphics card.
        """
        if self.reference is not None:
            self.reference.visible = True

    def _look_for_frames(self) -> None:
        frames = [layer for layer in self.viewer.layers if is_frame(layer)]
        if frames == self._known_frames:
            return
        if frames and not self._known_frames:
            cube = cube_of(frames[0])
            assert cube is not None
            self.viewer.dims.set_point(0, starting_band(cube) * frames[0].scale[0])
        removed = [layer for layer in self._known_frames if layer not in frames]
        self._known_frames = frames
        if any(layer.visible for layer in removed) and not any(layer.visible for layer in frames):
            self._show_another()
        self.frames_changed.emit()


def _start_of(request: Request) -> Registration | None:
    return None if request.start is None else started_from(request.start, request.layers, request.reference_layer)


def _flaw_of(result: Result) -> str:
    return PROVISIONAL if result.scene.provisional else ""


def _summary(request: Request, result: Result) -> str:
    grid, frames = result.estimate.grid, len(result.scene.registration.included)
    text = f"{request.what} refined ×{grid.scale} from {frames} of {len(request.layers)} frames"
    text += f" by {result.estimate.method}"
    if result.estimate.learned is not None:
        text += f", followed to {result.estimate.learned.mean():.0%}"
    seconds = sum(result.diagnostics["timings"].values())
    return f"{text}, rank {result.estimate.subspace.rank}, in {seconds:.1f} s"

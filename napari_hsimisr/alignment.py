"""What is believed about the motion of the frames, corrected by hand, by a run or by a file, all of it undoable.

No Qt, no viewer: the session shows the state, and asks it what a job is to start from or to use as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from psygnal import Signal

from hsimisr.errors import StackError
from hsimisr.geometry import translation
from hsimisr.physics.types import FrameMotion, Registration, SceneModel

Motions = Mapping[Image, FrameMotion]
MEMORY = 100
"""How many steps can be undone."""
SAME = 1e-9
"""LR pixels by which two motions may differ and still be one."""
AS_MEASURED = FrameMotion(np.eye(3))
BY_HAND = "by hand"


@dataclass(frozen=True, eq=False)
class State:
    """One moment of the alignment.

    Attributes:
        motions: the motion of every frame that has one, relative to `reference`.
        found: the motions that the last run or file told; a reset goes back to them.
        start: the motions from which that run began to register, or None for a search from scratch.
        fixed: whether runs use the motions as they are instead of registering.
        left_out: frames that take no part.
        method: how the motions came about, for the file.
        psf, noise: the PSF that they were found with and the noise ``(B,)``, data units; None where no run told.
        psf_stderr: standard errors of the PSF's two widths and its angle, where a run found it from the frames.
        noise_stderr: those of the noise ``(B,)``, data units, where a run found it from the frames.
        provisional: whether they were found around one view only.
        origin: how the motions came about, for people.
    """

    motions: Motions = field(default_factory=dict)
    reference: Image | None = None
    found: Motions = field(default_factory=dict)
    start: Motions | None = None
    fixed: bool = False
    left_out: frozenset[Image] = frozenset()
    method: str = "none"
    psf: str | None = None
    noise: npt.NDArray[np.float64] | None = None
    psf_stderr: tuple[float, float, float] | None = None
    noise_stderr: npt.NDArray[np.float64] | None = None
    provisional: bool = False
    origin: str = ""

    def by_hand(self, layer: Image) -> bool:
        """Whether a person moved the frame since the last run or file."""
        motion = self.motions.get(layer)
        return motion is not None and not _same(motion, self.found.get(layer, AS_MEASURED))

    @property
    def corrected(self) -> bool:
        """Whether a person changed any motion since the last run or file."""
        return not _all_same(self.motions, self.found)

    @property
    def next_start(self) -> Motions | None:
        """Where the next run begins: where a person has put the frames, else like the last one, to the same result."""
        return (self.motions or None) if self.corrected else self.start


class Alignment:
    """The state with its past and future.

    Attributes:
        corrections: how often a person has changed the motions; a run that began before knows less than they do.
    """

    changed = Signal(State, State)  # before, now

    def __init__(self) -> None:
        self.state = State()
        self.corrections = 0
        self._past: list[State] = []
        self._future: list[State] = []

    @property
    def can_undo(self) -> bool:
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        return bool(self._future)

    def nudge(self, layer: Image, move_yx: tuple[float, float], reference: Image, *, same_step: bool = False) -> None:
        """Move the picture of a frame over the reference, by reference pixels; runs then begin from there.

        Args:
            reference: what the motions are relative to, where there are none yet.
            same_step: go on with the step before, as in a drag: one undo takes both back.

        Raises:
            StackError: the frame is the reference.
        """
        state = self.state
        reference = state.reference or reference
        if layer is reference:
            raise StackError(f"{layer.name} is the reference, which all motion is relative to; choose another frame")
        old = state.motions.get(layer, AS_MEASURED)
        if old.excluded:  # such a frame is shown as it was measured
            old = replace(old, matrix=np.eye(3), field=None, excluded=False, reason="", weight=1.0)
        matrix = old.matrix @ translation(-np.asarray(move_yx, float))
        motions = {**state.motions, layer: replace(old, matrix=matrix, chi2=float("nan"))}
        self._correct(replace(state, motions=motions, reference=reference), same_step=same_step)

    def include(self, layer: Image, included: bool) -> None:
        """Let a frame take part, or leave it out; one that a run has excluded gets another chance from its motion."""
        state, motion = self.state, self.state.motions.get(layer)
        left_out = state.left_out - {layer} if included else state.left_out | {layer}
        if included and motion is not None and motion.excluded:
            motions = {**state.motions, layer: replace(motion, excluded=False, reason="", weight=1.0)}
            self._correct(replace(state, motions=motions, left_out=left_out))
        else:
            self._push(replace(state, left_out=left_out))

    def reset(self, layers: Iterable[Image]) -> None:
        """Give frames the motions of the last run or file back."""
        state, layers = self.state, set(layers)
        motions = {layer: motion for layer, motion in state.motions.items() if layer not in layers}
        motions |= {layer: motion for layer, motion in state.found.items() if layer in layers}
        self._correct(replace(state, motions=motions))

    def start_over(self) -> None:
        """Forget every motion; the next run searches from scratch."""
        self._correct(State(left_out=self.state.left_out))

    def fix(self, fixed: bool) -> None:
        """Let runs use the motions as they are, or register."""
        if fixed != self.state.fixed:
            self._correct(replace(self.state, fixed=fixed))

    def undo(self) -> None:
        """Go back one step, if there is one."""
        if self._past:
            self._future.append(self.state)
            self._go_to(self._past.pop())

    def redo(self) -> None:
        """Take the last undo back, if there is one."""
        if self._future:
            self._past.append(self.state)
            self._go_to(self._future.pop())

    def take_file(
        self,
        layers: Sequence[Image],
        registration: Registration,
        psf: str,
        noise: npt.NDArray[np.float64],
        name: str,
    ) -> None:
        """Use the motions of a file as they are, for the frames that they belong to."""
        motions = dict(zip(layers, registration.frames, strict=True))
        reference = layers[registration.reference]
        found = State(motions, reference, motions, start=motions, fixed=True, left_out=self.state.left_out)
        self._correct(replace(found, method=registration.method, psf=psf, noise=noise, origin=f"from {name}"))

    def take_run(self, layers: Sequence[Image], scene: SceneModel, start: Motions | None) -> None:
        """Take what a run found that began from `start`; one that changes nothing leaves nothing to undo.

        A run that was to use the motions as they are only adds what it learnt about them.
        """
        state, registration = self.state, scene.registration
        told = dict(zip(layers, registration.frames, strict=True))
        if state.fixed:
            motions = {**state.motions, **told}
            learnt = replace(state, psf=scene.psf, noise=scene.noise)
            learnt = replace(learnt, psf_stderr=scene.psf_stderr, noise_stderr=scene.noise_stderr)
            self._replace(replace(learnt, motions=motions))
            return
        origin = f"registered ({registration.method.replace('_', ' ')})"
        now = State(
            motions=told,
            reference=layers[registration.reference],
            found=told,
            start=start,
            left_out=state.left_out,
            method=registration.method,
            psf=scene.psf,
            noise=scene.noise,
            psf_stderr=scene.psf_stderr,
            noise_stderr=scene.noise_stderr,
            provisional=scene.provisional,
            origin=origin if start is None else f"{origin} from where the frames stood",
        )
        unchanged = now.reference is state.reference and _all_same(told, state.motions)
        (self._replace if unchanged else self._push)(now)

    def to_use(self, layers: Sequence[Image], reference: Image) -> Registration | None:
        """The motions of these frames if they are to be used as they are, else None.

        Raises:
            StackError: they are relative to another reference, or not known for every frame.
        """
        state = self.state
        if not state.fixed:
            return None
        if state.reference is not None and state.reference is not reference:
            raise StackError(
                f"the motions to use as they are belong to the reference {state.reference.name}, but it is "
                f"{reference.name} now; choose the former again, or untick “Use as it is”"
            )
        return self.registration(layers, reference)

    def registration(self, layers: Sequence[Image], reference: Image) -> Registration:
        """The motions of these frames as they stand; raises StackError where one has none."""
        motions = {reference: AS_MEASURED, **self.state.motions}
        unknown = [layer.name for layer in layers if layer not in motions]
        if unknown:
            raise StackError(f"{_listed(unknown)} has no motion yet; press Register first, or leave it out")
        frames = tuple(motions[layer] for layer in layers)
        return Registration(frames, layers.index(reference), BY_HAND if self.state.corrected else self.state.method)

    def _correct(self, state: State, *, same_step: bool = False) -> None:
        self.corrections += 1
        (self._replace if same_step else self._push)(state)

    def _push(self, state: State) -> None:
        self._past = [*self._past, self.state][-MEMORY:]
        self._future = []
        self._replace(state)

    def _go_to(self, state: State) -> None:
        self.corrections += 1
        self._replace(state)

    def _replace(self, state: State) -> None:
        before, self.state = self.state, state
        self.changed.emit(before, state)


def started_from(motions: Motions, layers: Sequence[Image], reference: Image) -> Registration:
    """Where a registration of these frames begins: their motions, or as measured, relative to `reference`."""
    known = [motions.get(layer, AS_MEASURED) for layer in layers]
    origin = motions.get(reference, AS_MEASURED).matrix
    if not np.allclose(origin, np.eye(3), rtol=0, atol=SAME):  # they were relative to another reference
        back = np.linalg.inv(origin)
        known = [FrameMotion(motion.matrix @ back, model=motion.model) for motion in known]
    return Registration(tuple(known), layers.index(reference), BY_HAND)


def _same(a: FrameMotion, b: FrameMotion) -> bool:
    if a.excluded != b.excluded or (a.field is None) != (b.field is None):
        return False
    same_field = a.field is b.field or np.array_equal(a.field, b.field)
    return same_field and np.allclose(a.matrix, b.matrix, rtol=0, atol=SAME)


def _all_same(a: Motions, b: Motions) -> bool:
    return a.keys() == b.keys() and all(_same(motion, b[layer]) for layer, motion in a.items())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")

"""Getting results out: what can be saved now and how, taken from the session; nothing here touches a widget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hsimisr.cube import CubeSource, FrameStack
from hsimisr.errors import StackError, WriteError
from hsimisr.io.whole_file import write_bytes, write_text
from hsimisr.pipeline.command import as_line, refine_command
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.export import determined_map, product_of
from hsimisr.pipeline.job import Job
from hsimisr.pipeline.save import Contents, Saved, Watch, save_result
from hsimisr.report.page import write_report
from hsimisr.report.png import Pixels, encode
from napari_hsimisr.session import PREVIEW, PROVISIONAL, Request, Session

NOTHING = (
    "nothing is refined yet: open the frames of one scene, then press “Refine region” or “Refine everything” in the "
    "Refine dock"
)
REGISTRATION = Path("registration.json")
BY_HAND = (
    "the run used motions that were set by hand or by a file: save them in the Alignment dock and put that file's name "
    f"in the place of {REGISTRATION}"
)
ROUGHER = "the command estimates the scene from more than this view, so that its cube will be better than the picture"


@dataclass(frozen=True, eq=False)
class Saving:
    """What to write: taken from the session on the GUI thread, carried out on another by `write`."""

    result: Result
    stack: FrameStack
    path: Path
    contents: Contents

    def write(self, watch: Watch) -> Saved:
        """Write cube, error bars and sidecar; raises WriteError."""
        return save_result(self.path, self.result, self.stack, Job.seed, self.contents, watch=watch)


@dataclass(frozen=True, eq=False)
class Reporting:
    """What to report on: taken from the session on the GUI thread, carried out on another by `write`."""

    result: Result
    stack: FrameStack
    path: Path
    registration: Path | None

    def write(self, _: Watch) -> Saved:
        """Write the page; raises WriteError, or what reading the frames raises."""
        write_report(self.path, self.result, self.stack, Job.seed, registration=self.registration)
        return Saved([self.path], {})


@dataclass(frozen=True, eq=False)
class Picturing:
    """A picture to write as PNG, on another thread."""

    pixels: Pixels
    path: Path

    def write(self, _: Watch) -> Saved:
        """Write it; raises WriteError."""
        if self.path.suffix.lower() != ".png":
            raise WriteError(f"{self.path}: pictures are written as PNG; give a name that ends in .png")
        write_bytes(self.path, encode(self.pixels))
        return Saved([self.path], {})


@dataclass(frozen=True)
class Command:
    """A command line, and what has to be done or known before it makes the same cube; empty where nothing."""

    line: str
    note: str = ""


def why_not(session: Session) -> str:
    """The reason why what is shown cannot be saved, with the way out; empty where it can."""
    if session.estimate is None:
        return NOTHING
    if session.result is None:
        return PREVIEW
    return PROVISIONAL if session.result.scene.provisional else ""


def plan_saving(session: Session, path: Path, contents: Contents) -> Saving:
    """Take the shown result; raises WriteError where there is none to save."""
    request, result = _finished(session, path)
    return Saving(result, FrameStack(request.cubes, request.reference), path, contents)


def plan_report(session: Session, path: Path) -> Reporting:
    """Take the shown result; raises WriteError where there is none to report on."""
    request, result = _finished(session, path)
    registration = REGISTRATION if request.motions_given else None
    return Reporting(result, FrameStack(request.cubes, request.reference), path, registration)


def shown_settings(session: Session) -> tuple[PipelineConfig, str]:
    """The knobs of the run that is shown, else those that stand in the docks; and which they are."""
    if session.request is not None:
        return session.request.config, "the settings of the run that is shown"
    return session.config, "the settings as they stand: nothing is refined yet"


def saving_settings(session: Session, path: Path) -> Callable[[Watch], Saved]:
    """Write the shown settings as YAML, on another thread."""
    text = shown_settings(session)[0].to_yaml()

    def write(_: Watch) -> Saved:
        write_text(path, text)
        return Saved([path], {})

    return write


def command(session: Session, out: Path) -> Command:
    """The command line that makes the shown result again.

    Raises:
        WriteError: nothing is shown.
        StackError: a frame comes from no file.
    """
    request = session.request
    if request is None:
        raise WriteError(NOTHING)
    sources = _sources(request)
    by_hand = request.motions_given
    view = None if request.view is None else request.view.clipped(request.cubes[request.reference].shape_yx)
    words = refine_command(
        sources,
        request.config,
        out,
        reference=request.reference,
        view=view,
        registration=REGISTRATION if by_hand else None,
        seed=Job.seed,
    )
    rough = session.result is not None and session.result.scene.provisional
    return Command(as_line(words), BY_HAND if by_hand else ROUGHER if rough else "")


def describe(session: Session) -> str:
    """What would be saved, in a line or two."""
    request, result = session.request, session.result
    if request is None or result is None:
        return ""
    grid, bands = result.estimate.grid, result.estimate.subspace.bands
    bad = int(result.estimate.subspace.bad.sum())
    height, width = grid.shape
    what = "whole frame" if request.view is None else f"{request.kind} {grid.view}"
    text = f"The {product_of(result.config)} cube by {result.estimate.method}, {what} ×{grid.scale}: "
    text += f"{bands} bands{f' ({bad} bad)' if bad else ''}, {height} × {width} pixels, "
    return text + f"{4e-6 * bands * height * width:.3g} MB."


def has_bars(session: Session) -> bool:
    """Whether the shown result has error bars."""
    return session.result is not None and session.result.estimate.variance is not None


def has_map(session: Session) -> bool:
    """Whether the shown result knows what is measured and what inferred."""
    return session.result is not None and determined_map(session.result) is not None


def suggested(session: Session, suffix: str) -> Path:
    """A file name beside the reference's file, or at home."""
    request, folder, name, what = session.request, Path.home(), "cube", "refined"
    cube = None if request is None else request.cubes[request.reference]
    if cube is not None:
        name = Path(cube.name).stem.replace("#", "-")
        folder = folder if cube.source is None else Path(cube.source.path).parent
    if session.result is not None:
        what = f"{product_of(session.result.config)} x{session.result.estimate.grid.scale}".replace(" ", "-")
    return folder / f"{name}-{what}{suffix}"


def _finished(session: Session, path: Path) -> tuple[Request, Result]:
    if reason := why_not(session):
        raise WriteError(f"{path}: {reason}")
    assert session.request is not None
    assert session.result is not None
    return session.request, session.result


def _sources(request: Request) -> list[CubeSource]:
    homeless = [cube.name for cube in request.cubes if cube.source is None]
    if homeless:
        raise StackError(
            f"a command names files, and {', '.join(homeless)} comes from none: save these frames, open the files, and "
            "refine those"
        )
    return [cube.source for cube in request.cubes if cube.source is not None]

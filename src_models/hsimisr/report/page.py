"""The report of a run: one HTML page that needs nothing else, with pictures inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from hsimisr.cube import CubeSource, FrameStack
from hsimisr.geometry import View
from hsimisr.io.whole_file import write_text
from hsimisr.pipeline.command import as_line, refine_command
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.provenance import provenance_of
from hsimisr.pipeline.tiled_result import TiledResult
from hsimisr.report.agreement import agreements
from hsimisr.report.facts import Pair, Row, figure_rows, frame_rows, run_rows, sentences
from hsimisr.report.part import middle_of
from hsimisr.report.path import check_report_path
from hsimisr.report.pictures import Picture, pictures_of
from hsimisr.report.png import as_url
from hsimisr.report.verdicts import verdict_rows

FRAME_HEADS = ("frame", "down (px)", "right (px)", "gain", "misfit", "angle / noise", "part")
MOTIONS = "The motions are those in {}, used as they are: the command needs that file."
STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin: 1.2rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .15rem .6rem .15rem 0; }
tr { border-bottom: 1px solid #ddd; } th { font-weight: 600; } table.pairs th { width: 14rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { width: 100%; image-rendering: pixelated; } figcaption { font-size: .85rem; }
code { font-size: .8rem; overflow-wrap: anywhere; } .words li { margin: .2rem 0; }
""".strip()


def write_report(
    path: Path,
    result: Result | TiledResult,
    stack: FrameStack,
    seed: int = 0,
    provenance: dict[str, Any] | None = None,
    registration: Path | None = None,
) -> None:
    """Write the report of a result; reads the frames once more, where its pictures lie.

    Args:
        stack: the frames that the result was made from, as they were given to the run.
        provenance: as it went into the files, with scores against a truth, perhaps; made anew where None.
        registration: the file with the motions that were used as they are, if any.

    Raises:
        WriteError: the file cannot be written.
    """
    check_report_path(path)
    made = datetime.now().astimezone()
    told = provenance or provenance_of(result, stack, seed)
    write_text(path, page(result, stack, told, made, registration))


def page(
    result: Result | TiledResult,
    stack: FrameStack,
    provenance: dict[str, Any],
    made: datetime,
    registration: Path | None,
) -> str:
    """The page as text."""
    part = middle_of(result)
    found = agreements(part, result.scene, stack)
    learned = None if part.learned is None else float(np.nanmean(part.learned))
    verdicts = verdict_rows(result)
    name = escape(stack.reference_frame.name)
    files = [(cube.name, "in memory" if cube.source is None else str(cube.source)) for cube in stack.frames]
    sections = [
        f"<h1>{name} refined ×{result.scene.scale}</h1>",
        _section("What was measured, what inferred", _list(sentences(result, provenance, found, learned))),
        _section(
            f"Pictures of {part.grid.view}, LR pixels",
            _gallery(pictures_of(part, stack.reference_frame, provenance["product"])),
        ),
        _section("Figures", _pairs(figure_rows(result, part, provenance, found))),
        _section("What frames that were kept back say of the learned stages", _pairs(verdicts)) if verdicts else "",
        _section("Frames", _table(FRAME_HEADS, frame_rows(stack, result.scene.registration.frames, found))),
        _section("The run", _pairs(run_rows(result, provenance, made))),
        _section("Files", _pairs(files)),
        _section("To make it again", _command(result, stack, provenance, registration)),
    ]
    head = f'<meta charset="utf-8"><title>{name} refined</title><style>{STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{"".join(sections)}</body></html>\n'


def _command(
    result: Result | TiledResult, stack: FrameStack, provenance: dict[str, Any], registration: Path | None
) -> str:
    sources: list[CubeSource] = [cube.source for cube in stack.frames if cube.source is not None]
    if len(sources) < len(stack.frames):
        return "<p>Some frames were in memory only: there is no command for them.</p>\n"
    view: View | None = View.parse(provenance["view"])
    if view == View.whole(stack.reference_frame.shape_yx):
        view = None
    words = refine_command(
        sources,
        result.config,
        Path("refined.nc"),
        reference=stack.reference,
        view=view,
        registration=registration,
        seed=provenance["seed"],
    )
    note = "" if registration is None else f"<p>{escape(MOTIONS.format(registration))}</p>\n"
    return f"<p><code>{escape(as_line(words))}</code></p>\n{note}"


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}"


def _list(lines: Iterable[str]) -> str:
    return '<ul class="words">\n' + "".join(f"<li>{escape(line)}</li>\n" for line in lines) + "</ul>\n"


def _gallery(pictures: Iterable[Picture]) -> str:
    return '<div class="pictures">\n' + "".join(map(_figure, pictures)) + "</div>\n"


def _figure(picture: Picture) -> str:
    title, caption = escape(picture.title), escape(picture.caption)
    image = f'<img src="{as_url(picture.pixels)}" alt="{title}: {caption}">'
    return f"<figure>{image}<figcaption><b>{title}</b><br>{caption}</figcaption></figure>\n"


def _pairs(rows: Iterable[Pair]) -> str:
    lines = (f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>\n" for name, text in rows)
    return '<table class="pairs">\n' + "".join(lines) + "</table>\n"


def _table(heads: Sequence[str], rows: Iterable[Row]) -> str:
    lines = [_line("th", heads), *(_line("td", row) for row in rows)]
    return "<table>\n" + "".join(lines) + "</table>\n"


def _line(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>\n"

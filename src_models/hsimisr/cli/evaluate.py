"""`hsimisr evaluate`: figures of merit of a refined cube against a truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hsimisr import metrics
from hsimisr.cube import Cube
from hsimisr.errors import ReadError, StackError
from hsimisr.geometry import Grid, View
from hsimisr.io.open import open_cube
from hsimisr.io.plain_json import to_json

_UNITS = {"psnr": "dB", "sam": "degrees", "rmse": "data units"}


def evaluate(
    estimate: Annotated[str, typer.Argument(help="the refined cube")],
    truth: Annotated[str, typer.Option(help="the true cube: the same view, or the whole scene, at the refined scale")],
    scale: Annotated[int | None, typer.Option(min=1, help="default: as in the file beside ESTIMATE, else 2")] = None,
    view: Annotated[str | None, typer.Option(help="y0:y1,x0:x1 in LR pixels; default: as in that file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Compare a refined cube with a truth: PSNR, SSIM, SAM, SID and ERGAS."""
    refined = open_cube(estimate)
    sidecar = read_sidecar(estimate)
    scale = scale or sidecar.get("scale") or 2
    text = view or sidecar.get("view")
    cut = cut_truth(open_cube(truth), refined.name, refined.shape_yx, scale, None if text is None else View.parse(text))
    scores = metrics.evaluate(cut.read(), refined.read(), scale)
    values = {**scores.summary(), "bands": scores.bands, "border": scores.border, "scale": scale}
    if as_json:
        print(to_json(values))
        return
    table = Table(title=f"{refined.name} against {cut.name}", title_justify="left", show_header=False)
    for name, value in scores.summary().items():
        table.add_row(name.upper(), f"{value:.4f} {_UNITS.get(name, '')}".rstrip())
    table.add_row("bands", f"{scores.bands} of {refined.bands}")
    table.add_row("border left out", f"{scores.border} HR pixels")
    Console().print(table)


def read_sidecar(estimate: str) -> dict[str, Any]:
    """Scale and view of a refined cube from the JSON beside it; empty where there is none."""
    path = Path(f"{estimate}.json")
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {"scale": content["config"]["scale"], "view": content.get("view")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(f"{path}: holds no settings of a run ({error!r}); give --scale and move it away") from error


def cut_truth(truth: Cube, name: str, shape_yx: tuple[int, int], scale: int, view: View | None) -> Cube:
    """The part of a truth at the refined scale that an estimate covers.

    Args:
        truth: as large as the estimate, or the whole scene.
        name: of the estimate, for the message.
        shape_yx: of the estimate, HR pixels.
        view: what the estimate shows of the scene, LR pixels.

    Raises:
        StackError: the truth is another size than the estimate, and no view tells which part of it counts.
    """
    if truth.shape_yx == shape_yx:
        return truth
    if view is not None and Grid.of_view(view, scale).shape == shape_yx:
        y1, x1 = view.y1 * scale, view.x1 * scale
        if truth.shape_yx[0] >= y1 and truth.shape_yx[1] >= x1:
            return truth.crop(View(view.y0 * scale, y1, view.x0 * scale, x1))
    raise StackError(
        f"{truth.name} has {_size(truth.shape_yx)} pixels and {name} {_size(shape_yx)}"
        f"{'' if view is None else f' (view {view}, scale {scale})'}: give a truth of the same size, "
        "or the --view of the whole scene that was refined"
    )


def _size(shape_yx: tuple[int, int]) -> str:
    return f"{shape_yx[0]} x {shape_yx[1]}"

"""The plugin at work on its sample frames: ``python -m napari_hsimisr.demo [--screenshot-dir DIR] [--headless]``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from hsimisr.metrics import evaluate
from hsimisr.pipeline.events import Result
from napari_hsimisr.layers import LayerData
from napari_hsimisr.overlays import UNCERTAINTY
from napari_hsimisr.sample import sample_frames, sample_truth
from napari_hsimisr.view import world_at
from napari_hsimisr.workbench import Workbench

SIZE = (1600, 1000)
PIXEL = (26.0, 14.0)  # of the reference frame: a small roof, mixed with its surroundings in every frame
PATIENCE_S = 120


class Demo:
    """A viewer with frames and the docks, and what a person would do with them."""

    def __init__(self, frames: list[LayerData]) -> None:
        self.viewer = napari.Viewer()
        self.viewer.window.resize(*SIZE)
        for data, attributes, _ in frames:
            self.viewer.add_image(data, **attributes)
        bench = Workbench(self.viewer)
        self.frames, self.alignment, self.refine = bench.frames, bench.alignment, bench.refine
        self.quality, self.spectra = bench.quality, bench.spectra
        wait(0.3)  # for the docks to find their places
        self.viewer.reset_view()
        self.first_picture_s = float("nan")

    def refine_everything(self) -> Result:
        """Press the button and wait for the result."""
        session, start = self.refine.session, time.perf_counter()

        def note_first_picture() -> None:
            self.first_picture_s = time.perf_counter() - start
            session.estimate_changed.disconnect(note_first_picture)

        session.estimate_changed.connect(note_first_picture)
        self.refine.run_whole_button.click()
        wait_until(lambda: not session.busy)
        if session.result is None:
            raise SystemExit(f"the sample frames could not be refined: {self.refine.status.text()}")
        wait_until(lambda: session.overlays.find(UNCERTAINTY) is not None)
        return session.result

    def pick(self, pixel: tuple[float, float]) -> None:
        """Show the spectra of a pixel of the reference frame."""
        self.pick_without_waiting(pixel)
        wait_until(lambda: self.spectra.readout is not None and self.spectra.readout.refined is not None)

    def pick_without_waiting(self, pixel: tuple[float, float]) -> None:
        """Ask for the spectra of a pixel of the reference frame."""
        session = self.refine.session
        assert session.reference is not None
        session.set_pin(world_at(session.reference, pixel))


def figures(result: Result) -> dict[str, Any]:
    """Scores of the refined cube and of bicubic interpolation against the truth of the sample frames."""
    truth, grid = sample_truth().read(), result.estimate.grid
    scores = {
        name: evaluate(truth, estimate.bands(), grid.scale).summary()
        for name, estimate in (("refined", result.estimate), ("bicubic", result.baseline))
    }
    return {"scale": grid.scale, "psf": result.scene.psf, "frames": len(result.scene.registration.frames)} | scores


def wait(seconds: float) -> None:
    """Let the window work for a while."""
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the window work until something holds; raises SystemExit when it takes too long."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"the demo did not come to an end within {PATIENCE_S} s")
        wait(0.02)


def main() -> None:
    """Run the demo; without a person to look at it, save what there is to see."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshot-dir", type=Path, help="save screenshot.png and figures.json there, then end")
    parser.add_argument("--headless", action="store_true", help="end when done, print the figures")
    options = parser.parse_args()

    start = time.perf_counter()
    demo = Demo(sample_frames())
    opened = time.perf_counter() - start
    result = demo.refine_everything()
    demo.pick(PIXEL)
    if options.screenshot_dir is None and not options.headless:
        napari.run()
        return
    table = figures(result) | {
        "seconds": {"window": opened, "first picture": demo.first_picture_s, "engine": result.diagnostics}
    }
    text = json.dumps(table, indent=2, default=str)
    print(text)
    if options.screenshot_dir is not None:
        wait(0.5)  # for the last repaint
        options.screenshot_dir.mkdir(parents=True, exist_ok=True)
        (options.screenshot_dir / "figures.json").write_text(text + "\n")
        demo.viewer.screenshot(str(options.screenshot_dir / "screenshot.png"), canvas_only=False, flash=False)
    demo.viewer.close()
    QApplication.processEvents()


if __name__ == "__main__":
    main()

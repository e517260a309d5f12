"""The picture in the README is the plugin at work on its sample frames."""

from __future__ import annotations

import os
from pathlib import Path

import imageio.v3 as iio

from napari_hsimisr.demo import PIXEL, SIZE, Demo, figures, wait

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_picture(demo: Demo, picture, tmp_path: Path) -> None:
    """Refines the sample, checks that it is worth showing, and takes the picture.

    It goes to docs/images/screenshot.png only when HSIMISR_UPDATE_SCREENSHOT=1 is set.
    """
    result = demo.refine_everything()
    demo.pick(PIXEL)
    wait(0.5)
    image = picture(demo)

    assert image.shape[:2] == SIZE[::-1]
    scores = figures(result)
    assert scores["refined"]["psnr"] > scores["bicubic"]["psnr"] + 3
    update = os.environ.get("HSIMISR_UPDATE_SCREENSHOT") == "1"
    path = ROOT / "docs" / "images" / "screenshot.png" if update else tmp_path / "screenshot.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, image[..., :3])
    assert path.stat().st_size > 20_000

"""The report tells what the result says, nothing else, and needs no other file."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from hsimisr.cube import FrameStack
from hsimisr.errors import WriteError
from hsimisr.geometry import View
from hsimisr.physics.types import Registration
from hsimisr.pipeline.config import PipelineConfig
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.run import quiet_context
from hsimisr.pipeline.tile_store import open_store
from hsimisr.pipeline.tiled import refine_tiled
from hsimisr.report.agreement import agreements
from hsimisr.report.facts import sentences
from hsimisr.report.page import write_report
from hsimisr.report.part import LARGEST, middle_of
from hsimisr.report.pictures import bands_to_show, pictures_of, ramp

FACTS = {"product": "refined", "determined_share": 0.4}


class Page(HTMLParser):
    """Text, links and pictures of a page; every tag that opens has to close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.sources, self.open = "", [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def report(tmp_path: Path, result: Result, stack: FrameStack) -> Page:
    write_report(tmp_path / "report.html", result, stack)
    assert [part.name for part in tmp_path.iterdir()] == ["report.html"]
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_a_report_stands_alone_and_says_what_was_found(tmp_path: Path, result: Result, stack: FrameStack) -> None:
    page = report(tmp_path, result, stack)
    assert len(page.sources) == 4  # before, after, error bars, determined
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "frame <3>" in page.text  # names are text, not tags
    shift = result.scene.registration.frames[2].shift
    assert f"{shift[0]:+.3f} ±" in page.text
    share = float(result.estimate.determined.mean())  # type: ignore[union-attr]
    assert f"they determine {share:.0%}" in page.text
    assert "in memory only" in page.text


def test_the_pictures_show_the_scene_before_and_after(result: Result, stack: FrameStack) -> None:
    before, after, *maps = pictures_of(result.estimate, stack.reference_frame, "refined")
    assert after.pixels.shape == (64, 64, 3)
    assert before.pixels.shape == (32, 32, 3)
    coarse = after.pixels.reshape(32, 2, 32, 2, 3).mean((1, 3))
    inner = (slice(2, -2), slice(2, -2))
    assert np.corrcoef(coarse[inner].ravel(), before.pixels[inner].ravel())[0, 1] > 0.9
    assert [picture.title for picture in maps] == ["Error bars", "Measured or inferred"]
    assert "natural colours" in before.caption


def test_bands_without_colours_are_called_false(result: Result, stack: FrameStack) -> None:
    infrared = replace(stack.reference_frame, wavelengths=np.linspace(1500, 2400, stack.bands))
    assert bands_to_show(infrared, result.estimate)[1].startswith("false colours")
    bad = np.arange(stack.bands) != 4
    one = replace(result.estimate, subspace=replace(result.estimate.subspace, bad=bad))
    index, name = bands_to_show(stack.reference_frame, one)
    assert (list(index), name.startswith("band 4")) == ([4], True)
    assert len(list(pictures_of(one, stack.reference_frame, "refined"))) == 4


def test_what_has_no_value_has_a_colour_of_its_own() -> None:
    colours = ramp(np.array([[0.0, 1.0, np.nan, 2.0]], np.float32))
    assert len({tuple(colour) for colour in colours[0]}) == 3
    assert colours[0, 0].sum() < colours[0, 1].sum()


def test_the_cube_agrees_with_its_frames_and_a_wrong_motion_does_not(result: Result, stack: FrameStack) -> None:
    right = agreements(result.estimate, result.scene, stack)
    assert len(right) == 4
    rank = result.scene.subspace.rank
    least = np.sqrt((stack.bands - rank) / stack.bands)  # a fit takes up noise inside the subspace, and no other
    assert all(least < a.ratio < 1.05 for a in right)
    frames = list(result.scene.registration.frames)
    wrong = frames[1].matrix.copy()
    wrong[0, 2] += 0.5
    frames[1] = replace(frames[1], matrix=wrong)
    scene = replace(result.scene, registration=Registration(tuple(frames), 0))
    assert agreements(result.estimate, scene, stack)[1].ratio > 1.1 * right[1].ratio


def test_one_band_has_no_angles(result: Result, stack: FrameStack) -> None:
    bad = np.arange(stack.bands) != 4
    one = replace(result.estimate, subspace=replace(result.estimate.subspace, bad=bad))
    assert agreements(one, result.scene, stack) == []


def test_the_words_are_those_of_the_case(result: Result) -> None:
    def words(**facts: object) -> str:
        return " ".join(sentences(result, FACTS | facts, [], None))

    assert "they determine 40%; 60% is inferred" in words()
    assert "do not measure" in words(product="refined sample")
    assert "do not measure" not in words()
    assert "does not tell" in words(determined_share=None)
    assert "did not support" in " ".join(sentences(result, FACTS, [], 0.0))
    assert "25% on average" in " ".join(sentences(result, FACTS, [], 0.25))
    told = {"refine": [{"held_out_gain": 0.01, "reason": "supported"}]}
    assert "decided" in " ".join(sentences(result, FACTS | {"learned": told}, [], 0.5))
    told["diffuse"] = [{"held_out_gain": None, "reason": "one sample"}]
    assert "A learned stage was not judged" in " ".join(sentences(result, FACTS | {"learned": told}, [], 0.5))
    del told["refine"]
    words_of_a_sample = " ".join(sentences(result, FACTS | {"learned": told}, [], 1.0))
    assert "not judged by frames that were kept back (one sample)" in words_of_a_sample
    assert "decided" not in words_of_a_sample
    alone = replace(result.scene, registration=Registration(result.scene.registration.frames[:1], 0))
    assert "One frame was used" in " ".join(sentences(replace(result, scene=alone), FACTS, [], None))


def test_the_part_of_a_large_result_is_its_middle(stack: FrameStack, result: Result) -> None:
    e = result.estimate
    tall = replace(
        e,
        mean=np.tile(e.mean, (1, 8, 1)),
        variance=np.tile(e.variance, (1, 8, 1)),  # type: ignore[arg-type]
        determined=np.tile(e.determined, (8, 1)),  # type: ignore[arg-type]
        residual=np.tile(e.residual, (1, 8, 1)),  # type: ignore[arg-type]
        measured=None,
        grid=replace(e.grid, shape=(512, 64)),
    )
    part = middle_of(replace(result, estimate=tall))
    assert part.grid.view == View(48, 48 + LARGEST, 0, 32)
    inner = (slice(None), slice(2, -2))
    np.testing.assert_allclose(part.bands()[inner], tall.bands()[:, 96 : 96 + 2 * LARGEST][inner], rtol=1e-6)
    assert middle_of(result) is result.estimate


def test_a_report_needs_the_name_of_a_page(tmp_path: Path, result: Result, stack: FrameStack) -> None:
    with pytest.raises(WriteError, match=re.escape(".html")):
        write_report(tmp_path / "report.pdf", result, stack)
    assert list(tmp_path.iterdir()) == []


def test_methods_without_error_bars_have_a_report_too(tmp_path: Path, stack: FrameStack, result: Result) -> None:
    bare = replace(result, estimate=replace(result.estimate, variance=None, determined=None), config=PipelineConfig())
    page = report(tmp_path, bare, stack)
    assert len(page.sources) == 2
    assert "does not tell which part" in page.text


def test_a_result_of_tiles_has_the_same_report(tmp_path: Path, stack: FrameStack, result: Result) -> None:
    (tmp_path / "tiles").mkdir()
    store, _ = open_store(tmp_path / "tiles" / "a.zarr", View(0, 32, 0, 32), {})
    store.keep_scene(result.scene)
    tiles = refine_tiled(stack, PipelineConfig(), store, quiet_context("cpu"))
    part = middle_of(tiles)
    rounding = 4 * np.finfo(np.float32).eps * float(np.nanmax(result.estimate.bands()))
    np.testing.assert_allclose(part.bands(), result.estimate.bands(), rtol=0, atol=rounding)
    write_report(tmp_path / "a.html", tiles, stack)
    assert len(Page((tmp_path / "a.html").read_text(encoding="utf-8")).sources) == 4

"""What a run did and found, as rows of a table and as plain sentences."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from hsimisr.cube import FrameStack
from hsimisr.physics.types import Estimate, FrameMotion
from hsimisr.pipeline.command import changed_settings
from hsimisr.pipeline.events import Result
from hsimisr.pipeline.export import REFINED_SAMPLE
from hsimisr.pipeline.tiled_result import TiledResult
from hsimisr.report.agreement import Agreement

Row = tuple[str, ...]
Pair = tuple[str, str]
LIBRARIES = ("numpy", "scipy", "torch")
LEAST = 0.005
"""Below, it reads as 0 %."""
USUAL = (0.8, 1.25)
"""Ratios of angles that are as expected."""


def run_rows(result: Result | TiledResult, provenance: Mapping[str, Any], made: datetime) -> Iterator[Pair]:
    """What was done: settings, sizes, times, versions."""
    scene, grid = result.scene, _grid(result)
    settings = ", ".join(f"{key} = {value}" for key, value in changed_settings(result.config))
    timings = provenance["timings"]
    steps = ", ".join(f"{name.removesuffix('_s').replace('_', ' ')} {seconds:.1f}" for name, seconds in timings.items())
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    yield "Product", str(provenance["product"])
    yield "View", f"{provenance['view']} of the reference, ×{grid.scale}: {grid.shape[0]} × {grid.shape[1]} pixels"
    yield "Bands", f"{scene.subspace.bands}, of which {int(scene.subspace.bad.sum())} are bad"
    yield "Settings", f"{settings or 'all as by default'}; seed {provenance['seed']}"
    yield "PSF", f"{scene.psf}{'' if scene.psf_stderr is None else ', found from the frames'}"
    yield "Eigen-images", str(scene.subspace.rank)
    yield "Seconds", f"{sum(timings.values()):.1f} ({steps}) on {provenance['device']}"
    yield "Versions", f"hsimisr {provenance['hsimisr']}, {versions}, Python {platform.python_version()}"
    yield "Made", made.strftime("%Y-%m-%d %H:%M %Z").strip()


def frame_rows(stack: FrameStack, motions: Sequence[FrameMotion], found: Sequence[Agreement]) -> Iterator[Row]:
    """Name, shift down and right in LR pixels with error bars, gain, misfit, angle over that of noise, and its part."""
    ratios = {agreement.name: agreement.ratio for agreement in found}
    for number, (cube, motion) in enumerate(zip(stack.frames, motions, strict=True)):
        part = "left out" if motion.excluded else "reference" if number == stack.reference else "used"
        spread = np.sqrt(np.diag(motion.covariance))
        shift = [f"{value:+.3f} ± {error:.3f}" for value, error in zip(motion.shift, spread, strict=True)]
        gain, chi2 = f"{motion.gain:.4f}", _number(motion.chi2)
        ratio = _number(ratios.get(cube.name, math.nan))
        yield cube.name, *shift, gain, chi2, ratio, f"{part}{f': {motion.reason}' if motion.reason else ''}"


def figure_rows(
    result: Result | TiledResult, part: Estimate, provenance: Mapping[str, Any], found: Sequence[Agreement]
) -> Iterator[Pair]:
    """What there is in numbers: noise, error bars, agreement with the frames, scores against a truth."""
    subspace = result.scene.subspace
    good = ~subspace.bad
    signal = np.abs(subspace.mean[good]) / subspace.sigma[good]
    noise = np.median(subspace.sigma[good])
    yield "Noise", f"median {noise:.3g} data units; the mean spectrum is {np.median(signal):.0f} times that"
    if part.variance is not None:
        index = np.flatnonzero(good)[:: max(1, int(good.sum()) // 16)]
        bars, values = part.std(index), np.abs(part.bands(index))
        relative = np.nanmedian(bars / np.maximum(values, 1e-12)) * 100
        yield "Error bars", f"median {np.nanmedian(bars):.3g} data units, {relative:.2g} % of the value"
    if provenance["determined_share"] is not None:
        yield "Determined by the frames", f"{provenance['determined_share']:.0%} of the detail"
    if found:
        angle, usual = np.median([a.angle for a in found]), np.median([a.noise for a in found])
        yield "Spectral angle to its frames", f"{angle:.2f}°; noise alone makes {usual:.2f}°, ratio {angle / usual:.2f}"
    for name, value in provenance.get("metrics", {}).items():
        yield f"{name.upper()} against the truth", f"{value:.4g}"


def sentences(
    result: Result | TiledResult, provenance: Mapping[str, Any], found: Sequence[Agreement], learned: float | None
) -> Iterator[str]:
    """What was measured and what was inferred, in words.

    Args:
        learned: how far a learned stage was followed, the mean over the pictures; None without one.
    """
    used, share = len(result.scene.registration.included), provenance["determined_share"]
    if provenance["product"] == REFINED_SAMPLE:
        yield "This is a sample, one scene of many that agree with the frames: do not measure its texture."
    if result.scene.provisional:
        yield "This rests on a scene model that was estimated around one view: it is provisional."
    if used == 1:
        yield "One frame was used: nothing beyond its own resolution was measured, and no frame could check the result."
    elif share is None:
        yield f"{used} frames were used. This method does not tell which part of the detail they determine."
    else:
        yield (
            f"{used} frames were used. Of the detail that no single one of them can carry, they determine {share:.0%}; "
            f"{1 - share:.0%} is inferred, from how the rest of the scene looks"
            f"{' and by the learned stage' if learned else ''}. The map shows where."
        )
    if learned is not None:
        yield _on_learned(learned, provenance.get("learned") or {})
    if found:
        ratio = float(np.median([a.ratio for a in found]))
        yield _on_agreement(ratio)
    yield "Agreement with the frames does not test detail that none of them can see: that takes a truth of the place."


def _on_learned(followed: float, told: Mapping[str, Any]) -> str:
    verdicts = [verdict for stage in ("refine", "diffuse") for verdict in told.get(stage, [])]
    unjudged = [verdict["reason"] for verdict in verdicts if verdict["held_out_gain"] is None]
    if unjudged:
        which = "The learned stage was" if len(unjudged) == len(verdicts) else "A learned stage was"
        return (
            f"{which} not judged by frames that were kept back ({unjudged[0]}); the cube follows it to {followed:.0%}."
        )
    if followed < LEAST:
        return "Frames that were kept back did not support the learned stage: the linear estimate stands."
    return f"Frames that were kept back decided how far the learned stage was followed: {followed:.0%} on average."


def _on_agreement(ratio: float) -> str:
    low, high = USUAL
    if ratio > high:
        return (
            f"The cube disagrees with its frames by {ratio:.2f} times what noise makes: motion, PSF or rank may be "
            "wrong, or something changed between the frames."
        )
    if ratio < low:
        return f"The cube follows its frames closely ({ratio:.2f} of what noise makes): it holds part of their noise."
    return f"The cube agrees with its frames within their noise (ratio {ratio:.2f})."


def _grid(result: Result | TiledResult) -> Any:
    return result.grid if isinstance(result, TiledResult) else result.estimate.grid


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "–"

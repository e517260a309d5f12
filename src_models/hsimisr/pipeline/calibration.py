"""Error bars that hold: widened or narrowed by what scenes with a known truth and the frames at hand show."""

from __future__ import annotations

from dataclasses import replace

from hsimisr.adaptation.lessons import without
from hsimisr.cube import FrameStack
from hsimisr.geometry import MARGIN, View
from hsimisr.heldout.judge import held_out_frames, held_out_residuals, most_held_out
from hsimisr.heldout.predictive import predictive_variance
from hsimisr.inversion import lmmse
from hsimisr.inversion.config import LmmseConfig
from hsimisr.inversion.invert import FrameWindow, observe
from hsimisr.inversion.robust import FEWEST, solve_robustly, trusted
from hsimisr.physics.psf import Psf
from hsimisr.physics.types import SceneModel
from hsimisr.pipeline.config import PipelineConfig, PosteriorConfig
from hsimisr.pipeline.context import Context
from hsimisr.pipeline.frames import read_window
from hsimisr.pipeline.reconstruct import with_smaller_tiles
from hsimisr.uncertainty.heldout import Told, told_by
from hsimisr.uncertainty.widths import Widths, shipped_widths, snr_of

SIDE = 64
"""Side in LR pixels of the middle of the view, or of the frames, that held-out frames are predicted in."""


def calibrated(
    stack: FrameStack,
    scene: SceneModel,
    config: PipelineConfig,
    context: Context,
    view: View | None = None,
    widths: Widths | None = None,
) -> SceneModel:
    """The scene model with what its error bars are multiplied by, or without where that is not asked for.

    Args:
        view: what is looked at. A provisional model is calibrated on its middle, others on the middle of the frames,
            once for all views.
        widths: a table other than the one that comes along.
    """
    if not (isinstance(config.uncertainty, PosteriorConfig) and config.uncertainty.calibrate):
        return replace(scene, bar_scale=None)
    if scene.bar_scale is not None or not isinstance(config.invert, LmmseConfig):
        return scene
    frames = len(scene.registration.included)
    width = (widths or shipped_widths()).at(scene.scale, frames, snr_of(scene.subspace))
    told = None
    if width.slope > 0 and most_held_out(frames):
        context.progress("uncertainty", 0, 1, "predicting a frame that was left out")
        around = view if scene.provisional and view is not None else View.whole(stack.reference_frame.shape_yx)
        method = config.invert

        def attempt(side: int) -> Told | None:
            return tell(stack, scene, _middle(around, side), method, context)

        told = with_smaller_tiles(attempt, SIDE, around, scene, context)
    return replace(scene, bar_scale=width.of(scene.subspace.rank, told))


def tell(stack: FrameStack, scene: SceneModel, region: View, config: LmmseConfig, context: Context) -> Told | None:
    """What a held-out frame says about the error bars of the others' estimate of a region; None where none can."""
    window = read_window(stack, scene.subspace.bad, region, MARGIN, scene.registration)
    eigen = FrameWindow(window.project(scene.subspace), window.masks, window.starts)
    observations = observe(eigen, scene, region, context.device)
    if config.inflate:
        observations = lmmse.inflated(observations, scene.registration, scene.prior, Psf.parse(scene.psf))
    held = held_out_frames(observations, scene.registration.included.index(scene.registration.reference), 1)
    if not held:
        return None

    def on_step(_: int) -> None:
        context.check()

    found = solve_robustly(without(observations, held), scene.prior, config, on_step)
    everyone = observations if len(observations.data) < FEWEST else trusted(found, observations.weight)
    found = lmmse.follow_contrast(found, config, scene.contrast_levels, on_step)
    residuals = held_out_residuals(everyone, held, found.spectrum)
    return told_by(residuals, predictive_variance(everyone, held, scene.prior, found.contrast))


def _middle(view: View, side: int) -> View:
    """The middle of a view, no larger than `side`."""
    y0, x0 = (o + max(n - side, 0) // 2 for o, n in zip(view.origin, view.shape, strict=True))
    return View(y0, y0 + min(view.shape[0], side), x0, x0 + min(view.shape[1], side))

"""What a training hands out: weights, and a card that tells where they come from and what they were measured to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import yaml

from hsimisr import __version__
from hsimisr.networks.denoiser import DenoiserShape
from hsimisr.networks.refiner import Support
from hsimisr.networks.weights import SINGLE_FRAME, read_provenance, save_network
from hsimisr.training.checkpoint import Run
from hsimisr.training.recipe import Recipe
from hsimisr.training.validate import FEWEST, Score, mean_gain

STARTED_FROM = "started_from"
WEIGHTS = "weights.safetensors"
CARD = "card.md"


@dataclass(frozen=True, eq=False)
class Product:
    """Averaged weights, and what is known of them.

    Attributes:
        files: cubes that were trained on.
        held_back: cubes that were validated on.
        scores: in validation.
        support: on single frames; None where there was too little to tell, or nothing to say for them.
        start: weights that the run began from.
    """

    run: Run
    recipe: Recipe
    files: tuple[Path, ...]
    held_back: tuple[Path, ...]
    scores: list[Score]
    support: Support | None
    start: Path | None

    def write(self, folder: Path) -> None:
        """Write the weights and their card."""
        provenance = {
            "hsimisr": __version__,
            "recipe": self.recipe.dump(),
            "step": self.run.step,
            "seconds": round(self.run.seconds, 1),
            "trained_on": [path.stem for path in self.files],
            "validated_on": [path.stem for path in self.held_back],
            "validation_gain_db": round(mean_gain(self.scores), 4),
            STARTED_FROM: None if self.start is None else read_provenance(self.start),
            SINGLE_FRAME: None if self.support is None else asdict(self.support),
        }
        save_network(self.run.average.network, folder / WEIGHTS, provenance)
        part = folder / f".{CARD}.part"
        part.write_text(_card(self), encoding="utf-8")
        part.replace(folder / CARD)


def _card(product: Product) -> str:
    run, recipe, scores = product.run, product.recipe, product.scores
    gains = [s.gain for s in scores]
    count = sum(p.numel() for p in run.network.parameters())
    where = ", ".join(path.stem for path in product.held_back) or "scenes drawn from another stream of random numbers"
    worst = scores[int(np.argmin(gains))]
    situations = recipe.situations
    shape = recipe.network
    title = shape.role if isinstance(shape, DenoiserShape) else shape.kind
    return f"""# {title.capitalize()} weights

{count} parameters, made by `hsimisr train` {__version__} in {run.step} steps of {recipe.optimise.batch} situations
({run.seconds / 60:.0f} minutes), seed {recipe.seed}. The weights are a moving average.
{_begun(product.start)}

## Trained on

{_scenes(product)}. All frames are simulated: scales {_listed(situations.scales)}, {situations.frames[0]} to
{situations.frames[1]} frames, SNR {situations.snr[0]:g} to {situations.snr[1]:g} dB, PSF {_listed(situations.psf)},
registration errors of up to {situations.registration_error[1]:g} LR pixels.

## Measured

{len(scores)} simulated situations of {where}; gain over the linear estimate, dB of the mean squared error of the
eigen-images.

{_table("", {"all": lambda _: True}, scores)}
{_table("scale", {f"x{s}": _is(scale=s) for s in sorted(situations.scales)}, scores)}
{_table("frames", {"1": _between(1, 1), "2 to 4": _between(2, 4), "5 and more": _between(5, 99)}, scores)}
{_table("scene", {name: _is(scene=name) for name in sorted({s.look.scene for s in scores})}, scores)}
{_coverage(scores)}

{_single(product)}

## Limits

{sum(g < 0 for g in gains)} of {len(gains)} situations came out worse than the linear estimate, the worst by
{max(-worst.gain, 0):.2f} dB ({worst.look.scene}, x{worst.look.scale}, {worst.look.frames} frames,
{worst.look.snr:.0f} dB). Frames were simulated: real sensors differ from the observation model in ways that are not
in here. Let held-out frames decide whether to use these weights on your data. Where scenes differ from those that were
trained on, expect less.

## Recipe

```yaml
{yaml.safe_dump(recipe.dump(), sort_keys=False)}```
"""


def _coverage(scores: list[Score]) -> str:
    """What the variance head is worth, where there is one."""
    covered = [s.coverage for s in scores if s.coverage is not None]
    if not covered:
        return ""
    return f"The 90 % intervals of the variance head cover {100 * np.mean(covered):.1f} % of the pixels."


def _begun(start: Path | None) -> str:
    if start is None:
        return ""
    told = read_provenance(start)
    seen = ", ".join(told.get("trained_on", [])) or "no real cube"
    return (
        f"They began from weights that {told.get('step', 'unknown')} steps had made, trained on {seen}; "
        f"the metadata hold that recipe, under `{STARTED_FROM}`.\n"
    )


def _scenes(product: Product) -> str:
    """What the situations show."""
    if not product.files:
        return "Drawn scenes alone, no real cube"
    share, cubes = 100 * product.recipe.scenes.real, ", ".join(path.stem for path in product.files)
    return f"{share:.0f} % of the situations are cut from {cubes};\nthe others show drawn scenes"


def _single(product: Product) -> str:
    """What is known of single frames."""
    support, count = product.support, product.recipe.validation.single
    if support is None:
        known = (
            f"on {count} such situations no clear gain without a loss was found"
            if count >= FEWEST
            else "none was examined"
        )
        return f"A single frame leaves nothing to judge by, and {known}: the gate keeps these weights out there."
    return (
        f"A single frame leaves nothing to judge by: {support.weight:.0%} of the change is used there, which gained\n"
        f"{support.gain_db:+.2f} dB on {support.situations} such situations, {support.worst_db:+.2f} dB at worst."
    )


def _listed(weights: dict[int, float] | dict[str, float]) -> str:
    total = sum(weights.values())
    return ", ".join(f"{key} ({100 * value / total:.0f} %)" for key, value in weights.items())


def _is(**wanted: object) -> Callable[[Score], bool]:
    return lambda score: all(getattr(score.look, name) == value for name, value in wanted.items())


def _between(low: int, high: int) -> Callable[[Score], bool]:
    return lambda score: low <= score.look.frames <= high


def _table(title: str, groups: dict[str, Callable[[Score], bool]], scores: list[Score]) -> str:
    """Lines of a Markdown table, one per group that has a score."""
    lines = [f"| {title} | situations | mean | median | worst | best |", "|---|---|---|---|---|---|"]
    for name, belongs in groups.items():
        gains = [s.gain for s in scores if belongs(s)]
        if gains:
            figures = (np.mean(gains), np.median(gains), min(gains), max(gains))
            lines.append(f"| {name} | {len(gains)} | " + " | ".join(f"{figure:+.2f}" for figure in figures) + " |")
    return "\n".join(lines) + "\n"

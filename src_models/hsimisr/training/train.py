"""The training loop: one situation at a time, gradients of a batch of them added up, resumable at any step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from hsimisr.errors import ConfigError, WriteError
from hsimisr.networks.denoiser import Denoiser, DenoiserShape
from hsimisr.networks.refiner import Refiner, RefinerShape
from hsimisr.networks.weights import SHIPPED_DENOISER, Network, load_denoiser, load_refiner
from hsimisr.training.checkpoint import Run
from hsimisr.training.denoising import denoising_loss, seed_of
from hsimisr.training.distillation import distillation_loss
from hsimisr.training.journal import Journal, Line
from hsimisr.training.loss import decibels, loss_of, relative_error
from hsimisr.training.optimiser import Average, build_optimiser, clip_gradients, learning_rate, set_learning_rate
from hsimisr.training.pool import SINGLE, VALIDATION, Pool, Samples, stream_samples
from hsimisr.training.product import Product
from hsimisr.training.real_scenes import matching
from hsimisr.training.recipe import Recipe
from hsimisr.training.sample import Sample
from hsimisr.training.validate import mean_gain, score, support_of

LOG_EVERY = 25
"""Steps."""
SAVE_EVERY = 120.0
"""Seconds."""


class Stop(Protocol):
    """A flag that another thread or a signal can raise: `threading.Event` is such."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Outcome:
    """What a session reached: steps done, whether the training is finished, and the last gain in validation, dB."""

    step: int
    finished: bool
    gain: float


@dataclass
class Tally:
    """Sums since the last line of the log."""

    loss: torch.Tensor
    ratio: torch.Tensor
    count: int = 0
    waited: float = 0.0

    @classmethod
    def empty(cls, device: torch.device) -> Tally:
        return cls(torch.zeros((), device=device), torch.zeros((), device=device))


def train(
    recipe: Recipe,
    data: Path | None,
    out: Path,
    device: torch.device,
    stop: Stop,
    workers: int = 0,
    minutes: float | None = None,
    start: Path | None = None,
    on_line: Callable[[Line], None] = lambda _: None,
) -> Outcome:
    """Train, or go on with the training that `out` holds, until the recipe's end, `stop`, or for some minutes.

    Writes ``weights.safetensors`` (averaged weights), ``card.md``, ``log.csv`` and ``checkpoint.pt`` to `out`.

    Args:
        data: folder of the cubes that the recipe names.
        workers: processes that make samples; 0 makes them here.
        minutes: how long this session may last.
        start: weights to begin from; the recipe's network is then theirs. A student begins from its teacher's
            without any.

    Raises:
        ConfigError: the data lack a cube, a scene is both trained on and validated on, `out` holds another run, or
            the training diverged.
        ReadError: `start` holds no weights.
        WriteError: `out` cannot be written.
    """
    started = time.monotonic()
    files = matching(data, recipe.scenes.files) if recipe.scenes.real > 0 else ()
    held_back = matching(data, recipe.validation.files)
    both = sorted({path.stem for path in files} & {path.stem for path in held_back})
    if both:
        raise ConfigError(f"{', '.join(both)}: both trained on and validated on; take it out of one of the two")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{out}: cannot be made a folder ({error.strerror}); choose another --out") from error
    teacher = _teacher(recipe)
    start = start or teacher
    first = None if start is None else _load(recipe, start)
    if first is not None:
        role = {} if teacher is None else {"role": "student"}
        recipe = recipe.model_copy(update={"network": first.shape.model_copy(update=role)})
    run = _start(recipe, device, first)
    run.restore(out, recipe, device)
    session = _Session(
        recipe,
        run,
        out,
        files,
        held_back,
        device,
        on_line,
        start,
        None if teacher is None else load_denoiser(teacher).to(device),
    )
    if session.progress < 1:
        session.go(workers, lambda: stop.is_set() or _over(started, minutes))
    return Outcome(run.step, session.progress >= 1, run.gain)


def validation_samples(recipe: Recipe, files: tuple[Path, ...], workers: int, device: torch.device) -> list[Sample]:
    """Samples of the validation stream: of the given cubes alone, or drawn anew where there are none."""
    return _held_back(recipe, files, VALIDATION, recipe.validation.samples, recipe.situations.frames, workers, device)


def single_frames(recipe: Recipe, files: tuple[Path, ...], workers: int, device: torch.device) -> list[Sample]:
    """Samples of a single frame, of the given cubes and drawn anew, half of each."""
    return _held_back(recipe, files, SINGLE, recipe.validation.single, (1, 1), workers, device, real=0.5)


def _held_back(
    recipe: Recipe,
    files: tuple[Path, ...],
    stream: int,
    count: int,
    frames: tuple[int, int],
    workers: int,
    device: torch.device,
    real: float = 1.0,
) -> list[Sample]:
    largest = (max(recipe.situations.patches),)
    situations = recipe.situations.model_copy(update={"patches": largest, "frames": frames})
    scenes = recipe.scenes.model_copy(update={"real": real})
    held = recipe.model_copy(update={"situations": situations, "scenes": scenes})
    return list(stream_samples(Samples(held, files, stream), range(count), workers, device))


def _start(recipe: Recipe, device: torch.device, first: Network | None) -> Run:
    """A run before its first step; its weights are those of `first`, or derive from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = _build(recipe)
    if first is not None:
        network.load_state_dict(first.state_dict())
    network.to(device)
    return Run(network, Average(network, recipe.optimise.average), build_optimiser(network, recipe.optimise))


def _build(recipe: Recipe) -> Network:
    shape = recipe.network
    return Refiner(shape) if isinstance(shape, RefinerShape) else Denoiser(shape)


def _load(recipe: Recipe, path: Path) -> Network:
    """Weights of the kind of network that the recipe trains."""
    return load_refiner(path) if isinstance(recipe.network, RefinerShape) else load_denoiser(path)


def _teacher(recipe: Recipe) -> Path | None:
    """The weights that a student learns from."""
    if not isinstance(recipe.network, DenoiserShape) or recipe.network.role != "student":
        return None
    return SHIPPED_DENOISER if recipe.teacher == "shipped" else Path(recipe.teacher)


def _over(started: float, minutes: float | None) -> bool:
    return minutes is not None and time.monotonic() - started > 60 * minutes


@dataclass
class _Session:
    """One call of `train`."""

    recipe: Recipe
    run: Run
    out: Path
    files: tuple[Path, ...]
    held_back: tuple[Path, ...]
    device: torch.device
    on_line: Callable[[Line], None]
    start: Path | None
    teacher: Denoiser | None
    validation: list[Sample] = field(default_factory=list)
    single: list[Sample] = field(default_factory=list)

    @property
    def progress(self) -> float:
        """How far the whole training is, 0 to 1, by steps or by time, whichever ends it first."""
        recipe = self.recipe.optimise
        by_time = 0.0 if recipe.minutes is None else self.run.seconds / (60 * recipe.minutes)
        return max(self.run.step / recipe.steps, by_time)

    def go(self, workers: int, stopped: Callable[[], bool]) -> None:
        """Steps until the end or until stopped, then what was reached is saved."""
        run, recipe = self.run, self.recipe
        journal = Journal(self.out / "log.csv", run.step)
        self.validation = validation_samples(recipe, self.held_back, workers, self.device)
        self.single = single_frames(recipe, self.held_back, workers, self.device)
        pool = Pool(recipe, self.files, workers, self.device, run.step * recipe.optimise.batch)
        tally, saved, validated = Tally.empty(self.device), time.monotonic(), -1
        while self.progress < 1 and not stopped():
            began = time.monotonic()
            self._step(pool, tally)
            run.seconds += time.monotonic() - began
            gain = float("nan")
            if run.step % recipe.validation.every == 0:
                gain, validated = self._validate(), run.step
            if run.step % LOG_EVERY == 0 or validated == run.step:
                self._log(journal, tally, gain)
                tally = Tally.empty(self.device)
            if time.monotonic() - saved > SAVE_EVERY:
                run.save(self.out, recipe)
                saved = time.monotonic()
        if validated != run.step and run.step > 0:
            self._log(journal, tally, self._validate())
        run.save(self.out, recipe)

    def _step(self, pool: Pool, tally: Tally) -> None:
        """One step of the optimiser."""
        run, recipe = self.run, self.recipe.optimise
        set_learning_rate(run.optimiser, learning_rate(recipe, run.step, self.progress))
        run.optimiser.zero_grad(set_to_none=True)
        for n in range(recipe.batch):
            asked = time.monotonic()
            sample = pool.draw(run.step * recipe.batch + n)
            tally.waited += time.monotonic() - asked
            loss, ratio = self._loss(sample, run.step * recipe.batch + n)
            (loss / recipe.batch).backward()
            tally.loss += loss.detach()
            tally.ratio += ratio.detach().log()
            tally.count += 1
        if not clip_gradients(run.network, recipe.clip):
            raise ConfigError(f"the training diverged at step {run.step}; lower optimise.learning_rate")
        run.optimiser.step()
        run.average.update(run.network, run.step)
        run.step += 1

    def _loss(self, sample: Sample, draw: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What is minimised, and the squared error relative to that before the network."""
        network, recipe = self.run.network, self.recipe.optimise
        with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.bfloat16):
            if isinstance(network, Denoiser):
                seed = seed_of(self.recipe.seed, draw)
                if self.teacher is None:
                    return denoising_loss(network, sample, recipe.consistency_weight, seed)
                settled = self.run.average.network
                assert isinstance(settled, Denoiser)
                return distillation_loss(network, settled, self.teacher, sample, seed)
            refined = network(sample.situation)
        return loss_of(refined, sample, recipe.variance_weight), relative_error(refined.image.detach(), sample)

    def _validate(self) -> float:
        """Mean gain of the averaged weights, dB, which are written.

        The last are kept, not the best: few scenes validate, and the learning rate ends at nearly nothing.
        """
        scores = score(self.run.average.network, self.validation)
        self.run.gain = mean_gain(scores)
        network = self.run.average.network
        support = support_of(network, self.single) if isinstance(network, Refiner) else None
        Product(self.run, self.recipe, self.files, self.held_back, scores, support, self.start).write(self.out)
        return self.run.gain

    def _log(self, journal: Journal, tally: Tally, gain: float) -> None:
        run, count = self.run, max(tally.count, 1)
        line = Line(
            step=run.step,
            seconds=run.seconds,
            waited_seconds=tally.waited,
            learning_rate=run.optimiser.param_groups[0]["lr"],
            loss=float(tally.loss) / count,
            training_gain_db=decibels(float((tally.ratio / count).exp())),
            validation_gain_db=gain,
        )
        journal.write(line)
        self.on_line(line)

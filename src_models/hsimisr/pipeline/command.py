"""The command line that makes a result again: settings as ``--set``, as short as the defaults allow."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from hsimisr.cube import CubeSource
from hsimisr.errors import ConfigError
from hsimisr.geometry import View
from hsimisr.pipeline.config import PipelineConfig

OPTIONS = ("scale", "psf")
"""Settings that have an option of their own."""


def refine_command(
    frames: Sequence[CubeSource],
    config: PipelineConfig,
    out: Path,
    *,
    reference: int = 0,
    view: View | None = None,
    registration: Path | None = None,
    seed: int = 0,
) -> list[str]:
    """The words of a ``hsimisr refine`` that makes the same cube.

    Args:
        frames: where the frames come from, in their order.
        view: part of the reference frame, or None for all of it.
        registration: the file with the motions to use as they are, or None to estimate them.

    Raises:
        ConfigError: some frames are images of a sequence and others are cubes, which one command cannot say.
    """
    as_frames = {source.bands_as_frames for source in frames}
    if len(as_frames) > 1:
        raise ConfigError("one command takes images of a sequence as frames, or cubes, not both: leave one kind out")
    words = ["hsimisr", "refine", *map(str, frames), "--out", str(out)]
    if True in as_frames:
        words.append("--bands-as-frames")
    if reference:
        words += ["--reference", str(reference)]
    if view is not None:
        words += ["--view", str(view)]
    if registration is not None:
        words += ["--registration", str(registration)]
    for key, value in changed_settings(config):
        words += [f"--{key}", _text(value)] if key in OPTIONS else ["--set", f"{key}={_text(value)}"]
    return [*words, "--seed", str(seed)] if seed else words


def as_line(words: Sequence[str]) -> str:
    """One line for the shell of this machine."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def changed_settings(config: PipelineConfig) -> Iterator[tuple[str, Any]]:
    """Names such as ``invert.method`` and values of the settings that are not as by default."""
    default, given = PipelineConfig(), config.dump()
    for name, field in PipelineConfig.model_fields.items():
        key, stage = field.alias or name, getattr(config, name)
        if stage == getattr(default, name):
            continue
        if not isinstance(stage, BaseModel):
            yield key, given[key]
            continue
        usual = type(stage)().model_dump(mode="json")
        if "method" in usual:
            yield f"{key}.method", usual["method"]
        for knob, value in given[key].items():
            if value != usual[knob]:
                yield f"{key}.{knob}", value


def _text(value: Any) -> str:
    """A value as YAML reads it again."""
    if isinstance(value, str) and yaml.safe_load(value) == value:
        return value
    return json.dumps(value)

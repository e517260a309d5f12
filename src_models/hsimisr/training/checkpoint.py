"""Where a run stands, so that it can go on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from hsimisr.errors import ConfigError, ReadError
from hsimisr.networks.weights import Network
from hsimisr.training.optimiser import Average
from hsimisr.training.recipe import Recipe

NAME = "checkpoint.pt"


@dataclass
class Run:
    """A run in progress; random numbers derive from the seed and the step, so there is nothing more to keep.

    Attributes:
        step: steps done.
        seconds: time they took, over all sessions.
        gain: the last in validation, dB.
    """

    network: Network
    average: Average
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    gain: float = float("nan")

    def save(self, folder: Path, recipe: Recipe) -> None:
        """Write where the run stands; the file before stays until this one is whole."""
        content = {
            "recipe": recipe.dump(),
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "gain": self.gain,
        }
        part = folder / f".{NAME}.part"
        torch.save(content, part)
        part.replace(folder / NAME)

    def restore(self, folder: Path, recipe: Recipe, device: torch.device) -> bool:
        """Go on where the folder's run stands; False where there is none.

        Raises:
            ConfigError: the folder holds a run of another recipe.
            ReadError: the checkpoint is damaged.
        """
        path = folder / NAME
        if not path.exists():
            return False
        try:
            content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
            same = content["recipe"] == recipe.dump()
        except (OSError, RuntimeError, KeyError, EOFError, UnpicklingError) as error:
            raise ReadError(f"{path}: is damaged; delete it to start anew") from error
        if not same:
            raise ConfigError(f"{folder}: holds a run of another recipe; choose another --out or delete {NAME}")
        self.network.load_state_dict(content["network"])
        self.average.network.load_state_dict(content["average"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.step, self.seconds, self.gain = content["step"], content["seconds"], content["gain"]
        return True

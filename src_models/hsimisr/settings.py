"""What every group of knobs has in common: frozen once made, and no unknown names."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of every config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

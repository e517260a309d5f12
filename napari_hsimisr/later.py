"""Work put off for a moment, so that the window can paint and answer in between."""

from __future__ import annotations

from collections.abc import Callable

Later = Callable[[Callable[[], None]], None]
"""Runs steps in the order in which they were handed in, not before the caller is done."""


def at_once(step: Callable[[], None]) -> None:
    """`Later` without a window."""
    step()

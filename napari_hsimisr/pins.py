"""The points whose spectra are compared: named, each in its colour, one of them the current one. No widgets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from psygnal import Signal

World = tuple[float, float]
COLOURS = ("#ff4f58", "#2fd6a3", "#c58cff", "#4cc9f0", "#ff8fc7", "#b8e04a", "#ff9f5a", "#8fa8ff")


@dataclass(frozen=True)
class Pin:
    """A point in world coordinates ``(y, x)``; numbers start at 1 and stay with their pin."""

    number: int
    world: World

    @property
    def name(self) -> str:
        return f"pin {self.number}"

    @property
    def colour(self) -> str:
        """Of its curve and of its mark on the canvas."""
        return COLOURS[(self.number - 1) % len(COLOURS)]


class Pins:
    """Pins in the order in which they were collected.

    Attributes:
        current: the pin that a plain click moves and whose frames are shown, or None without pins.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._pins: dict[int, Pin] = {}
        self._current = 0

    @property
    def all(self) -> tuple[Pin, ...]:
        return tuple(self._pins.values())

    @property
    def current(self) -> Pin | None:
        return self._pins.get(self._current)

    def move(self, world: World) -> None:
        """Put the current pin somewhere else; the first one is made."""
        if self.current is None:
            self.collect(world)
        else:
            self._pins[self._current] = replace(self.current, world=world)
            self.changed.emit()

    def collect(self, world: World) -> None:
        """Keep the pins there are and make another, which is the current one from now on."""
        number = next(n for n in range(1, len(self._pins) + 2) if n not in self._pins)
        self._pins[number] = Pin(number, world)
        self._current = number
        self.changed.emit()

    def choose(self, number: int) -> None:
        """Make a pin the current one."""
        if number in self._pins and number != self._current:
            self._current = number
            self.changed.emit()

    def remove(self, number: int) -> None:
        """Take a pin away; the one collected last takes its place."""
        if self._pins.pop(number, None) is not None:
            if number == self._current:
                self._current = next(reversed(self._pins), 0)
            self.changed.emit()

    def clear(self) -> None:
        """Take all pins away."""
        if self._pins:
            self._pins.clear()
            self._current = 0
            self.changed.emit()

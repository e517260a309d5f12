"""Steps of work on the GUI thread run in order and let the window in between."""

from __future__ import annotations

from functools import partial

import pytest
from qtpy.QtCore import QTimer

from napari_hsimisr.demo import wait, wait_until
from napari_hsimisr.turns import Turns


@pytest.fixture
def turns(qapp) -> Turns:
    return Turns()


def test_steps_run_in_order_and_the_window_works_between_them(turns: Turns) -> None:
    ticks, seen = [], []
    clock = QTimer(interval=1)
    clock.timeout.connect(lambda: ticks.append(None))
    clock.start()

    def step(name: str) -> None:
        seen.append((name, len(ticks)))
        if name == "first":
            turns.add(partial(step, "asked for by the first"))

    for name in ("first", "second"):
        turns.add(partial(step, name))
    assert seen == []
    wait_until(lambda: len(seen) == 3)
    clock.stop()
    assert [name for name, _ in seen] == ["first", "second", "asked for by the first"]
    assert seen[0][1] < seen[1][1] < seen[2][1]


def test_a_step_that_fails_does_not_hold_up_the_others(turns: Turns, qtbot) -> None:
    done = []
    turns.add(lambda: 1 // 0)
    turns.add(lambda: done.append(True))
    with qtbot.capture_exceptions() as errors:
        wait_until(lambda: bool(done))
    assert [kind for kind, *_ in errors] == [ZeroDivisionError]


def test_nothing_runs_after_the_end(turns: Turns) -> None:
    done = []
    turns.add(lambda: done.append(True))
    turns.close()
    wait(0.05)
    assert done == []

"""How long the window stands still while the engine works: gaps between the ticks of a 5 ms timer in napari's loop.

Run with ``python benchmarks/stalls.py [--json]``, under ``xvfb-run`` where there is no display. The target is a 99th
percentile of 50 ms and never more than 100 ms, above an idle window measured in the same run.

The last column is the most processor time that the window's own thread spent in one gap. A gap is longer than that
while the thread waits for a core or for the drawing, which is done by other threads where there is no graphics card.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from qtpy.QtCore import Qt, QTimer

from hsimisr.io.open import open_frames
from hsimisr.physics.scenes import town
from hsimisr.physics.simulator import simulate
from napari_hsimisr.demo import Demo, wait, wait_until
from napari_hsimisr.layers import frame_layers

TICK_MS = 5
IDLE_S = 3
USE_S = 0.25  # between one change of band or pixel and the next


class StallMeter:
    """Collects the gaps between ticks and the processor time of the GUI thread in them, in milliseconds."""

    def __init__(self) -> None:
        self._timer = QTimer(timerType=Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._last = self._last_cpu = 0.0
        self._gaps: list[float] = []
        self._cpu: list[float] = []

    def during(self, work: Callable[[], None]) -> dict[str, float]:
        """Percentiles of the gaps while `work` lets the event loop run."""
        self._gaps, self._last = [], time.perf_counter()
        self._cpu, self._last_cpu = [], time.thread_time()
        self._timer.start()
        work()
        self._timer.stop()
        self._tick()
        p50, p95, p99 = np.percentile(self._gaps, (50, 95, 99)).tolist()
        return {
            "ticks": len(self._gaps),
            "p50": p50,
            "p95": p95,
            "p99": p99,
            "max": max(self._gaps),
            "cpu": max(self._cpu),
        }

    def _tick(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self._gaps.append(1000 * (now - self._last))
        self._cpu.append(1000 * (cpu - self._last_cpu))
        self._last, self._last_cpu = now, cpu


def measure(size: int) -> dict[str, dict[str, float]]:
    """Gaps of an idle window, while it starts the engine, refines, and is used meanwhile."""
    scene = town((2 * size + 24, 2 * size + 24), bands=60, seed=1)
    frames = simulate(scene.cube, 2, frames=8, seed=0).frames
    meter, table = StallMeter(), {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.npz"
        np.savez(path, cube=frames, wavelength_nm=scene.wavelengths)
        demo = Demo(frame_layers(open_frames([path]).frames))
        session = demo.refine.session

        def refine() -> None:
            demo.refine.run_whole()
            wait_until(lambda: not session.busy)

        def use(still: Callable[[], bool]) -> None:
            step = 0
            while still():
                step += 1
                if step % 2:
                    demo.viewer.dims.set_current_step(0, step % 60)
                else:
                    demo.pick_without_waiting((step % size, step % size))
                wait(USE_S)

        def use_idle() -> None:
            end = time.monotonic() + IDLE_S
            use(lambda: time.monotonic() < end)

        def refine_and_use() -> None:
            demo.refine.run_whole()
            use(lambda: session.busy)

        table["engine starts"] = meter.during(lambda: wait(IDLE_S))
        table["idle"] = meter.during(lambda: wait(IDLE_S))

        def add_plain_image() -> None:
            plain = demo.viewer.add_image(np.zeros((60, 2 * size, 2 * size), np.float32), visible=False)
            wait(1)
            demo.viewer.layers.remove(plain)
            wait(1)

        table["napari adds and removes a plain image, no job"] = meter.during(add_plain_image)
        table["first refinement"] = meter.during(refine)
        demo.pick((4.0, 4.0))
        table["used: bands and pixels, no job"] = meter.during(use_idle)
        table["refining again"] = meter.during(refine)
        table["refining and used"] = meter.during(refine_and_use)
        demo.viewer.close()
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=96, help="LR pixels along a side of the frames")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    table: dict[str, Any] = measure(options.size)
    if options.json:
        print(json.dumps({"machine": machine(), "ms": table}))
        return
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, frames of 8 x 60 x {options.size} x {options.size}; gaps in ms"
    )
    columns = ("p50", "p95", "p99", "max", "cpu")
    print(f"{'':46}" + "".join(f"{name:>9}" for name in ("ticks", *columns)))
    for name, row in table.items():
        print(f"{name:46}{row['ticks']:9.0f}" + "".join(f"{row[key]:9.1f}" for key in columns))


if __name__ == "__main__":
    main()

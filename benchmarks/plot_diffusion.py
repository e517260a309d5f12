"""The plot of the samplers in docs/results.md, from what benchmarks/diffusion.py has measured.

    python benchmarks/plot_diffusion.py out/diffusion.json [MORE.json ...] [--out docs/images/diffusion.svg]

For each setting: what a single sample loses against the linear estimate, and its texture (power beyond the LR Nyquist
frequency over the truth's), over the number of network evaluations; means over the scenes that all numbers of
evaluations of a sampler have. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

Rows = list[dict]
TICKS = (1, 2, 4, 8, 20, 100)
KINDS = {
    "gain": "sample over the\nlinear estimate (dB)",
    "power": "power beyond the Nyquist\nfrequency, over the truth's",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images/diffusion.svg"))
    options = parser.parse_args()
    rows = [row for file in options.files for row in json.loads(file.read_text())["rows"]]
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    plt.rcParams.update({"svg.hashsalt": "hsimisr", "font.size": 9})
    figure, axes = plt.subplots(
        len(KINDS), len(settings), figsize=(3.6 * len(settings), 5.4), sharex=True, squeeze=False
    )
    for column, setting in enumerate(settings):
        of_setting = [row for row in rows if row["setting"] == setting]
        for row, kind in enumerate(KINDS):
            draw(axes[row][column], of_setting, kind)
        axes[0][column].set_title(setting)
        axes[-1][column].set_xlabel("network evaluations")
    for row, label in enumerate(KINDS.values()):
        axes[row][0].set_ylabel(label)
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(options.out, metadata={"Date": None})


def draw(axis: Axes, rows: Rows, kind: str) -> None:
    """One curve per sampler; the Gaussian sample, which asks no network, as a line across."""
    for sampler, points in curves(rows, kind).items():
        if sampler == "gaussian":
            axis.axhline(points[0][1], color="grey", linestyle=":", label="no network")
        else:
            axis.plot(*zip(*points, strict=True), marker="o", markersize=4, label=sampler)
    if kind == "power":
        axis.axhline(1, color="black", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xticks(TICKS, [str(n) for n in TICKS])
    axis.minorticks_off()
    axis.grid(alpha=0.3)


def curves(rows: Rows, kind: str) -> dict[str, list[tuple[int, float]]]:
    """``(evaluations, value)`` of the samples of each sampler."""
    linear = {row["scene"]: row["psnr"] for row in rows if row["what"] == "linear"}
    found: dict[str, dict[int, dict[str, float]]] = {}
    for row in rows:
        name, *rest = row["what"].split()
        if rest[-1:] != ["sample"]:
            continue
        evaluations = int(rest[0]) if len(rest) == 2 else 1
        if len(rest) == 2 or name == "gaussian":
            value = row["psnr"] - linear[row["scene"]] if kind == "gain" else row["power"]
            found.setdefault(name, {}).setdefault(evaluations, {})[row["scene"]] = value
    out = {}
    for name, by_evaluations in found.items():
        common = set.intersection(*(set(scenes) for scenes in by_evaluations.values()))
        out[name] = [
            (n, float(np.mean([scenes[scene] for scene in sorted(common)])))
            for n, scenes in sorted(by_evaluations.items())
        ]
    return out


if __name__ == "__main__":
    main()

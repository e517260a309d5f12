"""What frames that were kept back said about the learned stages of a run, as rows of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hsimisr.pipeline.events import Result
from hsimisr.pipeline.tiled_result import TiledResult

NOT_USED = "The last run had no learned stage: choose one in the Refine dock."
STAGES = {"refine": "Learned refinement", "diffuse": "Diffusion"}


def verdict_rows(result: Result | TiledResult) -> list[tuple[str, str]]:
    """Name and text of each row, from ``Result.diagnostics["learned"]``; none where no learned stage ran."""
    learned = result.diagnostics.get("learned") or {}
    rows = [row for stage, name in STAGES.items() for row in _of_stage(name, learned.get(stage, []))]
    adapted = learned.get("adapt")
    if adapted is not None:
        first, best = adapted["held_out_misfit"]
        rows.append(("Adaptation", f"held-out misfit {first:.3f} → {best:.3f} in {adapted['steps']} steps"))
    return rows


def verdict_brief(result: Result) -> str:
    """The same in a few words, for a list: how far each learned stage was followed; empty where none ran."""
    learned = result.diagnostics.get("learned") or {}
    weights = {stage: [verdict["gate_weight"] for verdict in learned.get(stage, [])] for stage in STAGES}
    return ", ".join(f"{stage} {sum(found) / len(found):.0%}" for stage, found in weights.items() if found)


def _of_stage(name: str, verdicts: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Four rows for one tile, a row each for several."""
    if len(verdicts) == 1:
        (verdict,) = verdicts
        yield name, f"gate weight {verdict['gate_weight']:.2f}"
        yield "Held-out gain", _gain(verdict)
        yield "Misfit before → after", _misfit(verdict)
        yield "Verdict", verdict["reason"]
        return
    for number, verdict in enumerate(verdicts, 1):
        text = f"gate weight {verdict['gate_weight']:.2f}, held-out gain {_gain(verdict)}, misfit {_misfit(verdict)}"
        yield f"{name}, tile {number}", text


def _gain(verdict: Mapping[str, Any]) -> str:
    gain, stderr = verdict["held_out_gain"], verdict["held_out_gain_stderr"]
    if gain is None:
        return "not judged"
    return f"{gain:+.4f}" if stderr is None else f"{gain:+.4f} ± {stderr:.4f}"


def _misfit(verdict: Mapping[str, Any]) -> str:
    scores = [verdict["held_out"][name] for name in ("before", "after")]
    if any(score is None or score["normalised"] is None for score in scores):
        return "not judged"
    return " → ".join(f"{score['normalised']:.3f}" for score in scores)

"""What frames that were kept back said about the learned stage of a run, as rows of text."""

from __future__ import annotations

from typing import Any

from hsimisr.pipeline.events import Result

NOT_USED = "The last run had no learned stage: choose one under “refine” in the Refine dock."


def verdict_rows(result: Result) -> list[tuple[str, str]]:
    """Name and text of each row, from ``Result.diagnostics["learned"]``; none where no learned stage ran."""
    learned = result.diagnostics.get("learned")
    if learned is None:
        return []
    rows = []
    verdicts = learned["refine"]
    for number, verdict in enumerate(verdicts, 1):
        tile = f" (tile {number})" if len(verdicts) > 1 else ""
        rows.append((f"Gate weight{tile}", f"{verdict['gate_weight']:.2f}"))
        rows.append(("Held-out gain", _gain(verdict)))
        rows.append(("Misfit, linear → learned", _misfit(verdict)))
        rows.append(("Verdict", verdict["reason"]))
    adapted = learned.get("adapt")
    if adapted is not None:
        first, best = adapted["held_out_misfit"]
        rows.append(("Adaptation", f"held-out misfit {first:.3f} → {best:.3f} in {adapted['steps']} steps"))
    return rows


def _gain(verdict: dict[str, Any]) -> str:
    gain, stderr = verdict["held_out_gain"], verdict["held_out_gain_stderr"]
    if gain is None:
        return "not judged"
    return f"{gain:+.4f}" if stderr is None else f"{gain:+.4f} ± {stderr:.4f}"


def _misfit(verdict: dict[str, Any]) -> str:
    scores = [verdict["held_out"][name] for name in ("linear", "refined")]
    if any(score is None or score["normalised"] is None for score in scores):
        return "not judged"
    return " → ".join(f"{score['normalised']:.3f}" for score in scores)

"""The metrics of all models as a plain-text table, for the terminal and the log."""

from __future__ import annotations

from collections.abc import Mapping

from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.model_scores import GATE_METRIC, ModelScores

_HEAD = ("model", "NDCG@10", "95% interval", "recall@10", "hit_rate@10", "coverage", "novelty", "diversity")


def table(name: str, scores: ModelScores, found: Mapping[str, Mapping[str, Interval]], *, decides: bool) -> str:
    """Format a protocol's models, best NDCG@10 first.

    Args:
        name: The protocol.
        scores: Of every model.
        found: Model → metric → interval.
        decides: Whether the gate uses this protocol.
    """
    title = f"{name} · {scores.n_users:,} test users" + (" · used by the gate" if decides else "")
    if scores.cold:
        title += f" · {scores.cold:,} users without a history excluded"
    if not scores.n_users:
        return f"{title}\n  not measured"
    best = sorted(scores.models, key=lambda model: -found[model][GATE_METRIC].point)
    rows = [_HEAD, *(_row(model, scores, found[model]) for model in best)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([title, lines[0], "  " + "─" * (len(lines[0]) - 2), *lines[1:]])


def _row(model: str, scores: ModelScores, found: Mapping[str, Interval]) -> tuple[str, ...]:
    gate, beyond = found[GATE_METRIC], scores.beyond_accuracy[model]
    return (
        model,
        f"{gate.point:.4f}",
        f"{gate.low:.4f}–{gate.high:.4f}",
        f"{found['recall@10'].point:.4f}",
        f"{found['hit_rate@10'].point:.4f}",
        f"{beyond['coverage@10']:.1%}",
        f"{beyond['novelty@10']:.1f} bits",
        f"{beyond['diversity@10']:.3f}",
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    first, *others = [
        cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
    ]
    return "  " + "  ".join([first, *others])

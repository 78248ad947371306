"""The comparison from the lists: metrics with intervals, paired differences, the tables and the JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.quality.answers import Answer
from benchmarks.quality.scoring import METRICS, BadLists, Bootstrap, Floats, Interval, Truth, score

BAR = 1.25
"""Nightreel's NDCG@10 over the best peer's, with the paired lower bound above 0."""
FEW = 300
"""Test users of a global cut, below which there is no bar: models that differ by a quarter can't be told apart."""


@dataclass(frozen=True)
class Row:
    """One model's figures. behind: Nightreel minus it, paired; ratio: Nightreel over it; kind: ours, member or peer."""

    kind: str
    answer: Answer
    values: dict[str, Floats]
    metrics: dict[str, Interval]
    behind: Interval | None = None
    ratio: Interval | None = None

    @property
    def ndcg(self) -> float:
        """Mean NDCG@10."""
        return self.metrics["ndcg"].point


@dataclass(frozen=True)
class Report:
    """rows: best first; failed: peers without figures; facts: of the data, the budget and the machine."""

    rows: list[Row]
    failed: list[Answer]
    facts: dict[str, Any]

    @property
    def ours(self) -> Row:
        """Nightreel's published model."""
        return next(row for row in self.rows if row.kind == "ours")

    @property
    def best(self) -> Row | None:
        """The best peer."""
        return next((row for row in self.rows if row.kind == "peer"), None)

    def verdict(self) -> str:
        """One sentence on the bar."""
        best, rule = self.best, f"the bar is {BAR} with the difference's 95% interval above 0"
        if best is None or best.ratio is None or best.behind is None:
            return "No peer answered: there is nothing to compare with."
        met = best.ratio.point >= BAR and best.behind.low > 0
        short = [row.answer.label for row in self.rows if row.answer.cut] + [one.label for one in self.failed]
        if self.facts.get("protocol") == "global_time" and self.facts["test_users"] < FEW:
            verdict = f"with {self.facts['test_users']} test users, fewer than {FEW}, this is reported and is no bar"
        else:
            verdict = f"{rule}: {'met' if met else 'NOT met'}"
        but = f", but not yet against {', '.join(short)}, cut short or failed" if met and short else ""
        return (
            f"Nightreel's NDCG@10 is {_ratio(best.ratio)} times the best peer's ({best.answer.label}), "
            f"{best.behind.point:+.4f} [{best.behind.low:+.4f}, {best.behind.high:+.4f}]: {verdict}{but}."
        )

    def as_json(self) -> dict[str, Any]:
        """All figures, plain."""
        return {
            **self.facts,
            "verdict": self.verdict(),
            "models": [
                {
                    "model": row.answer.label, "kind": row.kind,
                    **{f"{name}@10": _plain(found) for name, found in row.metrics.items()},
                    "nightreel_minus": _plain(row.behind), "nightreel_over": _plain(row.ratio),
                    "costs": row.answer.costs, "choice": row.answer.choice, "tried": row.answer.tried,
                    "from_an_earlier_run": row.answer.kept, "cut_short": row.answer.cut,
                }
                for row in self.rows
            ],
            "failed": [{"model": one.label, "reason": one.failure} for one in self.failed],
        }  # fmt: skip


def compare(
    ours: Answer, members: list[Answer], peers: list[Answer], truths: list[Truth], facts: dict[str, Any]
) -> Report:
    """Score everybody on the same truth; lists that break the rules count as a failure."""
    users = np.concatenate([truth.users for truth in truths])
    bootstrap = Bootstrap(users)
    rows: list[Row] = []
    failed = [peer for peer in peers if peer.failure]
    sound = [("ours", ours), *(("member", m) for m in members), *(("peer", p) for p in peers if not p.failure)]
    base: dict[str, Floats] | None = None
    for kind, answer in sound:
        try:
            folds = [score(lists, truth) for lists, truth in zip(answer.lists, truths, strict=True)]
        except BadLists as error:
            if kind != "peer":
                raise
            answer.failure = f"unfit lists: {error}"
            failed.append(answer)
            continue
        values = {name: np.concatenate([fold[name] for fold in folds]) for name in METRICS}
        base = base or values
        rows.append(Row(
            kind, answer, values, {name: bootstrap.interval(values[name]) for name in METRICS},
            None if kind == "ours" else bootstrap.interval(base["ndcg"] - values["ndcg"]),
            None if kind == "ours" else bootstrap.ratio(base["ndcg"], values["ndcg"]),
        ))  # fmt: skip
    rows.sort(key=lambda row: -row.ndcg)
    return Report(rows, failed, facts)


def show(report: Report, console: Console) -> None:
    """Two tables, quality and cost, and the verdict."""
    facts = report.facts
    title = (
        f"{facts['source']}, {facts['protocol']}: {facts['test_users']:,} test users, {facts['items']:,} items, "
        f"{facts['events']:,} events"
    )
    quality = Table(title=f"Quality on {title}", title_justify="left")
    for column in ("model", "NDCG@10 [95%]", "recall@10", "MRR@10", "Nightreel − it [95%, paired]", "Nightreel / it"):
        quality.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    cost = Table(title="Cost (seconds; MB of its process)", title_justify="left")
    for column in ("model", "search", "tried", "fit", "recommend", "peak MB", "chosen on validation"):
        cost.add_column(column, justify="left" if column in ("model", "chosen on validation") else "right")
    for row in report.rows:
        behind = row.behind and f"{row.behind.point:+.4f} [{row.behind.low:+.4f}, {row.behind.high:+.4f}]"
        quality.add_row(
            _name(row), str(row.metrics["ndcg"]), *(f"{row.metrics[m].point:.4f}" for m in ("recall", "mrr")),
            behind or "", _ratio(row.ratio) if row.ratio else "", style="bold" if row.kind == "ours" else None,
        )  # fmt: skip
        if row.kind != "member":
            cost.add_row(_name(row), *_costs(row.answer))
    for one in report.failed:
        quality.add_row(one.label, one.failure, style="red")
    console.print(quality, cost, *_notes(report), report.verdict(), sep="\n", highlight=False)


def _notes(report: Report) -> list[str]:
    facts = report.facts
    kept = sum(row.answer.kept for row in report.rows)
    notes = [
        f"Full ranking, items seen before left out; intervals: bootstrap over users. Each peer's search had "
        f"{facts['minutes']:g} minutes on validation, then one fit on train + validation. {facts['machine']}"
    ]
    if facts.get("night_s"):
        notes.append(
            f"Nightreel's whole night: {facts['night_s']:,.0f} s, {facts['night_mb']:,.0f} MB over its process tree; "
            "its search is the finetune stage less one fit."
        )
    cut = ", ".join(row.answer.label for row in report.rows if row.answer.cut)
    if cut:
        notes.append(
            f"CUT SHORT: the budget ended while training still gained for {cut}. Their figures are lower than what "
            "they can do: give more --minutes, or an idle machine."
        )
    if kept:
        notes.append(f"{kept} peers' lists and costs come from an earlier run with the same split, budget and code.")
    return [*notes, *facts.get("checks", [])]


def _costs(answer: Answer) -> list[str]:
    costs = [f"{answer.costs[n]:,.1f}" if n in answer.costs else "–" for n in ("search_s", "fit_s", "recommend_s")]
    peak = f"{answer.costs['peak_mb']:,.0f}" if "peak_mb" in answer.costs else "–"
    choice = ", ".join(f"{name} {value}" for name, value in (answer.choice or {}).items())
    return [costs[0], answer.tried or "–", *costs[1:], peak, choice]


def _name(row: Row) -> str:
    mark = " (cut short)" if row.answer.cut else ""
    return f"  its {row.answer.label}" if row.kind == "member" else row.answer.label + mark


def _ratio(found: Interval) -> str:
    return f"{found.point:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _plain(found: Interval | None) -> list[float | None] | None:
    if found is None:
        return None
    return [round(v, 6) if np.isfinite(v) else None for v in (found.point, found.low, found.high)]

"""The report's section on heads: which outcomes are predicted, and why others are not."""

from __future__ import annotations

from nightreel.report.markup import Markup, caption, section, table
from nightreel.report.run_files import Row, RunFacts


def heads(facts: RunFacts) -> Markup:
    """Log loss of each outcome's head beside its base rate on the last cut in time, fold by fold."""
    rows = [_row(row) for row in facts.curves.get("heads", [])]
    if not rows:
        return Markup("")
    explained = caption(
        "Log loss in nats on the last cut in time, of a head that was trained on the cuts before, and of the share of "
        "examples with the outcome in these. A head stays if it is lower by more than the standard error of the "
        "difference, by user. Half of the examples are items that users met, half are other candidates."
    )
    head = ["fold", "outcome", "examples", "with the outcome", "base rate", "head", "standard error", "in the version"]
    return section("What comes of items", table(head, rows, (2, 3, 4, 5, 6)), explained)


def _row(row: Row) -> list[object]:
    tried = float(row["base_loss"]) > 0
    losses = [f"{float(row[name]):.4f}" if tried else "" for name in ("base_loss", "loss", "error")]
    counts = [f"{int(row[name]):,}" for name in ("examples", "outcomes")]
    return [row["fold"], row["outcome"], *counts, *losses, f"no: {row['why']}" if row["why"] else "yes"]

"""The report's section on rating prediction: the rating model, the biases alone and the mean, side by side."""

from __future__ import annotations

from nightreel.models.factorization.rating_model import SHOWN
from nightreel.report.charts import interval, span
from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.run_files import Row, RunFacts


def ratings(facts: RunFacts) -> Markup:
    """RMSE and MAE of predicted ratings, protocol by protocol, or why they were not measured."""
    gate, parts = facts.verdict.get("gate"), []
    found: Row = facts.report.get("ratings", {})
    for name, own in sorted(found.items(), key=lambda pair: (pair[0] != gate, pair[0])):
        if "models" not in own:
            parts.append(caption(f"Rating prediction ({name}) not measured: {own['not measured']}."))
            continue
        errors = {model: each["rmse"] for model, each in own["models"].items()}
        scale = span([(error["low"], error["high"]) for error in errors.values()])
        rows = [
            [
                SHOWN[model],
                f"{error['point']:.4f}",
                f"{error['low']:.4f}–{error['high']:.4f}",
                f"{own['models'][model]['mae']['point']:.4f}",
                interval(error["low"], error["point"], error["high"], scale),
            ]
            for model, error in sorted(errors.items(), key=lambda pair: float(pair[1]["point"]))
        ]
        parts.append(tag("h3", f"{name} · {own['ratings']:,} ratings of {own['users']:,} users"))
        parts.append(table(["predicted by", "RMSE", "95% interval", "MAE", ""], rows, (1, 2, 3)))
        pair = own["against"]
        parts.append(
            caption(
                f"RMSE of the rating model minus that of its biases alone: {pair['point']:+.4f}, 95% interval "
                f"{pair['low']:+.4f} to {pair['high']:+.4f}; below 0 is better. Users without earlier ratings are "
                f"excluded ({own['cold_users']:,})."
            )
        )
    return section("Rating prediction", *parts)

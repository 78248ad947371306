"""The model card: every part in words, with the figures it was given, and nothing of times, hosts or champions."""

from __future__ import annotations

from typing import Any

from nightreel.evaluation.reporting.model_card_markdown import as_markdown

NDCG = {"point": 0.1, "low": 0.08, "high": 0.12}
MODEL = {"ndcg@10": [0.1, 0.08, 0.12], "recall@10": [0.2, 0.1, 0.3], "beyond": {"coverage@10": 0.25}}
CARD: dict[str, Any] = {
    "name": "films | <b>", "intended_use": ["ranking"], "not_for": ["credit"], "terms": "research only",
    "data": {
        "users": 120, "items": 80, "events": 2400, "clock": "time", "begins": "2024-01-01", "ends": "2024-03-01",
        "positive_share": 0.5, "rows": {"events": {"in": 2500, "clean": 2400, "quarantined": 90, "erased": 10}},
        "pseudonymised": True, "positive": "watch ≥ 0.5, like", "warnings": ["4 items have no event."],
    },
    "recipe": {"members": {"ease": {"regularization": 200.0, "decay": 10.0}}, "encoder": "finetuned", "blend": "trees",
               "moment": "last_event"},
    "encoder": {"encoder": "all-MiniLM-L6-v2", "licence": "Apache-2.0"},
    "metrics": {"global_time": {"users": 120, "models": {"blend": MODEL}}, "leave_last_out": {"users": 0, "models": {}}},
    "decided_on": "global_time",
    "slices": [{"by": "language", "name": "pt|br", "users": 60, "ndcg": NDCG}],
    "gaps": [{"by": "language", "best": "en", "worst": "pt", "gap": NDCG}],
    "newcomers": [{"what": "user, 0 events known", "model": "blend", "users": 120, "ndcg": NDCG}],
    "drift": [{"what": "event", "state": "steady", "text": "PSI 0.01"},
              {"what": "hour", "state": "warning", "text": "PSI 0.15 of 300 values"}],
    "limits": ["Figures are about logged behaviour."],
    "lineage": {"source": "abc", "splits": {"global_time": "d" * 64}, "beside": "lineage.json"},
}  # fmt: skip


def test_it_says_all_of_it_in_order() -> None:
    text = as_markdown(CARD)
    said = [
        "# Model card: recommendations over films \\| &lt;b>", "- ranking", "- credit", "2,400 events of 120 users",
        "keyed hashes", "| events | 2,500 | 2,400 | 90 | 10 |", "Positive events: watch ≥ 0.5, like.",
        "Warning: 4 items have no event.", "Blended by trees. Content: all-MiniLM-L6-v2 (fine-tuned on behaviour, licence "
        "Apache-2.0).", "| ease | decay 10, regularization 200 |", "### global_time: 120 test users, used by the gate",
        "| blend | 0.1000 [0.0800, 0.1200] |", "0.2500", "Not measured: there are no test users.",
        "| language | pt\\|br | 60 | 0.1000 [0.0800, 0.1200] |", "| language | en | pt |", "user, 0 events known",
        "Steady figures: 1.", "| hour | warning | PSI 0.15 of 300 values |", "- Figures are about logged behaviour.",
        "research only", "- test split global_time: `dddddddddddddddd`",
    ]  # fmt: skip
    places = [text.index(each) for each in said]
    assert places == sorted(places)


def test_what_is_not_there_is_said_or_left_out() -> None:
    text = as_markdown(CARD | {"slices": [], "newcomers": [], "encoder": {}, "drift": []})
    assert "Not measured: no slice has users." in text
    assert "## Cold start" not in text and "Content:" not in text

"""The files that a run leaves for its report, with a title that would break a careless page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nightreel.stage import write_json

EVIL = "<script>alert('x')</script> & \"Sons\""
NDCG = {"point": 0.1, "low": 0.08, "high": 0.12}
RATED = {
    "ratings": 943, "users": 941, "cold_users": 2, "against": {"point": -0.0171, "low": -0.0302, "high": -0.0044},
    "models": {
        name: {"rmse": {"point": rmse, "low": rmse - 0.04, "high": rmse + 0.04}, "mae": {"point": 0.77, "low": 0.7, "high": 0.8}}
        for name, rmse in (("ratings", 0.9792), ("biases", 0.9963), ("mean", 1.1893))
    },
}  # fmt: skip
DIFFERENCE = {"point": -0.2, "low": -0.3, "high": -0.1, "users": 60, "detectable": 0.05}
RULE = {
    "name": "no slice regression", "state": "failed", "bound": -0.03, "point": -0.2, "users": 60, "detectable": 0.123,
    "text": "1 of 2 slices broken",
}  # fmt: skip
CHAMPION = {
    "name": "not worse than the champion", "state": "inconclusive", "bound": -0.03, "point": 0.012, "low": -0.05,
    "high": 0.08, "users": 120, "detectable": 0.09, "users_needed": 1500, "text": "NDCG@10 +1.2% against champion",
}  # fmt: skip


def write_run(folder: Path) -> tuple[Path, Path]:
    """data and state folder of a rejected challenger."""
    data, state = folder / "data", folder / "state"
    verdict: dict[str, Any] = {
        "decision": "reject", "label": "broken slice", "sentence": f"reject: {EVIL}", "gate": "global_time", "users": 120,
        "candidate": "c" * 64, "champion": "d" * 64, "comparison": "a", "rules": [CHAMPION, RULE], "cold_users": 7,
        "model": "blend", "intervals": {"blend": {"ndcg@10": [0.1, 0.08, 0.12]}},
        "override": {"by": "Ann", "reason": EVIL, "instead_of": "promote (better)"},
        "slices": [
            {"by": "language", "name": EVIL, "users": 60, "ndcg": NDCG, "difference": DIFFERENCE, "upper": -0.05, "broken": True},
            {"by": "language", "name": "en", "users": 9, "ndcg": NDCG, "difference": None, "upper": None, "broken": False},
        ],
        "gaps": [{"by": "language", "best": "en", "worst": "pt", "gap": NDCG}],
    }  # fmt: skip
    beyond = {"coverage@10": 0.25, "gini@10": 0.8, "novelty@10": 3.0}
    model = {"ndcg@10": [0.1, 0.08, 0.12], "recall@10": 0.2, "hit_rate@10": 0.2, "mrr@10": 0.1, "beyond": beyond}
    report = {
        "protocols": {"global_time": {"users": 120, "models": {"blend": model}}, "leave_last_out": {"users": 0, "models": {}}},
        "champion": {"ndcg@10": 0.12, "challenger": 0.1},
        "ratings": {"leave_last_out": {"not measured": "no ratings"}, "global_time": RATED},
        "groups": [{"by": "creators", "name": EVIL, "items": 3, "exposure": NDCG, "wanted": 0.2, "surplus": NDCG}],
        "long_tail": {"challenger": [[0.0, 0.0], [0.5, 0.9], [1.0, 1.0]]},
        "samples": [
            {"user": "u1", "history": [EVIL], "events": 12, "wanted": ["B"], "challenger": [["A", False], ["B", True]],
             "champion": [["B", True]], "ndcg": 0.63, "champion_ndcg": 1.0,
             "why": [["Because you watched B", [0.6, 0.3, 0.1]], ["Popular now", [0.0, 0.0, 1.0]]],
             "evidence": [["B", 0.6]], "lifted": [["member ease", 0.71], ["its age", -0.2]],
             "words": {"history": [["Drama", 1.0], ["violin", 0.4]], "challenger": [["Drama", 1.0]], "champion": []}},
        ],
        "pairs": [{"metric": "ndcg@10", "challenger": NDCG, "champion": NDCG, "difference": DIFFERENCE}],
        "against_blend": [{"model": "ease", "difference": DIFFERENCE, "upper": -0.04},
                          {"model": "svd", "difference": None, "upper": None}],
        "behaviours": [{"name": "a fan gets it", "figure": -0.1, "bound": 0.0, "cases": 8, "text": "-10.0%"},
                       {"name": "night to night", "figure": None, "bound": None, "cases": 0, "text": "no lists"}],
    }  # fmt: skip
    write_json(data / "snapshot" / "recipe.json", {"recipe": "abc123" * 8})
    write_json(data / "snapshot" / "source.json", {"name": "films"})
    write_json(data / "evaluate" / "verdict.json", verdict)
    write_json(data / "evaluate" / "report.json", report)
    write_json(
        data / "evaluate" / "cold_start.json",
        [{"what": "user, 0 events known", "model": "blend", "users": 120, "ndcg": NDCG}],
    )
    point = {
        "events": 0,
        "items": 40,
        "wanted": 90,
        "reached": 20,
        "compared": 88,
        "expected": 44.4,
        "places": 0.031,
        "taken": 0.25,
    }
    step = {"step": "t0", "events": 0, "wanted": 9, "reached": 3, "expected": 4.5}
    write_json(data / "evaluate" / "new_items.json", {
        "curve": [point | {"ratio": {"point": 0.45, "low": 0.3, "high": 0.61}},
                  point | {"events": 2, "ratio": {"point": 0.9, "low": 0.71, "high": 1.1}}, point | {"events": 5, "ratio": None}],
        "lines": [{"item_id": "i7", "steps": [step, step | {"step": "t1", "events": 4, "wanted": 2, "reached": 2, "expected": 1.0}]}],
        "titles": {"i7": EVIL},
    })  # fmt: skip
    write_json(data / "evaluate" / "drift.json", [
        {"against": "the last good snapshot", "what": EVIL, "figure": 0.31, "warn": 0.1, "stop": 0.25, "state": "stop",
         "text": "PSI 0.310 of 900 values"},
        {"against": "training", "what": "event", "figure": 0.0, "warn": 0.1, "stop": None, "state": "steady", "text": "PSI 0"},
    ])  # fmt: skip
    outcome = {
        "outcome": "conversion",
        "arm": "B",
        "why": None,
        "control_value": 0.2,
        "arm_value": 0.3,
        "users": [60, 60],
    }
    write_json(data / "evaluate" / "logs.json", {
        "off_policy": {
            "why": None, "places": 5, "impressions": 900, "slates": 300, "users": 120, "effective": 250.0, "support": NDCG,
            "logged": NDCG, "ips": NDCG, "snips": NDCG, "dr": NDCG,
        },
        "experiment": {
            "users": {"A": 60, "B": 60}, "control": "A", "ratio_p": 0.8, "crossed": 0, "why": None,
            "outcomes": [outcome | {"point": 0.1, "low": 0.04, "high": 0.16},
                         {"outcome": "retention", "arm": "B", "why": "there is no clock"}],
        },
    })  # fmt: skip
    write_json(data / "evaluate" / "card.json", {
        "intended_use": ["ranking"], "not_for": ["credit"], "limits": [EVIL], "terms": "research only",
        "recipe": {"members": {"ease": {"decay": 10.0}}, "blend": "trees"},
    })  # fmt: skip
    write_json(data / "validate" / "report.json", {
        "tables": {"events": {"in": 1000, "clean": 990, "quarantined": 10, "erased": 0}}, "warnings": [EVIL],
        "facts": {"density": 0.0123, "users": 120},
    })  # fmt: skip
    for place, text in (
        (
            "evaluate/plots/by_k.csv",
            "protocol,model,k,ndcg,recall\nglobal_time,blend,1,0.05,0.1\nglobal_time,blend,10,0.1,0.2\n",
        ),
        ("finetune/plots/encoder.csv", "step,loss\n0,4.0\n1,3.0\n2,2.5\n"),
    ):
        path = data / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    write_json(state / "notes" / "evaluate.json", {"test_reads": {"global_time": 3}})
    write_json(state / "notes" / "finetune.cost.json", {"wall_seconds": 112.94, "peak_mb": 1370.5})
    write_json(state / "notes" / "refit.json", {"latency_ms": 5.92, "memory_mb": 141.0})
    return data, state

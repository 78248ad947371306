"""The outputs of evaluate: tables for later stages, a few metrics for `dvc metrics`, curves for `dvc plots`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.data.dataset import Dataset
from nightreel.evaluation.gate.gate import GateResult
from nightreel.evaluation.gate.verdict import CHAMPION_RULE, POPULARITY_RULE, GateRule
from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.metrics.ranking import METRICS
from nightreel.evaluation.model_scores import GATE_K, GATE_METRIC, ModelScores
from nightreel.evaluation.segments.cold_start import Row
from nightreel.models.engine import BLEND
from nightreel.stage import write_json

KEPT = 3 * GATE_K  # stored positions of a list, with some to spare for items hidden on a later night
Found = Mapping[str, Mapping[str, Interval]]


def write_results(
    folder: Path,
    data: Dataset,
    choices: dict[str, Any],
    measured: Mapping[str, tuple[ModelScores, Found]],
    cold: Sequence[Row],
    judgement: GateResult,
    champion: str | None,
    candidate: str,
) -> None:
    """Write data/evaluate, except report.json and the model card. choices: finetune's; champion, candidate: digests."""
    scores, found = measured[data.gate]
    verdict, comparison = judgement.verdict, judgement.comparison
    blend = {} if verdict.model == BLEND else {"blend": verdict.model, "columns": [], "weights": [], "relearn": False}
    decided = {
        "decision": verdict.decision,
        "label": verdict.label,
        "model": verdict.model,
        "refresh": judgement.refresh,
        "candidate": candidate,
    }
    write_json(folder / "decision.json", decided | {"choices": choices | blend})
    points = {model: {m: [i.point, i.low, i.high] for m, i in each.items()} for model, each in found.items()}
    facts = {
        "champion": champion,
        "split_digest": data.split_digest[data.gate],
        "gate": data.gate,
        "users": scores.n_users,
        "cold_users": scores.cold,
        "intervals": points,
        "comparison": comparison.rule if comparison else None,
        "candidate": candidate,
        "slices": [asdict(each) for each in judgement.slices],
        "gaps": [asdict(each) for each in judgement.gaps],
        "behaviours": [asdict(each) for each in judgement.behaviours],
    }
    write_json(folder / "verdict.json", verdict.model_dump() | facts)
    write_json(folder / "cold_start.json", [asdict(row) for row in cold])
    write_scores(folder / "per_user.parquet", scores, [verdict.model], data.user_ids)
    write_scores(folder / "scores.parquet", scores, scores.models, data.user_ids)
    write_lists(folder / "lists.parquet", scores, verdict.model, data.user_ids, data.item_ids)
    write_plots(folder / "plots", measured, sorted({int(m.partition("@")[2]) for m in next(iter(found.values()), {})}))


def cold_metrics(cold: Sequence[Row]) -> dict[str, float]:
    """`user, 3 events known: blend` → NDCG@10."""
    return {f"{row.what}: {row.model}": _round(row.ndcg.point) for row in cold}


def write_scores(path: Path, scores: ModelScores, models: Sequence[str], user_ids: Sequence[str]) -> None:
    """Write one row per (model, fold, user) with the ranking metrics; without a column `model` for a single model."""
    tables = []
    for model in models:
        columns: dict[str, Any] = {} if len(models) == 1 else {"model": [model] * len(scores.users)}
        columns |= {
            "fold": scores.folds,
            "user": pa.array(scores.users, pa.int32()),
            "user_id": [user_ids[user] for user in scores.users],
        }
        tables.append(pa.table(columns | scores.values[model]))
    pq.write_table(pa.concat_tables(tables), path)


def write_lists(path: Path, scores: ModelScores, model: str, user_ids: Sequence[str], item_ids: Sequence[str]) -> None:
    """Write the model's top KEPT items for every (fold, user): fold, user, user_id, rank (from 1), item, item_id."""
    top = scores.lists[model][:, :KEPT]
    row, column = np.nonzero(top >= 0)
    items = top[row, column]
    pq.write_table(
        pa.table(
            {
                "fold": [scores.folds[r] for r in row],
                "user": pa.array(scores.users[row], pa.int32()),
                "user_id": [user_ids[user] for user in scores.users[row]],
                "rank": pa.array(column + 1, pa.int32()),
                "item": pa.array(items, pa.int32()),
                "item_id": [item_ids[item] for item in items],
            }
        ),
        path,
    )


def metrics(
    protocols: Mapping[str, tuple[ModelScores, Found]], gate: str, model: str, rules: Iterable[GateRule]
) -> dict[str, Any]:
    """A few metrics for `dvc metrics show` and `diff`; `gate` is the served model on the gate's protocol."""
    result: dict[str, Any] = {"gate": _served(protocols[gate], model, rules)}
    for name, (_, found) in protocols.items():
        result[name] = {GATE_METRIC: {m: _round(each[GATE_METRIC].point) for m, each in found.items() if each}}
    return result


def write_plots(folder: Path, protocols: Mapping[str, tuple[ModelScores, Found]], cutoffs: Sequence[int]) -> None:
    """by_k.csv: every metric by model and cut-off; by_model.csv: NDCG@10 by model with its 95% interval."""
    folder.mkdir(parents=True, exist_ok=True)
    curves, bars = [], []
    for name, (scores, found) in protocols.items():
        for model in scores.models if scores.n_users else ():
            curves += [[name, model, k, *(_round(found[model][f"{m}@{k}"].point) for m in METRICS)] for k in cutoffs]
            ndcg = found[model][GATE_METRIC]
            bars.append([name, model, _round(ndcg.point), _round(ndcg.low), _round(ndcg.high)])
    _csv(folder / "by_k.csv", ["protocol", "model", "k", *METRICS], curves)
    _csv(folder / "by_model.csv", ["protocol", "model", "ndcg", "low", "high"], bars)


def _served(measured: tuple[ModelScores, Found], model: str, rules: Iterable[GateRule]) -> dict[str, float]:
    scores, found = measured
    served = {"users": float(scores.n_users)}
    if scores.n_users:
        ndcg = found[model][GATE_METRIC]
        served |= _small(scores, found, model) | {"ndcg@10 low": _round(ndcg.low), "ndcg@10 high": _round(ndcg.high)}
    relative = (CHAMPION_RULE, POPULARITY_RULE)
    against = {f"against {rule.name.rsplit(' ', 1)[1]}": rule.point for rule in rules if rule.name in relative}
    return served | {name: _round(point) for name, point in against.items() if point is not None}


def _small(scores: ModelScores, found: Found, model: str) -> dict[str, float]:
    own = {f"{name}@{GATE_K}": _round(found[model][f"{name}@{GATE_K}"].point) for name in METRICS}
    return own | {name: _round(value) for name, value in scores.beyond_accuracy[model].items() if name != "repeats"}


def _csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def _round(value: float) -> float:
    """Round to six digits, so that outputs do not depend on the last bits of a sum."""
    return round(value, 6)

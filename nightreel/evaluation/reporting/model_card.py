"""The model card (Mitchell et al., "Model cards for model reporting", 2019) of a candidate, from the facts of its run.

It is part of the bundle, so it contains nothing that depends on the champion, the time or the host: the same recipe
gives the same card. The verdict and the comparison are in lineage.json and in the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nightreel.data.dataset import Dataset
from nightreel.evaluation.drift.drift_bounds import TRAINING, DriftFigure
from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.model_scores import GATE_K, GATE_METRIC, ModelScores
from nightreel.evaluation.reporting.model_card_markdown import as_markdown
from nightreel.evaluation.segments.cold_start import Row
from nightreel.evaluation.segments.slice_tests import Gap, SliceScore
from nightreel.evaluation.test_set import POPULARITY
from nightreel.models.engine import BLEND
from nightreel.settings.params_file import Settings
from nightreel.stage import write_json

SHOWN = tuple(f"{name}@{GATE_K}" for name in ("ndcg", "recall", "hit_rate", "mrr"))
FACTS = (
    "users",
    "items",
    "events",
    "clock",
    "begins",
    "ends",
    "positive",
    "positive_share",
    "density",
    "cold_item_share",
)
Found = Mapping[str, tuple[ModelScores, Mapping[str, Mapping[str, Interval]]]]
USE = (
    "ranking the items of one catalogue for a user, from that user's history",
    "finding similar items, and searching by words, in the same catalogue",
)
NOT_FOR = (
    "decisions about people, such as offers outside this catalogue, credit, work or health",
    "conclusions about a person from a list: explanations name what influenced the list, not the person's character",
    "other catalogues or the users of other services, on which nothing was measured",
)


@dataclass(frozen=True)
class CardFacts:
    """The inputs of a card. source: snapshot's source.json; validated: validate's report.json; choices: finetune's;
    slices, gaps: over all test users, without a champion; embed: the encoder's card."""

    source: Mapping[str, Any]
    validated: Mapping[str, Any]
    choices: Mapping[str, Any]
    embed: Mapping[str, Any]
    model: str
    slices: Sequence[SliceScore]
    gaps: Sequence[Gap]
    cold: Sequence[Row]
    changes: Sequence[DriftFigure]


def write_card(folder: Path, data: Dataset, measured: Found, settings: Settings, facts: CardFacts) -> None:
    """Write card.json and card.md, which refit copies into the bundle."""
    card = model_card(data, measured, facts, settings)
    write_json(folder / "card.json", card)
    (folder / "card.md").write_text(as_markdown(card), "utf-8")


def model_card(data: Dataset, measured: Found, facts: CardFacts, settings: Settings) -> dict[str, Any]:
    """Return the card as JSON."""
    described = facts.validated["facts"]
    chosen = ("members", "encoder", "moment", *(["backbone"] if "backbone" in facts.choices else []))
    recipe = {name: facts.choices[name] for name in chosen}
    return {
        "name": facts.source["name"],
        "intended_use": list(USE),
        "not_for": list(NOT_FOR),
        "terms": facts.source["terms"],
        "data": {
            **{name: described[name] for name in FACTS if name in described},
            "rows": {
                name: {part: own[part] for part in ("in", "clean", "quarantined", "erased")}
                for name, own in facts.validated["tables"].items()
            },
            "pseudonymised": facts.source["pseudonymised"],
            "warnings": list(facts.validated["warnings"]),
        },
        "recipe": recipe | {"blend": facts.choices["blend"] if facts.model == BLEND else facts.model},
        "encoder": dict(facts.embed),
        "metrics": {name: _metrics(own, found, facts.model) for name, (own, found) in measured.items()},
        "decided_on": data.gate,
        "slices": [_slice(each) for each in facts.slices],
        "gaps": [asdict(each) for each in facts.gaps],
        "newcomers": [asdict(row) for row in facts.cold],
        "drift": [asdict(each) for each in facts.changes if each.against == TRAINING],
        "limits": limits(data, measured, facts, settings),
        "lineage": {
            "source": facts.source["fingerprint"],
            "splits": dict(data.split_digest),
            "beside": "lineage.json: recipe, parameters, commit, verdict, predecessor",
        },
    }


def limits(data: Dataset, measured: Found, facts: CardFacts, settings: Settings) -> list[str]:
    """The limits of the metrics, in general and on this data set."""
    scores, found = measured[data.gate]
    said = ["The metrics measure logged behaviour: what users chose without having been shown these lists."]
    if scores.n_users:
        ndcg = found[facts.model][GATE_METRIC]
        half = (ndcg.high - ndcg.low) / 2 / ndcg.point if ndcg.point else 0.0
        said.append(f"{scores.n_users:,} test users: the 95% interval of NDCG@10 is ±{half:.0%} of its value.")
        beyond = scores.beyond_accuracy[facts.model]
        reach = f"The lists of {scores.n_users:,} users cover {beyond['coverage@10']:.1%} of the catalogue"
        lift = beyond.get("popularity_lift@10")
        more = (
            ""
            if lift is None
            else (
                f"; their items are {abs(lift):.0%} {'more' if lift > 0 else 'less'} popular than the users' histories"
            )
        )
        said.append(f"{reach}{more}.")
    else:
        said.append("There are no test users, so nothing was measured.")
    if data.gate == "leave_last_out":
        said.append(
            "The gate tests on each user's last item: the models may have been trained on later events of other users, "
            "although histories contain none."
        )
    if data.clock != "time":
        said.append("The source has no clock, so freshness, trends and tests in time were not measured.")
    cold = float(facts.validated["facts"].get("cold_item_share", 0.0))
    if cold:
        said.append(f"{cold:.1%} of the items have no events and can be recommended by their content only.")
    if scores.cold:
        said.append(f"{scores.cold:,} test users had no history and are excluded from the metrics.")
    small = [each for each in facts.slices if each.users < settings.evaluate.slice_users]
    if small:
        least = settings.evaluate.slice_users
        said.append(f"{len(small)} slices have fewer than {least} users, too few for reliable metrics.")
    return said


def _metrics(scores: ModelScores, found: Mapping[str, Mapping[str, Interval]], model: str) -> dict[str, Any]:
    models = [name for name in (model, POPULARITY) if name in scores.models] if scores.n_users else []
    return {
        "users": scores.n_users,
        "models": {
            name: {
                **{metric: [each.point, each.low, each.high] for metric in SHOWN for each in [found[name][metric]]},
                "beyond": dict(scores.beyond_accuracy[name]),
            }
            for name in dict.fromkeys(models)
        },
    }


def _slice(each: SliceScore) -> dict[str, Any]:
    return {"by": each.by, "name": each.name, "users": each.users, "ndcg": asdict(each.ndcg)}

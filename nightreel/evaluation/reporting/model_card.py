"""The model card (Mitchell et al., "Model cards for model reporting", 2019) of a candidate, from the facts of its run.

It goes into the bundle, so it says nothing that hangs on the champion of the night, a time or a host: the same recipe
gives the same card. The verdict and the comparison stand beside the bundle, in lineage.json and in the report.
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
from nightreel.settings import Settings
from nightreel.stage import write_json

SHOWN = tuple(f"{name}@{GATE_K}" for name in ("ndcg", "recall", "hit_rate", "mrr"))
FACTS = ("users", "items", "events", "clock", "begins", "ends", "positive_share", "density", "cold_item_share")
Found = Mapping[str, tuple[ModelScores, Mapping[str, Mapping[str, Interval]]]]
USE = (
    "ranking what one user may like next, in one catalogue, from what that user did before",
    "items near an item, and search by words, in the same catalogue",
)
NOT_FOR = (
    "decisions about people: what somebody is offered beside this catalogue, credit, work, health",
    "conclusions about a person from a list; reasons name what moved the list, not what the person is like",
    "another catalogue or another service's users: nothing here was measured on them",
)


@dataclass(frozen=True)
class CardFacts:
    """What a card is written from. source: snapshot's source.json; validated: validate's report.json; choices:
    finetune's; slices, gaps: of all test users, without a champion; embed: the encoder's card."""

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
    """card.json and card.md; refit puts them into the bundle."""
    card = model_card(data, measured, facts, settings)
    write_json(folder / "card.json", card)
    (folder / "card.md").write_text(as_markdown(card), "utf-8")


def model_card(data: Dataset, measured: Found, facts: CardFacts, settings: Settings) -> dict[str, Any]:
    """The card as JSON."""
    told = facts.validated["facts"]
    chosen = ("members", "encoder", "moment", *(["backbone"] if "backbone" in facts.choices else []))
    recipe = {name: facts.choices[name] for name in chosen}
    return {
        "name": facts.source["name"],
        "intended_use": list(USE),
        "not_for": list(NOT_FOR),
        "terms": facts.source["terms"],
        "data": {
            **{name: told[name] for name in FACTS if name in told},
            "rows": {
                name: {part: own[part] for part in ("in", "clean", "quarantined", "erased")}
                for name, own in facts.validated["tables"].items()
            },
            "pseudonymised": facts.source["pseudonymised"],
            "positive": settings.validate_.positive,
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
    """What the figures do not say, or say of this data set in particular."""
    scores, found = measured[data.gate]
    said = ["Figures are about logged behaviour: what users took to without being shown these lists."]
    if scores.n_users:
        ndcg = found[facts.model][GATE_METRIC]
        half = (ndcg.high - ndcg.low) / 2 / ndcg.point if ndcg.point else 0.0
        said.append(f"{scores.n_users:,} test users: NDCG@10 is known to within {half:.0%} of itself.")
        beyond = scores.beyond_accuracy[facts.model]
        reach = f"Lists of {scores.n_users:,} users reach {beyond['coverage@10']:.1%} of the catalogue"
        lift = beyond.get("popularity_lift@10")
        more = (
            ""
            if lift is None
            else (
                f"; what they hold is {abs(lift):.0%} {'more' if lift > 0 else 'less'} popular than what users had taken to"
            )
        )
        said.append(f"{reach}{more}.")
    else:
        said.append("There are no test users: nothing is measured.")
    if data.gate == "leave_last_out":
        said.append("Decided on each user's last item: weights may know what others did later, though no history does.")
    if data.clock != "time":
        said.append("The source has no clock: freshness, trends and tests by time are not measured.")
    cold = float(facts.validated["facts"].get("cold_item_share", 0.0))
    if cold:
        said.append(f"{cold:.1%} of the items have no event: only their content can recommend them.")
    if scores.cold:
        said.append(f"{scores.cold:,} test users had no history and are not in the figures.")
    small = [each for each in facts.slices if each.users < settings.evaluate.slice_users]
    if small:
        least = settings.evaluate.slice_users
        said.append(f"{len(small)} slices have fewer than {least} users: their figures tell little.")
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

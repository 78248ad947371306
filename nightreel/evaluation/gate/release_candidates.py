"""The bundles that tonight may publish, in order of preference.

First the promoted candidate's choices, refitted over every event. Otherwise the live version's recorded choices,
refitted, so that counts, popularity and members know the latest events on held and rejected nights, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nightreel.models.registry import models
from nightreel.models.training.going_on.earlier_selection import CutRecord
from nightreel.models.training.ranker_selection import fit_ranker
from nightreel.models.training.selected_params import SelectedParams, with_heads_trees
from nightreel.models.training.training_examples import saved
from nightreel.reader.reader import Reader
from nightreel.settings.finetune import Finetune
from nightreel.stage import log_progress

REFRESHED = "refreshed"


@dataclass(frozen=True)
class Shipment:
    """A bundle to build. label: the verdict's, or REFRESHED; choices: the selected parameters; before: the version that
    it replaces; rehearsal: the files of its evaluation by name; start: whether members may be warm-started from the
    candidate's; facts: further entries of the bundle's config."""

    label: str
    choices: SelectedParams
    before: Reader
    rehearsal: Mapping[str, Path]
    start: bool
    facts: Mapping[str, Any]


def shipments(
    decision: Mapping[str, Any],
    champion: Path | None,
    finetune: Path,
    evaluate: Path,
    settings: Finetune,
    threads: int,
    newest: CutRecord | None,
) -> Iterator[Shipment]:
    """Yield the bundles that may be published, in order of preference.

    Args:
        decision: evaluate's decision.json.
        champion: Folder of the live version, if there is one.
        finetune: The output folder of finetune.
        evaluate: The output folder of evaluate.
        settings: The settings of finetune.
        threads: Threads for training the ranker.
        newest: What the ranker may learn from the test period; None where it may not.
    """
    files = ("per_user.parquet", "lists.parquet", "profile.json", "directions.npy", "card.json", "card.md")
    if decision["decision"] == "promote":
        candidate = Reader.open_bundle(finetune / "candidate")
        choices = relearned(decided(decision, finetune), newest, finetune, settings, threads)
        yield Shipment(decision["label"], choices, candidate, {name: evaluate / name for name in files}, True, {})
    if champion is not None and decision["refresh"]:
        yield from refreshed(champion, evaluate)


def decided(decision: Mapping[str, Any], finetune: Path) -> SelectedParams:
    """The selected parameters of the decision, with the blend's trees."""
    chosen = with_heads_trees(decision["choices"], finetune)
    trees = SelectedParams.read(finetune).trees if chosen["blend"] == "trees" else ""
    return SelectedParams.model_validate({**chosen, "trees": trees})


def relearns(choices: SelectedParams) -> bool:
    """Whether the ranker is trained again, now also on the candidate's test period: if there is anything to train, and
    validation over several cuts in time showed no loss from that."""
    return choices.relearn and choices.blend in ("trees", "weighted")


def relearned(
    choices: SelectedParams, newest: CutRecord | None, finetune: Path, settings: Finetune, threads: int
) -> SelectedParams:
    """The choices, with the ranker trained again where it should be."""
    if newest is None or not relearns(choices):
        return choices
    log_progress(f"ranker: trained again with {len(newest.examples.sizes):,} newer training positions")
    examples = [saved(finetune / "examples"), newest.examples]
    blend = fit_ranker(choices.ranker, examples, tuple(sorted(choices.members)), settings, threads)
    return choices.model_copy(update={"columns": blend.columns, "trees": blend.model, "weights": blend.weights})


def refreshed(champion: Path, evaluate: Path) -> Iterator[Shipment]:
    """Yield the live version's recorded choices; nothing, with a message, if this release can't train them."""
    try:
        choices = SelectedParams.read(champion / "rehearsal")
    except (FileNotFoundError, ValidationError):
        log_progress("the live version stores no parameters that this release can refit: it stays as it is")
        return
    if unknown := sorted(choices.members.keys() - models().keys()):
        log_progress(f"the live version has a model that this release does not know ({unknown[0]}): it stays as it is")
        return
    files = {name: evaluate / name for name in ("profile.json", "directions.npy")}
    files |= {name: champion / name for name in ("card.json", "card.md") if (champion / name).exists()}
    facts = {"refreshed": champion.name}
    yield Shipment(REFRESHED, choices, Reader.open_bundle(champion, check=False), files, False, facts)

"""Hyper-parameters and ranker selected on validation, from which all later trainings of a version start."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator

from nightreel.models.config import ModelConfig
from nightreel.models.outcomes.heads import FOLDER, Curve, Heads, OutcomeHead
from nightreel.models.ranker import aversion
from nightreel.models.ranker.candidates import NO_SHORTLIST
from nightreel.models.registry import spec
from nightreel.settings.backbone import Backbone
from nightreel.settings.renamed import MODEL_FIELDS
from nightreel.stage import read_json, write_json

Moment = Literal["last_event", "data_until"]
LEAST_SHOWN = 0.005  # smaller weights round to 0.00


class NewcomerParams(BaseModel):
    """What was selected for users without events; see nightreel.models.newcomers.

    Attributes:
        columns: Names of the columns of context.
        strength: Events that the prior of a segment weighs.
        pull: What an item gains that carries a label which the user chose.
        ndcg: NDCG@10 on the period that confirmed the selection.
        plain_ndcg: That of plain popularity there.
        users: Newcomers of that period.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[str, ...]
    strength: float
    pull: float = 0.0
    ndcg: float
    plain_ndcg: float
    users: int


class HeadsParams(BaseModel):
    """The heads that stayed; see nightreel.models.outcomes.heads.

    Attributes:
        columns: Names of the features.
        wanted: Scale and shift of the curve from a candidate's standing to P(wanted).
        curves: Scale and shift of each head's curve by outcome.
        trees: LightGBM's text form by outcome, stored in separate files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[str, ...]
    wanted: tuple[float, float]
    curves: dict[str, tuple[float, float]]
    trees: dict[str, str]

    @classmethod
    def of(cls, heads: Heads) -> Self:
        """From heads."""
        return cls(
            columns=heads.columns,
            wanted=(heads.wanted.scale, heads.wanted.shift),
            curves={name: (head.curve.scale, head.curve.shift) for name, head in heads.by_outcome.items()},
            trees={name: head.model for name, head in heads.by_outcome.items()},
        )

    def opened(self) -> Heads:
        """As heads."""
        heads = {name: OutcomeHead(self.trees[name], Curve(*curve)) for name, curve in self.curves.items()}
        return Heads(self.columns, Curve(*self.wanted), heads)


class SelectedParams(BaseModel):
    """Everything that was selected on one fold.

    Attributes:
        members: Hyper-parameters by model.
        blend: Kind of ranker: `trees`, `weighted`, `fusion` or a model's name.
        columns: The ranker's features.
        trees: LightGBM's text form, stored in a separate file; empty without trees.
        weights: One a column, of the weighted sum; empty for none.
        ranker: Name of the selected ranker in nightreel.models.training.ranker_selection.
        relearn: Whether refit retrains the ranker with the newest events.
        cutoff: Candidates retrieved from each model.
        shortlist: Candidates of all models that are ranked.
        new_every: Every so-many-th place of a list is kept for a new item that fits; 0 for none.
        half_life_days: Half-lives of the popularity trends, in days.
        buckets: Points in time at which they are stored.
        encoder: Content vectors in use: `base`, `finetuned` or `fused`.
        moment: Time at which evaluation requests a known user's list.
        ratings: Hyper-parameters of the rating model; empty without one.
        backbone: Pretrained checkpoint of the transformer's layers; None where they are its own.
        newcomers: Columns of context by which newcomers' lists are made; None where plain popularity is as good.
        heads: Models of outcomes; None where none tells more than its base rate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: dict[str, dict[str, float]]
    blend: str
    columns: tuple[str, ...]
    trees: str = ""
    weights: tuple[float, ...] = ()
    ranker: str = ""
    relearn: bool = False
    cutoff: int
    shortlist: int = NO_SHORTLIST
    new_every: int = 0
    half_life_days: tuple[float, ...]
    buckets: int
    encoder: Literal["base", "finetuned", "fused"]
    moment: Moment
    ratings: dict[str, float] = {}
    backbone: Backbone | None = None
    newcomers: NewcomerParams | None = None
    heads: HeadsParams | None = None

    @field_validator("members", "ratings", mode="before")
    @classmethod
    def _with_new_names(cls, values: Any) -> Any:
        """Accept the names that versions of 0.1 contain."""
        return {
            MODEL_FIELDS.get(name, name): cls._with_new_names(value) if isinstance(value, dict) else value
            for name, value in values.items()
        }

    def config(self, name: str) -> ModelConfig:
        """The selected config of a model, complete."""
        return self.completed(spec(name).config.model_validate(self.members[name]))

    def completed(self, config: ModelConfig) -> ModelConfig:
        """The config with the sections that its model alone reads, as the transformer's `backbone`."""
        return config.model_copy(update={name: getattr(self, name) for name in config.sections})

    def described(self) -> str:
        """The ranker in words: `the weighted sum 1.00 × ease + 0.50 × recent popularity (half-life 7 days)`."""
        if self.blend == "trees":
            return f"{self.ranker.removeprefix('trees ')} trees over a weighted sum of {len(self.members)} models"
        if self.blend == "weighted":
            terms = [pair for pair in zip(self.columns, self.weights, strict=True) if abs(pair[1]) >= LEAST_SHOWN]
            named = "".join(
                f" {'+' if weight > 0 else '−'} {abs(weight):.2f} × {self._named(column)}" for column, weight in terms
            )
            return "the weighted sum " + named.removeprefix(" + ")
        if self.blend == "fusion":
            return f"the ranks of {len(self.members)} models, fused"
        return f"{self.blend} alone"

    def _named(self, column: str) -> str:
        if column in aversion.NAMES:
            return aversion.NAMES[column]
        kind, _, number = column.partition(".")
        if kind != "popular":
            return kind
        lives = self.half_life_days
        days = lives[int(number)] if int(number) < len(lives) else None
        return "all-time popularity" if days is None else f"recent popularity (half-life {days:g} days)"

    def write(self, folder: Path) -> None:
        """Write choices.json, and trees.txt and the folder `heads` where there are trees and heads."""
        folder.mkdir(parents=True, exist_ok=True)
        without: dict[str, Any] = {"trees": True, "heads": {"trees": True}}
        write_json(folder / "choices.json", self.model_dump(mode="json", exclude=without, exclude_none=True))
        if self.trees:
            (folder / "trees.txt").write_text(self.trees, "utf-8")
        if self.heads:
            self.heads.opened().write(folder)

    @classmethod
    def read(cls, folder: Path) -> SelectedParams:
        """Read what `write` has written.

        Raises:
            UserError: choices.json is invalid.
        """
        trees = folder / "trees.txt"
        text = trees.read_text("utf-8") if trees.exists() else ""
        return cls.model_validate({**with_heads_trees(read_json(folder / "choices.json"), folder), "trees": text})


def with_heads_trees(choices: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The content of choices.json with the trees of its heads, which stand in files of their own."""
    heads = choices.get("heads")
    if not heads:
        return choices
    trees = {name: (folder / FOLDER / f"{name}.txt").read_text("utf-8") for name in heads["curves"]}
    return {**choices, "heads": {**heads, "trees": trees}}

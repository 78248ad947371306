"""What was chosen on validation, frozen from then on: rehearsal, refit and a later comparison all start from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

from nightreel.models.ranker.candidates import NO_SHORTLIST
from nightreel.settings.backbone import Backbone
from nightreel.settings.renamed import MODEL_FIELDS
from nightreel.stage import read_json, write_json

Moment = Literal["last_event", "data_until"]
LEAST_TOLD = 0.005  # weights nearer to 0 round to nothing


class SelectedParams(BaseModel):
    """What a fold's learning decided.

    members: hyper-parameters by name; blend: `trees`, `weighted`, `fusion` or a member; columns, trees, weights: the
    learned ranker (trees are LightGBM's text, kept in a file of its own); ranker: what was chosen, by its name in
    nightreel.models.training.ranker_selection; relearn: whether refit learns the ranker once more with the newest events; cutoff: candidates
    of each member; shortlist: those of all members that are ranked; half_life_days, buckets: the statistics' time
    slices; encoder: `base`, `finetuned` or `fused` vectors; moment: when evaluation asks for a known user's list;
    ratings: the rating head's hyper-parameters, empty where there is none; backbone: the pretrained checkpoint that the
    transformer's layers are, None where they are its own.
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
    half_life_days: tuple[float, ...]
    buckets: int
    encoder: Literal["base", "finetuned", "fused"]
    moment: Moment
    ratings: dict[str, float] = {}
    backbone: Backbone | None = None

    @field_validator("members", "ratings", mode="before")
    @classmethod
    def _with_new_names(cls, values: Any) -> Any:
        """Versions of 0.1 hold old names of hyper-parameters."""
        return {
            MODEL_FIELDS.get(name, name): cls._with_new_names(value) if isinstance(value, dict) else value
            for name, value in values.items()
        }

    def described(self) -> str:
        """What ranks the candidates, in words: `a weighted sum of ease and popular.1`."""
        if self.blend == "trees":
            return f"{self.ranker.removeprefix('trees ')} trees over a weighted sum of {len(self.members)} models"
        if self.blend == "weighted":
            terms = zip(self.columns, self.weights, strict=True)
            named = [f"{weight:.2f} x {self._named(column)}" for column, weight in terms if abs(weight) >= LEAST_TOLD]
            return "the weighted sum " + " + ".join(named)
        if self.blend == "fusion":
            return f"the ranks of {len(self.members)} models, fused"
        return f"{self.blend} alone"

    def _named(self, column: str) -> str:
        kind, _, number = column.partition(".")
        if kind != "popular":
            return kind
        lives = self.half_life_days
        days = lives[int(number)] if int(number) < len(lives) else None
        return "popularity of all time" if days is None else f"popularity (half-life {days:g} days)"

    def write(self, folder: Path) -> None:
        """choices.json, and trees.txt where there are any."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "choices.json", self.model_dump(mode="json", exclude={"trees"}, exclude_none=True))
        if self.trees:
            (folder / "trees.txt").write_text(self.trees, "utf-8")

    @classmethod
    def read(cls, folder: Path) -> SelectedParams:
        """From `write`; raises UserError when choices.json is broken."""
        trees = folder / "trees.txt"
        text = trees.read_text("utf-8") if trees.exists() else ""
        return cls.model_validate({**read_json(folder / "choices.json"), "trees": text})

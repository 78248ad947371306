"""What was chosen on validation, frozen from then on: rehearsal, refit and a later comparison all start from it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.models.candidates import NO_SHORTLIST
from tasks.settings.backbone import Backbone
from tasks.stage import read_json, write_json

Moment = Literal["last_event", "data_until"]


class Choices(BaseModel):
    """members: hyper-parameters by name; blend: `trees`, `fusion` or a member; columns, trees: the learned ranker
    (LightGBM's text, kept in a file of its own); cutoff: candidates of each member; shortlist: those of all members
    that are ranked; half_life_days, buckets: the statistics'
    time slices; encoder: `base`, `finetuned` or `fused` vectors; moment: when a list for a known user is asked;
    ratings: the rating head's hyper-parameters, empty where there is none; backbone: the pretrained checkpoint that the
    transformer's layers are, None where they are its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: dict[str, dict[str, float]]
    blend: str
    columns: tuple[str, ...]
    trees: str = ""
    cutoff: int
    shortlist: int = NO_SHORTLIST
    half_life_days: tuple[float, ...]
    buckets: int
    encoder: Literal["base", "finetuned", "fused"]
    moment: Moment
    ratings: dict[str, float] = {}
    backbone: Backbone | None = None

    def write(self, folder: Path) -> None:
        """choices.json, and trees.txt where there are any."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "choices.json", self.model_dump(mode="json", exclude={"trees"}, exclude_none=True))
        if self.trees:
            (folder / "trees.txt").write_text(self.trees, "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Choices:
        """From `write`; raises UserError when choices.json is broken."""
        trees = folder / "trees.txt"
        text = trees.read_text("utf-8") if trees.exists() else ""
        return cls.model_validate({**read_json(folder / "choices.json"), "trees": text})

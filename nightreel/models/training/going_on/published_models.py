"""Taking over the models that were published: last night's final models are tonight's candidate.

A night trains its models up to its test period, and then once more on every event, to publish them. Where tonight's
test period begins at the end of what the published version was trained on, the first of these trainings would repeat
the last one of the night before, on the same events with the same hyper-parameters. So its result is taken over.

The models have not seen what tonight holds out: they are taken over only if every event that they were trained on is
one that the candidate may learn from as well, with the same gain. They may lack a few of those, which arrived late.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue, Placeable, Recommender, Resumable
from nightreel.models.config import ModelConfig
from nightreel.models.engine import mapped
from nightreel.models.registry import spec
from nightreel.models.training.going_on.warm_start import WarmStartContext, keys, places
from nightreel.stage import log_progress, read_json

FOLDER = "published"
LATE = 0.01  # largest share of the candidate's events that the models may lack


@dataclass(frozen=True)
class PublishedModels:
    """Models of an earlier version that tonight's candidate takes over.

    Attributes:
        known: The events that the candidate learns from; None where nothing is taken over.
        members: Models by name, for tonight's catalogue.
        hypers: Their hyper-parameters by name.
    """

    known: Histories | None = None
    members: Mapping[str, Recommender] = field(default_factory=dict)
    hypers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def find(
        cls,
        folder: Path,
        night: WarmStartContext,
        known: Histories,
        catalogue: Catalogue,
        names: Collection[str],
        *,
        same_vectors: bool,
    ) -> Self:
        """Load the models of a pinned state that tonight's candidate may take over; none, after a line in the log, if
        it may take over none.

        Args:
            folder: Of the pinned state, whose selection tonight goes on from.
            night: Tonight's users and items.
            known: Every event that the candidate may learn from.
            catalogue: Tonight's items.
            names: Of the models that were selected.
            same_vectors: Whether tonight's content vectors are those of the version's own night.
        """
        root = folder / FOLDER
        if not root.exists():
            return cls()
        if reason := refusal(root, night, known):
            log_progress(f"the published models are trained anew: {reason}")
            return cls()
        choices = read_json(root / "rehearsal" / "choices.json")
        # A network that reads content vectors can't go on with those of another encoder.
        alike = same_vectors and night.facts["fitted encoder"] == choices["encoder"]
        theirs = _ids(root / "items.parquet", "item_id")
        rows = places(night.item_ids, theirs)
        members: dict[str, Recommender] = {}
        for name in sorted(choices["members"].keys() & set(names)):
            model = spec(name).cls.load(mapped(root / "engine" / name), catalogue)
            if isinstance(model, Placeable) and (alike or not isinstance(model, Resumable)):
                members[name] = model if theirs == night.item_ids else model.placed(catalogue, rows)
        log_progress(f"taken over as they were published: {', '.join(members)}")
        return cls(known, members, {name: choices["members"][name] for name in members})

    def ready(self, name: str, train: Histories, config: ModelConfig) -> Recommender | None:
        """The model of that name, if `train` is what the candidate learns from, and the hyper-parameters are the same;
        else None. See `fit_engine`."""
        if self.known is None or name not in self.members:
            return None
        alike = np.array_equal(self.known.indptr, train.indptr) and np.array_equal(self.known.items, train.items)
        return self.members[name] if alike and config.hyper_params() == self.hypers[name] else None


def refusal(root: Path, night: WarmStartContext, known: Histories) -> str:
    """Why published models may not be taken over; empty where they may.

    Args:
        root: Their folder in the pinned state.
        night: Tonight's users and items.
        known: Every event that the candidate may learn from.
    """
    arrays = {path.stem: np.load(path) for path in sorted((root / "histories").glob("*.npy"))}
    user = places(_ids(root / "users.parquet", "user_id"), night.user_ids)
    item = places(_ids(root / "items.parquet", "item_id"), night.item_ids)
    users, items = user[np.repeat(np.arange(len(user)), np.diff(arrays["indptr"]))], item[arrays["items"]]
    if len(items) and min(users.min(), items.min()) < 0:
        return "they learned from users or items that are gone (erased, or withdrawn)"
    theirs = keys(users, items, arrays["times"], night)
    ours = keys(known.rows, known.items.astype(np.int64), known.times, night)
    gains = arrays.get("gains", np.ones(len(theirs), np.float32))
    own = np.ones(len(ours), np.float32) if known.gains is None else known.gains
    theirs, ours = (np.rec.fromarrays([key, gain]) for key, gain in ((theirs, gains), (ours, own)))
    lacking = 1 - len(theirs) / max(len(ours), 1)
    if lacking > LATE:
        return f"{lacking:.1%} of the events before the test period are not among those that they learned from"
    other = int((~np.isin(theirs, ours)).sum())
    return f"{other:,} of the events that they learned from were corrected or removed, or are held out" if other else ""


def _ids(path: Path, column: str) -> list[str]:
    ids: list[str] = pq.ParquetFile(path).read(columns=[column])[column].cast(pa.string()).to_pylist()
    return ids

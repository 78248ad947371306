"""What evaluate reads: the night's data, the rehearsed bundles with their test sets, and the pinned champion."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.data import hidden_tonight
from nightreel.data.dataset import Dataset, load_dataset, with_named
from nightreel.evaluation.beyond_accuracy import CatalogueFacts
from nightreel.evaluation.champion import Champion, Unreadable, pinned_champion
from nightreel.evaluation.list_checks import Hidden
from nightreel.evaluation.test_set import TestSet, build_test_set
from nightreel.reader.reader import Reader
from nightreel.settings.params_file import Settings
from nightreel.stage import read_json
from nightreel.store.backends.base import Store

SNAPSHOT, VALIDATE = Path("data/snapshot"), Path("data/validate")
EMBED, FINETUNE = Path("data/embed"), Path("data/finetune")


@dataclass(frozen=True)
class NightInputs:
    """Everything that is measured and judged, as the earlier stages left it.

    Attributes:
        settings: Of params.yaml.
        data: The clean data set.
        named: The same with the columns that slices may be cut by.
        pairs: Split protocol → (test set, rehearsed bundle) of each fold, the latest fold first.
        hidden: Ids of items that nobody may be shown today.
        vectors: [n_items, d] float32 content vectors as they were fitted.
        champion: What is live, pinned by snapshot; None where nothing is.
    """

    settings: Settings
    data: Dataset
    named: Dataset
    pairs: Mapping[str, list[tuple[TestSet, Reader]]]
    hidden: frozenset[str]
    vectors: npt.NDArray[np.float32]
    champion: Champion | Unreadable | None

    @classmethod
    def read(cls, settings: Settings, store: Store) -> NightInputs:
        """From the working directory. Raises UserError for a file that is broken."""
        data = load_dataset(VALIDATE)
        cuts, hidden = read_json(VALIDATE / "splits.json")["protocols"], hidden_tonight.read(SNAPSHOT)
        names = [data.gate, *(name for name in data.protocols if name != data.gate)]
        pinned = read_json(SNAPSHOT / "champion.json")["digest"]
        return cls(
            settings=settings,
            data=data,
            named=with_named(data),
            pairs={name: _rehearsed(data, name, cuts[name]["cuts"], hidden) for name in names},
            hidden=hidden,
            vectors=np.load(FINETUNE / "vectors.npy", mmap_mode="r"),
            champion=pinned_champion(store, pinned) if pinned else None,
        )

    @property
    def gate_pairs(self) -> list[tuple[TestSet, Reader]]:
        """Those of the protocol that decides."""
        return self.pairs[self.data.gate]

    @property
    def test_sets(self) -> list[TestSet]:
        """Those of the protocol that decides."""
        return [test_set for test_set, _ in self.gate_pairs]

    @property
    def challenger(self) -> Reader:
        """The candidate, as it is judged."""
        return self.gate_pairs[0][1]

    @cached_property
    def genres(self) -> list[list[str] | None]:
        """[n_items] of each item."""
        return list(self.data.items["genres"].to_pylist())

    @cached_property
    def catalogue(self) -> CatalogueFacts:
        """What figures beyond accuracy know of the items."""
        return CatalogueFacts.of(self.genres, lambda: self.vectors)

    @cached_property
    def recipe(self) -> str:
        """Of the run."""
        return str(read_json(SNAPSHOT / "recipe.json")["recipe"])

    def snapshot(self, name: str) -> Any:
        """A JSON file of snapshot's."""
        return read_json(SNAPSHOT / f"{name}.json")


def _rehearsed(
    data: Dataset, protocol: str, cuts: Sequence[Sequence[float]], hidden: Collection[str]
) -> list[tuple[TestSet, Reader]]:
    """Return each fold's test set and candidate bundle, the latest fold first, both without items hidden today.

    Args:
        data: The validated data.
        protocol: One of its protocols.
        cuts: (start of validation, start of test, end) of each fold in epoch seconds; empty if each user has their own.
        hidden: Ids of items that may not be shown today.
    """
    gone = Hidden.of(data.item_ids, hidden).items
    pairs: list[tuple[TestSet, Reader]] = []
    for number, fold in enumerate(data.protocols[protocol]):
        latest = protocol == data.gate and number == 0
        bundle = FINETUNE / ("candidate" if latest else f"candidates/{fold}")
        test_set = build_test_set(data, fold, cuts[number][1] if cuts else None, gone)
        pairs.append((test_set, Reader.open_bundle(bundle).hiding(hidden)))
    return pairs

"""A fair comparison with the champion.

A published bundle was refitted on events that may be in today's test set, so scoring it directly proves nothing: it
wins if histories are passed in, and loses if it excludes seen items. It is compared only in one of these ways, in this
order, and the verdict names which:
(a) on the same split: the per-user lists that its own evaluation stored in its bundle, without items hidden today;
(b) on users whose test events are all later than the champion's last event, with the challenger trained up to that
    same instant and the same explicit histories for both;
(c) the champion's recorded choices, retrained on today's train split.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.format import BundleError
from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, IntArray, ItemArray
from nightreel.data.splits import TEST, UNUSED
from nightreel.errors import UserError
from nightreel.evaluation.catalogue_mapping import RemappedRanker
from nightreel.evaluation.metrics.ranking import per_user
from nightreel.evaluation.model_scores import GATE_K, GATE_METRIC, ModelScores
from nightreel.evaluation.test_set import Ranker, TestSet, ask
from nightreel.models.engine import BLEND
from nightreel.models.ranker.blend import TREES
from nightreel.models.training.selected_params import SelectedParams
from nightreel.store import channels
from nightreel.store.backends.base import Missing, Store
from nightreel.store.remote_files import manifest_of

LEAST_SHARED = 0.5  # lowest share of today's items that a comparable champion must know

HOW = {
    "a": "rule (a), its stored lists on the same split",
    "b": "rule (b), users whose test events are later than its data, with equal histories",
    "c": "rule (c), its recorded choices retrained on today's train split",
}

Retrain = Callable[[str, SelectedParams], Ranker]
"""(fold, choices) → the ranker of those choices, trained on the fold's train and validation events."""


class Unreadable(UserError):
    """The pinned version's files are missing or damaged. (If the store does not respond, the run fails and is
    retried.)"""


@dataclass(frozen=True)
class Champion:
    """A pinned, published version.

    source: its `snapshot.source`; choices: as selected by its finetune; lists: the stored top lists of its evaluation
    (fold, user_id, rank, item_id), None if it has none.
    """

    digest: str
    config: dict[str, Any]
    item_ids: tuple[str, ...]
    source: str | None
    choices: SelectedParams
    lists: pa.Table | None


@dataclass(frozen=True)
class Comparison:
    """Paired NDCG@10 of n rows, challenger against champion, and the rule by which they were compared.

    rows: the compared rows of the challenger's scores; lists: the champion's [n, 10], None if not stored.
    """

    rule: Literal["a", "b", "c"]
    rows: IntArray
    users: IntArray
    challenger: FloatArray
    champion: FloatArray
    lists: ItemArray | None

    @property
    def how(self) -> str:
        return HOW[self.rule]


def read_champion(store: Store, digest: str) -> Champion:
    """Read the facts of a pinned version from its immutable files.

    Raises:
        Unreadable: A file is missing or damaged.
    """
    try:
        return _read(store, digest)
    except (Missing, BundleError, ValueError, KeyError, TypeError) as error:
        raise unreadable(digest, error) from None


def pinned_champion(store: Store, digest: str) -> Champion | Unreadable:
    """Return the champion, or the error that the verdict must handle."""
    try:
        return read_champion(store, digest)
    except Unreadable as error:
        return error


def unreadable(digest: str, error: Exception) -> Unreadable:
    """The error for a champion that can't be read, with the remedy."""
    what = str(error) if isinstance(error, UserError) else f"a file is damaged ({type(error).__name__}: {error})."
    return Unreadable(
        f"the champion {digest[:12]} can't be read: {what} Restore the file and run again with "
        "--stage-force evaluate, or go back to an intact version: `nightreel rollback`."
    )


def _read(store: Store, digest: str) -> Champion:
    root = f"versions/{digest}/"
    config = manifest_of(store, digest).config
    items = pq.read_table(io.BytesIO(store.get(root + "items.parquet")), columns=["item_id"])
    choices = json.loads(store.get(root + "rehearsal/choices.json"))
    if choices["blend"] == TREES:
        choices["trees"] = store.get(root + "rehearsal/trees.txt").decode()
    params = channels.lineage(store, digest).get("params", {})
    return Champion(
        digest=digest,
        config=config,
        item_ids=tuple(items["item_id"].to_pylist()),
        source=params.get("snapshot", {}).get("source"),
        choices=SelectedParams.model_validate(choices),
        lists=_kept_lists(store, root),
    )


def _kept_lists(store: Store, root: str) -> pa.Table | None:
    try:
        return pq.read_table(io.BytesIO(store.get(root + "rehearsal/lists.parquet")))
    except Missing:
        return None


def shared_items(champion: Champion, item_ids: Sequence[str]) -> float:
    """Share of today's items that the champion knows."""
    return len(set(item_ids) & set(champion.item_ids)) / max(len(item_ids), 1)


def compare(
    champion: Champion,
    data: Dataset,
    scores: ModelScores,
    trials: Sequence[TestSet],
    *,
    least_users: int,
    challenger: Ranker,
    open_champion: Callable[[], Ranker],
    retrain: Retrain,
    hidden: Collection[str] = (),
) -> Comparison:
    """Compare by the first of the rules (a), (b), (c) that applies.

    Args:
        champion: The pinned champion.
        data: The validated data.
        scores: The challenger's on the gate's protocol.
        trials: Test sets of the gate's folds, the latest first.
        least_users: Fewest users for rule (b).
        challenger: The ranker of the latest fold.
        open_champion: Opens the champion without the items hidden today; called only for rule (b).
        retrain: Retrains its choices, without the items hidden today; called only for rule (c).
        hidden: Ids of the items hidden today.

    Raises:
        Unreadable: A file of the champion is damaged.
    """
    stored = same_split(champion, data, scores, trials, hidden)
    if stored is not None:
        return stored
    rows = later_rows(champion, data, trials[0])
    if len(rows) >= least_users:
        try:
            foreign = RemappedRanker(open_champion(), champion.item_ids, data.item_ids)
        except (Missing, BundleError) as error:
            raise unreadable(champion.digest, error) from None
        return side_by_side(trials[0].take(rows), challenger, foreign)
    asked = [ask(retrain(trial.fold, champion.choices), trial, GATE_K, BLEND) for trial in trials]
    again = np.concatenate([_ndcg(lists, trial) for lists, trial in zip(asked, trials, strict=True)])
    every = np.arange(len(again), dtype=np.int64)
    return Comparison("c", every, scores.users, scores.values[BLEND][GATE_METRIC], again, np.concatenate(asked))


def same_split(
    champion: Champion, data: Dataset, scores: ModelScores, trials: Sequence[TestSet], hidden: Collection[str]
) -> Comparison | None:
    """Rule (a); None unless the champion stored a list on this same split for each of these users."""
    if champion.lists is None or champion.config.get("split_digest") != data.split_digest[data.gate]:
        return None
    keys = [(fold, data.user_ids[user]) for fold, user in zip(scores.folds, scores.users, strict=True)]
    lists = _stored_lists(champion.lists, data, keys, hidden)
    if (lists[:, 0] < 0).any():
        return None
    ends = np.cumsum([len(trial) for trial in trials])
    stored = [_ndcg(part, trial) for part, trial in zip(np.split(lists, ends[:-1]), trials, strict=True)]
    every, own = np.arange(len(keys), dtype=np.int64), scores.values[BLEND][GATE_METRIC]
    return Comparison("a", every, scores.users, own, np.concatenate(stored), lists)


def _stored_lists(stored: pa.Table, data: Dataset, keys: list[tuple[str, str]], hidden: Collection[str]) -> ItemArray:
    """[n, 10] stored lists in today's item indices: the first ten items that are in the catalogue and not hidden."""
    row = {key: number for number, key in enumerate(keys)}
    item = {name: number for number, name in enumerate(data.item_ids) if name not in hidden}
    found: list[list[tuple[int, int]]] = [[] for _ in keys]
    columns = (stored[name].to_pylist() for name in ("fold", "user_id", "rank", "item_id"))
    for fold, user, rank, name in zip(*columns, strict=True):
        if (fold, user) in row and name in item:
            found[row[fold, user]].append((rank, item[name]))
    lists = np.full((len(keys), GATE_K), -1, np.int32)
    for number, places in enumerate(found):
        best = [index for _, index in sorted(places)[:GATE_K]]
        lists[number, : len(best)] = best
    return lists


def later_rows(champion: Champion, data: Dataset, trial: TestSet) -> IntArray:
    """Rows of the test set for rule (b); none unless the challenger was trained exactly up to the champion's last
    event: all events up to then are in train or validation, and all later ones in test or unused.

    Sources without a clock have positions instead of times, so nothing is later than a whole data set there.
    """
    none = np.empty(0, np.int64)
    if data.clock != "time" or champion.config.get("clock") != "time":
        return none
    # Versions of 0.2 know only the end of their data, which leaves out the last events of a few users.
    until = float(champion.config.get("learned_until", champion.config["data_until"]))
    time, part = data.events["time"].to_numpy(), data.folds[trial.fold]
    held_out = (part == TEST) | (part == UNUSED)
    if not np.array_equal(time > until, held_out):
        return none
    return np.arange(len(trial), dtype=np.int64)


def side_by_side(trial: TestSet, challenger: Ranker, champion: Ranker) -> Comparison:
    """Rule (b): both recommend for the same test set (the first of the challenger's rows), from the same histories."""
    ours, theirs = (ask(ranker, trial, GATE_K, BLEND) for ranker in (challenger, champion))
    every = np.arange(len(trial), dtype=np.int64)
    return Comparison("b", every, trial.users, _ndcg(ours, trial), _ndcg(theirs, trial), theirs)


def _ndcg(lists: ItemArray, trial: TestSet) -> FloatArray:
    return per_user(lists, trial.truth, [GATE_K])[GATE_METRIC]

"""Warm start: expensive models continue from the state of the published version's night.

A night trains such a model several times, on growing data: on the inner histories (for the ranker's examples), on
train, on train and validation (the candidate that evaluate scores), and on all events (published); each is warm-started
from the one before. A bundle keeps the *first* of these for the next night, because later ones have seen what the next
night may hold out (where they have not, see `published_models`). Tonight's inner model starts from it only if every
event that it (and the encoder of its content vectors) was trained on is one that tonight's inner model (and encoder) is
trained on as well. So a model knows the same events with and without a warm start, in every split. An erased user, a
corrected event, a removed item, a sliding window of events, another pseudonymisation key or another source violates
this: the model is trained from scratch, and the log says why. The same happens after a change of hyper-parameters,
encoder or clock, and after `warm_nights` warm-started nights in a row.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from nightreel.data.dataset import Dataset
from nightreel.data.histories import Histories, IntArray
from nightreel.models.base import Catalogue, Recommender, Resumable
from nightreel.models.engine import Engine
from nightreel.models.registry import spec
from nightreel.models.training.fit import WarmStart
from nightreel.models.training.selected_params import SelectedParams
from nightreel.stage import log_progress, read_json, write_json

FORMAT = 1
STATE, ITEMS = "state.json", "items.parquet"
TRAINED = {"members": "models were", "encoder": "encoder was"}


@dataclass(frozen=True)
class WarmStartContext:
    """Tonight's data, which a saved state must be compatible with.

    Attributes:
        user_ids: Ids by index.
        item_ids: Ids by index.
        facts: What must be equal, as JSON values.
        known: Training events, one row a user, of the `members` and of the `encoder`.
    """

    user_ids: list[str]
    item_ids: list[str]
    facts: Mapping[str, Any]
    known: Mapping[str, Histories]


@dataclass(frozen=True)
class Earlier:
    """A saved state that is compatible with tonight's data.

    Attributes:
        reason: Why there is none; empty where there is one.
        nights: Number of warm-started nights in a row that led to it.
        hypers: Hyper-parameters by model.
        members: Models by name.
        rows: [n_items] its index of each of tonight's items, or -1.
    """

    reason: str
    nights: int = 0
    hypers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    members: Mapping[str, Recommender] = field(default_factory=dict)
    rows: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    def start(self, choices: SelectedParams) -> WarmStart | None:
        """The models whose hyper-parameters are unchanged; None without any."""
        same = {name: self.members[name] for name in self.hypers if choices.members.get(name) == self.hypers[name]}
        return WarmStart(same, self.rows) if same else None

    def summary(self, choices: SelectedParams) -> str:
        """One line for the log: what is warm-started, or why nothing is."""
        start = self.start(choices)
        if start is None:
            return f"trained from scratch: {self.reason or 'hyper-parameters changed of ' + ', '.join(self.hypers)}"
        return f"warm start ({self.nights + 1} in a row): {', '.join(start.members)}"


def warm_start_context(data: Dataset, inner: Histories, encoder: str, facts: Mapping[str, Any]) -> WarmStartContext:
    """The context of tonight's fold.

    Args:
        data: The data set.
        inner: Training histories of the fold's first cut.
        encoder: Kind of content vectors. All but `base` are trained on the events that are train in every fold.
        facts: Further values that must be equal.
    """
    everywhere = data.trained_everywhere()
    fitted = everywhere if encoder != "base" else everywhere.where(np.zeros(len(everywhere.items), bool))
    known = {"members": inner, "encoder": fitted}
    return WarmStartContext(
        data.user_ids, data.item_ids, {**facts, "fitted encoder": encoder, "clock": data.clock}, known
    )


def keep(
    folder: Path, night: WarmStartContext, inner: Engine | None, choices: SelectedParams, earlier: Earlier
) -> None:
    """Save the state that the next night may be warm-started from; nothing where no model supports it."""
    members = {name: m for name, m in (inner.members if inner else {}).items() if isinstance(m, Resumable)}
    if not members:
        return
    folder.mkdir(parents=True)
    for name, member in members.items():
        arrays = {key: np.ascontiguousarray(array) for key, array in member.arrays().items()}
        save_file(arrays, folder / f"{name}.safetensors")
    for who, known in night.known.items():
        pq.write_table(events_table(known, night), folder / f"{who}.parquet", compression="zstd")
    pq.write_table(pa.table({"item_id": pa.array(night.item_ids, pa.string())}), folder / ITEMS, compression="zstd")
    nights = earlier.nights + 1 if earlier.start(choices) else 0
    hypers = {name: choices.members[name] for name in members}
    write_json(folder / STATE, {"format": FORMAT, "nights": nights, "members": hypers, "facts": dict(night.facts)})


def pass_on(before: Path, folder: Path) -> None:
    """Save an earlier night's state once more, where tonight has trained no first cut; nothing if there is none.

    Args:
        before: The fold's folder of the pinned state.
        folder: That of tonight's.
    """
    for path in sorted(before.glob("*")):
        if path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path.name)


def find(folder: Path, night: WarmStartContext, catalogue: Catalogue, most: int) -> Earlier:
    """Load the state that an earlier night has saved, if it is compatible.

    Args:
        folder: Of the fold's state.
        night: Tonight's data.
        catalogue: Tonight's items.
        most: Maximum number of warm-started nights in a row.
    """
    if not (folder / STATE).exists():
        return Earlier("the published version has no saved state of this fold")
    state = read_json(folder / STATE)
    reason = refusal(folder, state, night, most)
    if reason:
        return Earlier(reason)
    item_ids = pq.ParquetFile(folder / ITEMS).read()["item_id"].to_pylist()
    rows = places(night.item_ids, item_ids)
    members = {
        name: spec(name).cls.load(load_file(folder / f"{name}.safetensors"), catalogue) for name in state["members"]
    }
    return Earlier("", state["nights"], state["members"], members, rows)


def refusal(folder: Path, state: Mapping[str, Any], night: WarmStartContext, most: int) -> str:
    """Why a state is incompatible with tonight's data; empty where it is compatible."""
    if state["format"] != FORMAT:
        return f"the saved state has format {state['format']}, but this version of Nightreel reads {FORMAT}"
    if state["nights"] >= most:
        return f"{state['nights']} nights in a row were warm-started (finetune.warm_nights: {most})"
    changed = [name for name, value in night.facts.items() if state["facts"].get(name) != value]
    if changed:
        return f"changed since the saved state: {', '.join(changed)}"
    for who, known in night.known.items():
        reason = unknown(pq.ParquetFile(folder / f"{who}.parquet").read(), known, night)
        if reason:
            return f"the saved state's {TRAINED[who]} trained on {reason}"
    return ""


def unknown(learned: pa.Table, known: Histories, night: WarmStartContext) -> str:
    """Describe the events in a table of `events_table` that are not among `known`; empty where all are."""
    user, lost_users = indices(learned["user_id"], night.user_ids)
    item, lost_items = indices(learned["item_id"], night.item_ids)
    if lost_items:
        return f"{lost_items:,} items that are no longer in the catalogue"
    if lost_users:
        return f"{lost_users:,} users without any event tonight (erased, or another source or pseudonymisation key)"
    found = np.isin(
        keys(user, item, learned["time"].to_numpy(), night), keys(known.rows, known.items, known.times, night)
    )
    if found.all():
        return ""
    return f"{int((~found).sum()):,} events that tonight's training must not use (held out, corrected or removed)"


def keys(
    user: npt.NDArray[Any], item: npt.NDArray[Any], time: npt.NDArray[Any], night: WarmStartContext
) -> npt.NDArray[Any]:
    """[n] one complex number an event: user and item in the real part, time in the imaginary part."""
    return np.asarray(user.astype(np.float64) * len(night.item_ids) + item + 1j * time)


def events_table(known: Histories, night: WarmStartContext) -> pa.Table:
    """A table of the events: user_id and item_id (dictionary-encoded) and time."""
    users, items = known.rows, known.items.astype(np.int64)
    return pa.table(
        {
            "user_id": named(users, night.user_ids),
            "item_id": named(items, night.item_ids),
            "time": known.times,
        }
    )


def named(index: IntArray, ids: list[str]) -> pa.DictionaryArray:
    """The id at each index, dictionary-encoded."""
    occurring, code = np.unique(index, return_inverse=True)
    names = pa.array([ids[at] for at in occurring.tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), names)


def indices(column: pa.ChunkedArray, ids: list[str]) -> tuple[IntArray, int]:
    """[n] tonight's index of each id in a column, or -1; and the number of ids that are gone."""
    encoded = column.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no event at all
        return np.empty(0, np.int64), 0
    place = places(encoded.dictionary.to_pylist(), ids)
    return place[encoded.indices.to_numpy()], int((place < 0).sum())


def places(wanted: list[str], ids: list[str]) -> IntArray:
    """[wanted] index of each in `ids`, or -1."""
    index = {name: at for at, name in enumerate(ids)}
    return np.array([index.get(name, -1) for name in wanted], np.int64)


def started(earlier: Earlier, choices: SelectedParams) -> WarmStart | None:
    """The models to warm-start from, after a line in the log."""
    log_progress(earlier.summary(choices))
    return earlier.start(choices)

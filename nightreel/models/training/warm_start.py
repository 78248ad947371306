"""Warm start: members that are expensive go on from what the published version's night had learned.

A night trains a chain of each such member: inner (the blend's examples are asked of it), then train, then train and
validation (the rehearsal, which evaluate judges), then every event (published); each link goes on from the one before
and knows more. What a bundle keeps for the next night is the *first* link of every fold, never a later one: the
published weights have seen what tonight holds out. The next night's inner goes on from it, and only if every single
event that it learned from (and that the encoder of its content vectors learned from) is one that tonight's inner (and
tonight's encoder) learns from too. So a model knows the same events whether it began warm or cold, under leave-last-out
as under a global cut; an erased user, a corrected event, a lost item, a sliding window of events, another key of
pseudonyms or another source breaks this, and the night learns anew, saying why. So it does when the setting, the
encoder or the clock changed, and after `warm_nights` warm nights in a row.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class WarmStartContext:
    """What a kept state has to fit. user_ids, item_ids: by index; facts: what must be equal, as JSON; known: the events
    that may be learned from, a row a user, by who learns: `members` and `encoder`."""

    user_ids: list[str]
    item_ids: list[str]
    facts: Mapping[str, Any]
    known: Mapping[str, Histories]


@dataclass(frozen=True)
class Earlier:
    """A kept state that fits tonight; or, without members, the reason why there is none.

    nights: warm ones in a row that led to it; hypers: the members' settings; rows: [n_items] its index of each item.
    """

    reason: str
    nights: int = 0
    hypers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    members: Mapping[str, Recommender] = field(default_factory=dict)
    rows: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    def start(self, choices: SelectedParams) -> WarmStart | None:
        """The members whose settings are still the same; None where there are none."""
        same = {name: self.members[name] for name in self.hypers if choices.members.get(name) == self.hypers[name]}
        return WarmStart(same, self.rows) if same else None

    def told(self, choices: SelectedParams) -> str:
        """What is gone on from, or why nothing is."""
        found = self.start(choices)
        if found is None:
            return f"learning anew: {self.reason or 'the settings changed of ' + ', '.join(self.hypers)}"
        return f"warm start ({self.nights + 1} in a row): {', '.join(found.members)}"


def warm_start_context(data: Dataset, inner: Histories, encoder: str, facts: Mapping[str, Any]) -> WarmStartContext:
    """Tonight's fold: its members learn from `inner`; content vectors that are not the encoder's own (`base`) from what
    is train in every fold."""
    everywhere = data.trained_everywhere()
    fitted = everywhere if encoder != "base" else everywhere.where(np.zeros(len(everywhere.items), bool))
    known = {"members": inner, "encoder": fitted}
    return WarmStartContext(
        data.user_ids, data.item_ids, {**facts, "fitted encoder": encoder, "clock": data.clock}, known
    )


def keep(
    folder: Path, night: WarmStartContext, inner: Engine | None, choices: SelectedParams, earlier: Earlier
) -> None:
    """Write what the next night may go on from; nothing where no member can."""
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


def find(folder: Path, night: WarmStartContext, catalogue: Catalogue, most: int) -> Earlier:
    """The state that an earlier night kept in `folder`, if going on from it is sound; most: warm nights in a row."""
    if not (folder / STATE).exists():
        return Earlier("no published version holds a state of this fold")
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
    """Why tonight can't go on from a state; empty when it can."""
    if state["format"] != FORMAT:
        return f"the published state has format {state['format']}, and this Nightreel reads {FORMAT}"
    if state["nights"] >= most:
        return f"{state['nights']} nights in a row went on from earlier ones (finetune.warm_nights: {most})"
    changed = [name for name, value in night.facts.items() if state["facts"].get(name) != value]
    if changed:
        return f"since the published state, what changed is: {', '.join(changed)}"
    for who, known in night.known.items():
        reason = unknown(pq.ParquetFile(folder / f"{who}.parquet").read(), known, night)
        if reason:
            return f"the published state's {who} learned from {reason}"
    return ""


def unknown(learned: pa.Table, known: Histories, night: WarmStartContext) -> str:
    """Which of the events in a table of `events_table` are not among `known`, in words; empty when all are."""
    user, lost_users = indices(learned["user_id"], night.user_ids)
    item, lost_items = indices(learned["item_id"], night.item_ids)
    if lost_items:
        return f"{lost_items:,} items that the catalogue no longer has"
    if lost_users:
        return f"{lost_users:,} users of whom no event is left (erased, or another source or key of pseudonyms)"
    found = np.isin(
        keys(user, item, learned["time"].to_numpy(), night), keys(known.rows, known.items, known.times, night)
    )
    if found.all():
        return ""
    return f"{int((~found).sum()):,} events that tonight's may not (held out, corrected or withdrawn)"


def keys(
    user: npt.NDArray[Any], item: npt.NDArray[Any], time: npt.NDArray[Any], night: WarmStartContext
) -> npt.NDArray[Any]:
    """[n] one number an event: who took what as the real part, when as the imaginary one."""
    return np.asarray(user.astype(np.float64) * len(night.item_ids) + item + 1j * time)


def events_table(known: Histories, night: WarmStartContext) -> pa.Table:
    """user_id, item_id (as dictionaries of what occurs) and time of each event."""
    users, items = known.rows, known.items.astype(np.int64)
    return pa.table(
        {
            "user_id": named(users, night.user_ids),
            "item_id": named(items, night.item_ids),
            "time": known.times,
        }
    )


def named(index: IntArray, ids: list[str]) -> pa.DictionaryArray:
    """The ids at each index, as a dictionary of those that occur."""
    occurring, code = np.unique(index, return_inverse=True)
    names = pa.array([ids[at] for at in occurring.tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), names)


def indices(column: pa.ChunkedArray, ids: list[str]) -> tuple[IntArray, int]:
    """[n] tonight's index of each id of a dictionary column, -1 for one that is gone; how many ids are gone."""
    encoded = column.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no event at all
        return np.empty(0, np.int64), 0
    place = places(encoded.dictionary.to_pylist(), ids)
    return place[encoded.indices.to_numpy()], int((place < 0).sum())


def places(wanted: list[str], ids: list[str]) -> IntArray:
    """[wanted] where each is among `ids`; -1: nowhere."""
    index = {name: at for at, name in enumerate(ids)}
    return np.array([index.get(name, -1) for name in wanted], np.int64)


def started(earlier: Earlier, fold: str, choices: SelectedParams) -> WarmStart | None:
    """Where the fold's members go on from, said aloud."""
    log_progress(f"{fold}: {earlier.told(choices)}")
    return earlier.start(choices)

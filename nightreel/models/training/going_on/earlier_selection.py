"""Going on from an earlier night's selection, so that the work of a night follows what changed.

A night's search of hyper-parameters, and its rehearsal at several cuts in time, are most of its work, and a day later
nearly all of it would come out the same. So a version keeps what was selected, and of each cut the ranker's training
examples and the validation scores. The next night takes the hyper-parameters, and trains and scores its models at its
newest cut alone; the ranker is trained and selected on the examples and scores of all cuts, old and new. Where the
test period of the version's own night was that newest cut, `refit` has recorded it already, and nothing is trained.

None of this has seen what tonight holds out: it is used only if every event that it was learned from is one that
tonight may learn from as well. An erased user, a corrected event, another source or other settings refuse it, and the
log says why. Everything is selected anew after `finetune.search_nights` nights in a row, and as soon as the ranker's
lead over popularity has fallen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.data import recipe
from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.training.fold_task import Task
from nightreel.models.training.going_on.warm_start import WarmStartContext, events_table, indices, unknown
from nightreel.models.training.heads import outcome_examples
from nightreel.models.training.heads.outcome_examples import OutcomeExamples
from nightreel.models.training.one_standard_error import difference
from nightreel.models.training.selected_params import HeadsParams
from nightreel.models.training.training_examples import Examples, save, saved
from nightreel.settings.finetune import Finetune
from nightreel.stage import log_progress, read_json, write_json
from nightreel.version import __version__

FORMAT = 2
SELECTION, NEWEST, STATE, LEARNED = "selection", "newest", "selection.json", "learned.parquet"
COVERED = 0.5  # share of the newest cut's period that a record must have, for the cut not to be trained
SURE = 2.0  # standard errors by which the lead over popularity must have fallen, and
FALL = 0.8  # the share of it that must be left, for hyper-parameters to be kept
POPULARITY = "popularity"


@dataclass(frozen=True)
class CutRecord:
    """What a night learned at one cut in time.

    Attributes:
        start: Time of the cut, epoch seconds.
        end: End of the period whose events were held out.
        examples: Training examples of the ranker.
        users: [n] user of each scored position.
        scores: By ranker and model the NDCG@10 [n]; empty for a first cut, before which no ranker was trained.
        outcomes: Training examples of the heads; None where the log has no outcomes.
        new_every: From `places_kept` at this cut; None where it was not asked.
    """

    start: float
    end: float
    examples: Examples
    users: IntArray
    scores: Mapping[str, FloatArray]
    outcomes: OutcomeExamples | None = None
    new_every: int | None = None


@dataclass(frozen=True)
class EarlierSelection:
    """A selection that tonight may go on from.

    Attributes:
        nights: Number of nights in a row that went on from one, this one not counted.
        members: Hyper-parameters by model.
        ranker: Name of the selected ranker.
        relearn: Whether refitting the ranker with the newest events was no loss.
        new_every: Every so-many-th place of a list is kept for a new item.
        cuts: Records of cuts in time, the oldest first; none where a fold's cuts do not follow each other in time.
        heads: The heads that stayed; None where none did.
        whole: Whether tonight's newest cut is among them, so that no cut is left to be trained.
    """

    nights: int
    members: dict[str, dict[str, float]]
    ranker: str
    relearn: bool
    new_every: int
    cuts: tuple[CutRecord, ...]
    heads: HeadsParams | None = None
    whole: bool = False

    def beside(self, task: Task, most: int) -> EarlierSelection:
        """The same with those records alone that tonight goes on from, `most` at most; none where cuts do not follow
        each other in time.

        If the newest record was scored in the period of tonight's newest cut, they are the newest ones. Else the cut is
        trained tonight, and they are the newest ones of whose periods no more than a half lies in that of the cut.
        """
        if not task.in_time:
            return replace(self, cuts=())
        _, start, end = task.spans()[-1]

        def common(cut: CutRecord) -> float:
            return min(cut.end, end) - max(cut.start, start)

        newest = self.cuts[-1] if self.cuts else None
        if newest is not None and newest.scores and len(self.cuts) > 1 and common(newest) >= COVERED * (end - start):
            return replace(self, cuts=self.cuts[-most:], whole=True)
        apart = [cut for cut in self.cuts if common(cut) <= 0.5 * (cut.end - cut.start)]
        return replace(self, cuts=tuple(apart[max(0, len(apart) - most + 1) :]))

    def fallen(self, newest: CutRecord) -> bool:
        """Whether the selected ranker's lead over popularity is surely less at the newest cut than at those before."""
        scored = [cut for cut in self.cuts if cut is not newest and {self.ranker, POPULARITY} <= cut.scores.keys()]
        before = [self._lead(cut) for cut in scored]
        if not before or not {self.ranker, POPULARITY} <= newest.scores.keys():
            return False
        usual, (now, error) = float(np.mean([lead for lead, _ in before])), self._lead(newest)
        return now < FALL * usual and now + SURE * error < usual

    def _lead(self, cut: CutRecord) -> tuple[float, float]:
        """Mean difference to popularity as a share of popularity's NDCG@10, and its standard error."""
        theirs = cut.scores[POPULARITY]
        mean, error = difference(cut.users, cut.scores[self.ranker], theirs)
        least = max(float(theirs.mean()), 1e-9)
        return mean / least, error / least


def goes_on(
    folder: Path, night: WarmStartContext, task: Task, known: Histories, settings: Finetune
) -> EarlierSelection | None:
    """The selection of the published version's night to go on from; None, after a line in the log, without one.

    Args:
        folder: Of the fold's state.
        night: Tonight's users and items.
        task: The fold's task.
        known: Every event that tonight may learn from.
        settings: The section `finetune`.
    """
    if not settings.search_nights or not (folder / SELECTION).exists():
        return None
    if reason := refusal(folder / SELECTION, night, known, settings):
        log_progress(f"everything is selected anew: the earlier selection {reason}")
        return None
    found = _read(folder / SELECTION, night, known).beside(task, settings.time_cuts)
    log_progress(
        f"going on from the selection of the published version's night ({found.nights + 1} in a row): its "
        f"hyper-parameters, and its records of {len(found.cuts)} cuts"
        + (", the newest among them" if found.whole else "")
    )
    return found


def refusal(folder: Path, night: WarmStartContext, known: Histories, settings: Finetune) -> str:
    """Why a saved selection may not be used tonight; empty where it may. See `goes_on` for the arguments."""
    state = read_json(folder / STATE)
    if state["format"] != FORMAT:
        return f"has format {state['format']}, but this version of Nightreel reads {FORMAT}"
    if state["nights"] + 1 > settings.search_nights:
        return f"was used {state['nights']} nights in a row already (finetune.search_nights: {settings.search_nights})"
    if changed := [name for name, value in _facts(night, settings).items() if state["facts"].get(name) != value]:
        return f"is of other facts: {', '.join(changed)}"
    if reason := unknown(pq.ParquetFile(folder / LEARNED).read(), known, night):
        return f"was learned from {reason}"
    return ""


def keep_selection(
    folder: Path, night: WarmStartContext, learned: Histories, selected: EarlierSelection, settings: Finetune
) -> None:
    """Save a selection for the next night, unless no night is to go on from one.

    Args:
        folder: Of the fold's state.
        night: Tonight's users and items.
        learned: Every event that the selection was learned from.
        selected: The selection.
        settings: The section `finetune`.
    """
    if not settings.search_nights:
        return
    root = folder / SELECTION
    root.mkdir(parents=True)
    cuts = selected.cuts[max(0, len(selected.cuts) - settings.time_cuts) :]
    for number, cut in enumerate(cuts):
        _write_record(root, str(number), cut, night)
    pq.write_table(events_table(learned, night), root / LEARNED, compression="zstd")
    state = {
        "format": FORMAT,
        "nights": selected.nights,
        "members": selected.members,
        "ranker": selected.ranker,
        "relearn": selected.relearn,
        "new_every": selected.new_every,
        "heads": None if selected.heads is None else selected.heads.model_dump(mode="json"),
        "cuts": [[cut.start, cut.end] for cut in cuts],
        "facts": _facts(night, settings),
    }
    write_json(root / STATE, state)


def _facts(night: WarmStartContext, settings: Finetune) -> dict[str, Any]:
    """What an earlier night must have in common with tonight, as JSON values."""
    own = settings.model_dump(mode="json", exclude={"search_nights", "warm_nights"})
    alike = {name: value for name, value in night.facts.items() if name != "fitted encoder"}
    return {**alike, "release": __version__, "settings": recipe.digest(own)}


def keep_newest(folder: Path, night: WarmStartContext, learned: Histories, record: CutRecord) -> None:
    """Save the record of a night's own test period beside its selection, once the night is judged.

    Args:
        folder: Of the fold's state.
        night: Tonight's users and items.
        learned: Every event that the record was learned from.
        record: The record.
    """
    root = folder / SELECTION / NEWEST
    root.mkdir()
    _write_record(root, "", record, night)
    pq.write_table(events_table(learned, night), root / LEARNED, compression="zstd")
    write_json(root / STATE, {"cut": [record.start, record.end], "new_every": record.new_every})


def _write_record(root: Path, number: str, cut: CutRecord, night: WarmStartContext) -> None:
    save(cut.examples, root / f"examples{number}")
    if cut.outcomes is not None:
        outcome_examples.save(cut.outcomes, root / f"outcomes{number}")
    ids = pa.array([night.user_ids[user] for user in cut.users.tolist()], pa.string())
    columns: dict[str, Any] = {"user_id": ids.dictionary_encode()}
    pq.write_table(pa.table(columns | dict(cut.scores)), root / f"scores{number}.parquet", compression="zstd")


def _read(folder: Path, night: WarmStartContext, known: Histories) -> EarlierSelection:
    state = read_json(folder / STATE)
    cuts = [_record(folder, str(number), span, night) for number, span in enumerate(state["cuts"])]
    newest, every = folder / NEWEST, state["new_every"]
    if newest.exists() and not unknown(pq.ParquetFile(newest / LEARNED).read(), known, night):
        own = read_json(newest / STATE)
        cuts.append(_record(newest, "", own["cut"], night))
        every = every if own["new_every"] is None else own["new_every"]
    heads = state["heads"] and HeadsParams.model_validate(state["heads"])
    return EarlierSelection(
        state["nights"], state["members"], state["ranker"], state["relearn"], every, tuple(cuts), heads
    )


def _record(folder: Path, number: str, span: Sequence[float], night: WarmStartContext) -> CutRecord:
    table = pq.ParquetFile(folder / f"scores{number}.parquet").read()
    users, _ = indices(table["user_id"], night.user_ids)
    names = [name for name in table.column_names if name != "user_id"]
    scores = {name: table[name].to_numpy() for name in names}
    own = folder / f"outcomes{number}"
    outcomes = outcome_examples.saved(own) if own.exists() else None
    return CutRecord(span[0], span[1], saved(folder / f"examples{number}"), users, scores, outcomes)

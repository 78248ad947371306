"""What a night takes over from the night of the published version, and leaves to the next one.

Finetune takes over the selection with its records of cuts in time, the published models, the state for warm starts, and
the fine-tuned encoder. Refit records tonight's own test period, once it is judged: it is tomorrow's newest cut in time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from nightreel.bundle.assembly import LEARNED
from nightreel.content.encoders.base import Vectors
from nightreel.content.training.fit_vectors import ContentVectors, fit_content, kept_vectors
from nightreel.content.training.kept_encoder import KeptContent
from nightreel.data.dataset import Dataset
from nightreel.data.histories import Histories
from nightreel.data.split_protocols import GLOBAL
from nightreel.evaluation.validation import content_inputs, gate_fold, judge_of
from nightreel.models.base import Catalogue
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, Blend
from nightreel.models.training.fold_task import Task, TimeCut, next_cut, sampled
from nightreel.models.training.going_on.earlier_selection import (
    SELECTION,
    CutRecord,
    EarlierSelection,
    goes_on,
    keep_newest,
    keep_selection,
    refusal,
)
from nightreel.models.training.going_on.published_models import PublishedModels
from nightreel.models.training.going_on.warm_start import (
    Earlier,
    WarmStartContext,
    find,
    keep,
    pass_on,
    warm_start_context,
)
from nightreel.models.training.model_selection import Learned
from nightreel.models.training.new_item_places import places_kept
from nightreel.models.training.ranker_selection import ScoreBoard, fit_rankers, score_cut
from nightreel.models.training.training_examples import asked_for, saved
from nightreel.settings.finetune import Finetune
from nightreel.settings.params_file import Settings, load
from nightreel.stage import read_json

EMBED, SPLITS = Path("data/embed"), Path("data/validate/splits.json")


def night_of(data: Dataset, inner: Histories, encoder: str, settings: Settings) -> WarmStartContext:
    """Tonight as the state of an earlier night must be compatible with it.

    Args:
        data: The data set.
        inner: Training histories of the first cut that is trained.
        encoder: Kind of content vectors.
        settings: All settings.
    """
    vectors = np.load(EMBED / "vectors.npy", mmap_mode="r")
    labels = settings.validate_.model_dump(mode="json", include={"positive", "positive_else", "gain", "seen"})
    facts = {"encoder": read_json(EMBED / "embed.json"), "vectors": vectors.shape[1], "labels": labels}
    return warm_start_context(data, inner, encoder, facts)


@dataclass(frozen=True)
class GoingOn:
    """What a fold goes on from.

    Attributes:
        folder: Of the fold's pinned state.
        night: Tonight's users and items.
        selection: The earlier selection; None where everything is selected anew.
        cuts: The cuts in time whose models are trained tonight.
        models: The published models that tonight's candidate takes over.
        state: Models to warm-start from.
        warm: Whether models are warm-started.
    """

    folder: Path
    night: WarmStartContext
    selection: EarlierSelection | None
    cuts: tuple[TimeCut, ...]
    models: PublishedModels
    state: Earlier
    warm: bool

    @classmethod
    def find(
        cls, pinned: Path, fold: str, data: Dataset, task: Task, catalogue: Catalogue, encoder: str, *, kept: bool
    ) -> Self:
        """Find what may be used tonight; the log says what is, and why the rest is not.

        Args:
            pinned: Folder of the pinned state.
            fold: Name of the fold.
            data: The data set.
            task: The fold's task.
            catalogue: Tonight's items.
            encoder: Kind of tonight's content vectors.
            kept: Whether they are those of the version's own night.
        """
        settings, known = load(), data.positives(fold, LEARNED)
        nights = settings.finetune.warm_nights if task.in_time else 0
        night = night_of(data, known, encoder, settings)
        selection = goes_on(pinned / fold, night, task, known, settings.finetune)
        cuts, models = task.time_cuts, PublishedModels()
        if selection is not None and selection.cuts:
            # Beside an earlier night's records, only the newest cut's models are trained, if it is not among them.
            cuts = () if selection.whole else task.time_cuts[-1:]
            models = PublishedModels.find(pinned, night, known, catalogue, selection.members, same_vectors=kept)
        night = replace(night, known={**night.known, "members": cuts[0].known if cuts else known})
        state = find(pinned / fold, night, catalogue, nights)
        return cls(pinned / fold, night, selection, cuts, models, state, nights > 0)

    def keep(self, folder: Path, known: Histories, learned: Learned, settings: Finetune) -> None:
        """Save the state and the selection for the next night.

        Args:
            folder: Of the fold's state.
            known: Every event that the selection was learned from.
            learned: The selection.
            settings: The settings of finetune.
        """
        if self.warm and learned.inner is None:
            pass_on(self.folder, folder)
        elif self.warm:
            keep(folder, self.night, learned.inner, learned.choices, self.state)
        keep_selection(folder, self.night, known, learned.selection, settings)


def tonights_content(data: Dataset, settings: Settings, base: Vectors, pinned: Path, out: Path) -> ContentVectors:
    """Content vectors of the published version's night, or fitted anew; what the next night may go on from is saved.

    Args:
        data: The data set.
        settings: All settings.
        base: The pre-trained encoder's vectors.
        pinned: Folder of the pinned state.
        out: The output folder of finetune.
    """
    kept, inputs = kept_content(data, settings, pinned), content_inputs(data, settings, judge_of(data))
    content = fit_content(base, inputs, out) if kept is None else kept_vectors(kept, base, inputs, out)
    if settings.finetune.search_nights:
        fitted = KeptContent(content.fitted, fitted_before(data), 0, out / "warm")
        (fitted if kept is None else replace(kept, nights=kept.nights + 1)).write(out / "warm")
    return content


def kept_content(data: Dataset, settings: Settings, pinned: Path) -> KeptContent | None:
    """The content vectors of the night that tonight goes on from; None where they are to be fitted anew.

    They are used only if every event that they were fitted to is one that tonight's would be fitted to as well.

    Args:
        data: The data set.
        settings: All settings.
        pinned: Folder of the pinned state.
    """
    fold, kept = gate_fold(data), KeptContent.read(pinned)
    before = fitted_before(data)
    if kept is None or kept.fitted == "fused" or kept.before is None or before is None or kept.before > before:
        return None
    known = data.positives(fold, LEARNED)
    night = night_of(data, known, kept.fitted, settings)
    return None if refusal(pinned / fold / SELECTION, night, known, settings.finetune) else kept


def fitted_before(data: Dataset) -> float | None:
    """Time before which all events are that tonight's content vectors may be fitted to; None where events are held out
    of each user's history, so that no time tells them apart."""
    times = read_json(SPLITS)["protocols"]
    return float(times[data.gate]["cuts"][0][0]) if list(times) == [GLOBAL] else None


def begins_after_published(data: Dataset, pinned: Path) -> bool:
    """Whether tonight's test period begins at the end of what the published version was trained on.

    Args:
        data: The data set.
        pinned: Folder of the pinned state.
    """
    until = read_json(pinned / "pin.json").get("until")
    return until is not None and test_start(data) == np.nextafter(until, np.inf)


def test_start(data: Dataset) -> float:
    """Time at which the test period of the gate's latest fold begins."""
    return float(read_json(SPLITS)["protocols"][data.gate]["cuts"][0][1])


def period_record(data: Dataset, engine: Engine, finetune: Path, settings: Finetune, *, scored: bool) -> CutRecord:
    """What the ranker learns from the gate's test period, with models that were trained on everything before it.

    Args:
        data: The data set.
        engine: The candidate's, with its ranker.
        finetune: The output folder of finetune.
        settings: The settings of finetune.
        scored: Whether rankers and models are scored, too, as at the cuts of `choose_blend`.
    """
    judge, generator = judge_of(data), np.random.default_rng(settings.seed)
    start, size = test_start(data), read_json(finetune / "steps.json")["size"]
    positions = next_cut(data.positives(None), start, size, data.exclude_seen)
    positions = sampled(positions, settings.validation_users, generator)
    fused = replace(engine, blend=Blend(FUSION))
    examples = asked_for(fused, positions, data.exclude_seen, settings.negatives, generator)
    end = float(positions.targets.times.max(initial=start))
    record = CutRecord(start, end, examples, positions.users, {})
    if not scored or not len(positions):
        return record
    rankers = fit_rankers([saved(finetune / "examples")], tuple(engine.members), settings, judge.threads)
    scores = score_cut(ScoreBoard(), fused, None, TimeCut(positions.histories, positions), rankers, {}, judge)
    every = places_kept(replace(engine, new_every=0), positions, settings.new_every, judge)
    return CutRecord(start, end, examples, positions.users, scores, new_every=every)


def keep_period(warm: Path, data: Dataset, record: CutRecord, settings: Settings) -> None:
    """Save the record of the test period for the next night, where it has been scored.

    Args:
        warm: The folder of states in the bundle.
        data: The data set.
        record: From `test_record`.
        settings: All settings.
    """
    if record.scores:
        known = data.positives(None)
        keep_newest(warm / gate_fold(data), night_of(data, known, "base", settings), known, record)

"""What a night takes over from the night of the published version, beyond its records of cuts in time.

Of the content vectors, that they are not fitted to behaviour, where that night found no gain in it. And for the night
after, `refit` records tonight's own test period, once it is judged: it is the newest cut in time of tomorrow.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nightreel.bundle.assembly import LEARNED
from nightreel.content.training.kept_encoder import KeptContent
from nightreel.data.dataset import Dataset
from nightreel.data.histories import Histories
from nightreel.data.split_protocols import GLOBAL
from nightreel.evaluation.validation import gate_fold, judge_of
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, Blend
from nightreel.models.training.earlier_selection import SELECTION, CutRecord, keep_newest, refusal
from nightreel.models.training.fold_task import TimeCut, next_cut, sampled
from nightreel.models.training.new_item_places import places_kept
from nightreel.models.training.ranker_selection import ScoreBoard, fit_rankers, score_cut
from nightreel.models.training.training_examples import asked_for, saved
from nightreel.models.training.warm_start import WarmStartContext, warm_start_context
from nightreel.settings.finetune import Finetune
from nightreel.settings.params_file import Settings
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
    return CutRecord(start, end, examples, positions.users, scores, every)


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

"""All of whom or of which little is known: users with few events, items with none, users of another medium, and items
that their user never took, where items may come again."""

from __future__ import annotations

from nightreel.data.dataset import Dataset
from nightreel.evaluation.segments.cold_start import Row, Vectors, cold_start
from nightreel.evaluation.segments.cross_domain import cross_domain
from nightreel.evaluation.segments.repeat_consumption import repeat_consumption
from nightreel.evaluation.test_set import Ranker, TestSet
from nightreel.settings import Settings
from nightreel.stage import log_progress


def cold_start_segments(
    data: Dataset, question: TestSet, ranker: Ranker, model: str, vectors: Vectors, settings: Settings
) -> list[Row]:
    """Rows of cold_start, of comebacks and of cross_media; where there are none of these, the reason goes to the log.
    model: the served one; vectors: [n_items, d]."""
    trained, seed = data.positives(question.fold, ("train", "valid")), settings.finetune.seed
    rows = cold_start(question, ranker, model, trained, vectors, settings.evaluate, seed)
    rows += repeat_consumption(question, ranker, model, settings.evaluate, seed)
    media = data.items["media_type"].to_pylist()
    across, unmeasured = cross_domain(question, ranker, model, media, settings.evaluate, seed)
    if unmeasured:
        log_progress(f"one medium from another: not measured: {unmeasured}")
    return [*rows, *across]

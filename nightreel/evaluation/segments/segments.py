"""Cold-start segments: users with few events, items with none, users of another medium, repeated and new items."""

from __future__ import annotations

from nightreel.data.dataset import Dataset
from nightreel.evaluation.segments.cold_start import Row, Vectors, cold_start
from nightreel.evaluation.segments.cross_domain import cross_domain
from nightreel.evaluation.segments.repeat_consumption import repeat_consumption
from nightreel.evaluation.test_set import Ranker, TestSet
from nightreel.settings.params_file import Settings
from nightreel.stage import log_progress


def cold_start_segments(
    data: Dataset, question: TestSet, ranker: Ranker, model: str, vectors: Vectors, settings: Settings
) -> list[Row]:
    """Evaluate all segments; logs why cross-domain recommendation is not measured.

    Args:
        data: The validated data.
        question: The test set.
        ranker: The candidate.
        model: The served model.
        vectors: [n_items, d] content vectors.
        settings: All settings.
    """
    trained, seed = data.positives(question.fold, ("train", "valid")), settings.finetune.seed
    rows = cold_start(question, ranker, model, trained, vectors, settings.evaluate, seed)
    rows += repeat_consumption(question, ranker, model, settings.evaluate, seed)
    media = data.items["media_type"].to_pylist()
    across, unmeasured = cross_domain(question, ranker, model, media, settings.evaluate, seed)
    if unmeasured:
        log_progress(f"cross-domain recommendation is not measured: {unmeasured}")
    return [*rows, *across]

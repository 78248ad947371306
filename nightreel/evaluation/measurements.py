"""What evaluate measures before anything is judged: scores of every model, drift of the data, errors of ratings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nightreel.evaluation.drift.data_drift import Profiled, drifted, known_data
from nightreel.evaluation.list_checks import Hidden
from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.model_scores import GATE_K, ModelScores, intervals, score_models
from nightreel.evaluation.night_inputs import EMBED, NightInputs
from nightreel.evaluation.rating_error import rating_errors
from nightreel.store.backends.base import Store

Measured = dict[str, tuple[ModelScores, dict[str, dict[str, Interval]]]]


@dataclass(frozen=True)
class Measurements:
    """Figures of the candidate and of its data.

    Attributes:
        by_protocol: Split protocol → every model's scores, and model → metric → mean with its interval.
        gate: The scores of the protocol that decides.
        drift: Tonight's data against the last good ones.
        ratings: Split protocol → errors of predicted ratings.
    """

    by_protocol: Measured
    gate: ModelScores
    drift: Profiled
    ratings: dict[str, Any]

    @classmethod
    def of(cls, inputs: NightInputs, store: Store) -> Measurements:
        """All of them. store: where the last good data's profile is."""
        settings, data = inputs.settings.evaluate, inputs.data
        seed, replicates = inputs.settings.finetune.seed, settings.bootstrap_replicates
        cutoffs, hidden = sorted({*settings.cutoffs, GATE_K}), Hidden.of(data.item_ids, inputs.hidden)
        catalogue = inputs.catalogue
        measured: Measured = {}
        for name, pairs in inputs.pairs.items():
            scores = score_models(pairs, cutoffs=cutoffs, catalogue=catalogue, hidden=hidden)
            measured[name] = scores, intervals(scores, replicates, np.random.default_rng(seed))
        known = known_data(store, inputs.champion, inputs.settings.snapshot.source)
        vectors = np.load(EMBED / "vectors.npy")
        heads = {name: [(test.fold, reader.ratings) for test, reader in pairs] for name, pairs in inputs.pairs.items()}
        return cls(
            by_protocol=measured,
            gate=measured[data.gate][0],
            drift=drifted(data, vectors, known, inputs.challenger.config, settings.drift),
            ratings={name: rating_errors(data, pairs, replicates, seed) for name, pairs in heads.items()},
        )

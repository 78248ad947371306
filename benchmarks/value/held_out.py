"""The test part of a finished night, with what came of the items that users met in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from benchmarks.quality.night import NightError
from nightreel.data.dataset import Dataset, load_dataset
from nightreel.data.histories import Histories, IntArray
from nightreel.evaluation.test_set import TestSet, build_test_set
from nightreel.evaluation.validation import gate_fold
from nightreel.models.engine import Engine
from nightreel.models.outcomes.outcome_log import OutcomeLog
from nightreel.models.ranker.blend import FUSION, Blend
from nightreel.models.training.heads.outcome_examples import MetItems, OutcomeExamples, outcome_examples, saved
from nightreel.models.training.selected_params import SelectedParams
from nightreel.reader.reader import Reader
from nightreel.settings.finetune import Finetune
from nightreel.settings.params_file import load
from nightreel.stage import read_json

LEARNED, NEEDED = ("train", "valid"), ("data/validate/splits.json", "data/finetune/choices.json")
SEED = 20261201  # of the sample of other candidates


@dataclass(frozen=True)
class HeldOut:
    """A night's candidate and its test part.

    Attributes:
        data: The clean data set.
        choices: What the night selected.
        engine: The candidate's models, trained on train and validation.
        settings: The section `finetune` of the night.
        learned: Examples that the heads were trained on.
        test: The test set, as the stage evaluate has it.
        known: One row a user, the events before the test part.
        start: Time of the test part's beginning, epoch seconds.
        met: What users met in the test part.
    """

    data: Dataset
    choices: SelectedParams
    engine: Engine
    settings: Finetune
    learned: OutcomeExamples
    test: TestSet
    known: Histories
    start: float
    met: MetItems

    @classmethod
    def read(cls, workspace: Path, users: int | None = None) -> Self:
        """Of a workspace whose stage finetune has run. users: at most as many, sampled at random; None: all. Raises
        NightError where there is nothing to measure."""
        missing = [name for name in NEEDED if not (workspace / name).exists()]
        if missing:
            raise NightError(f"--workspace {workspace}: has no {missing[0]}. Name a workspace of `nightreel run`.")
        root = workspace / "data" / "finetune"
        data = load_dataset(workspace / "data" / "validate")
        fold, cuts = gate_fold(data), read_json(workspace / NEEDED[0])["protocols"][data.gate]["cuts"]
        log = OutcomeLog.of(data, fold, ("test",), least=1) if cuts else None
        if log is None or not (root / "outcomes").exists():
            raise NightError(
                f"{workspace}: its night has no heads to measure: they need a log with a clock, and likes, dislikes, "
                "shares or impressions."
            )
        start, known = float(cuts[0][1]), data.positives(fold, LEARNED)
        met = MetItems.of(log, known, start, np.inf, users or data.n_users, np.random.default_rng(SEED))
        return cls(
            data=data,
            choices=SelectedParams.read(root),
            engine=Reader.open_bundle(root / "candidate").unruled.engine,
            settings=load(workspace / "params.yaml").finetune,
            learned=saved(root / "outcomes"),
            test=build_test_set(data, fold, start),
            known=known,
            start=start,
            met=met,
        )

    def examples(self) -> OutcomeExamples:
        """Rows of the test part, of the same two kinds as those that the heads were trained on, with all features."""
        whole = replace(self.engine, blend=Blend(FUSION))
        generator = np.random.default_rng(SEED)
        return outcome_examples(whole, self.known, self.met, self.start, self.data.exclude_seen, generator)

    def exclude(self) -> Histories | None:
        """Seen items of the users of `met`; None where lists may repeat items."""
        seen = self.data.seen(gate_fold(self.data), LEARNED)
        return seen.take(self.met.users) if self.data.exclude_seen else None

    def rows_of_test(self) -> tuple[IntArray, IntArray]:
        """Rows of the test set's users in `met`, and in the test set."""
        rows = np.searchsorted(self.met.users, self.test.users)
        rows = np.minimum(rows, len(self.met.users) - 1)
        there = self.met.users[rows] == self.test.users
        return rows[there], np.flatnonzero(there)

"""The gate over real bundles: the champion is opened, or its choices retrained, only if the comparison needs it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from nightreel.bundle.assembly import rehearse
from nightreel.data.dataset import Dataset
from nightreel.evaluation.champion import Champion, Unreadable, compare
from nightreel.evaluation.gate.gate import Gate, GateEvidence, GateResult, decide
from nightreel.evaluation.test_set import Ranker, TestSet
from nightreel.models.training.selected_params import SelectedParams
from nightreel.reader.reader import Reader
from nightreel.stage import log_progress


def compare_to_champion(
    gate: Gate,
    evidence: GateEvidence,
    champion: Champion | Unreadable | None,
    data: Dataset,
    pairs: list[tuple[TestSet, Reader]],
    *,
    blocked: bool,
    least_users: int,
    vectors: tuple[Path, Path],
    hidden: frozenset[str],
) -> GateResult:
    """Compare the candidate with the champion and decide.

    Args:
        gate: The gate's parameters.
        evidence: What was measured of the candidate.
        champion: The pinned champion, if there is one.
        data: The validated data.
        pairs: Test set and reader of each of the gate's folds, the latest first.
        blocked: Whether a rollback blocked this recipe.
        least_users: Fewest test users for a comparison in time, see `compare`.
        vectors: Folders of today's content vectors: of the base encoder and of the fitted one.
        hidden: Ids of items that may not be shown today.
    """
    with tempfile.TemporaryDirectory() as scratch:
        found = decide(
            gate,
            evidence,
            champion,
            blocked=blocked,
            compare=lambda known: compare(
                known,
                data,
                evidence.scores,
                [trial for trial, _ in pairs],
                least_users=least_users,
                challenger=pairs[0][1],
                open_champion=lambda: Reader.open(version=known.digest).hiding(hidden),
                retrain=_retraining(data, Path(scratch), vectors, hidden),
                hidden=hidden,
            ),
        )
    # The live version was trained on this same log already, so refitting it would change nothing.
    learned = isinstance(champion, Champion) and champion.config.get("split_digest") == data.split_digest[data.gate]
    return replace(found, refresh=found.refresh and not learned)


def _retraining(
    data: Dataset, scratch: Path, vectors: tuple[Path, Path], hidden: frozenset[str]
) -> Callable[[str, SelectedParams], Ranker]:
    def retrain(fold: str, choices: SelectedParams) -> Ranker:
        log_progress(f"retraining the champion's choices on {fold}")
        # A fine-tuned encoder is not stored with a version, so today's vectors replace the champion's.
        own = np.load(vectors[0 if choices.encoder == "base" else 1] / "vectors.npy")
        rehearse(data, fold, choices, own, {"key_fingerprint": None, "pseudonymised": False}, scratch / fold)
        return Reader.open_bundle(scratch / fold, check=False).hiding(hidden)

    return retrain

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
from nightreel.models.base import Recommender
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
                retrain=_retraining(data, Path(scratch), vectors, hidden, pairs[0]),
                hidden=hidden,
            ),
        )
    # The live version was trained on this same log already, so refitting it would change nothing.
    learned = isinstance(champion, Champion) and champion.config.get("split_digest") == data.split_digest[data.gate]
    return replace(found, refresh=found.refresh and not learned)


def _retraining(
    data: Dataset,
    scratch: Path,
    vectors: tuple[Path, Path],
    hidden: frozenset[str],
    candidate: tuple[TestSet, Reader],
) -> Callable[[str, SelectedParams], Ranker]:
    def retrain(fold: str, choices: SelectedParams) -> Ranker:
        alike = alike_members(choices, vectors[1], candidate[1]) if fold == candidate[0].fold else {}
        told = f"; {len(alike)} of its {len(choices.members)} models are the candidate's" if alike else ""
        log_progress(f"retraining the champion's choices on {fold}{told}")
        # A fine-tuned encoder is not stored with a version, so today's vectors replace the champion's.
        own = np.load(vectors[0 if choices.encoder == "base" else 1] / "vectors.npy")
        config = {"key_fingerprint": None, "pseudonymised": False}
        rehearse(data, fold, choices, own, config, scratch / fold, ready=lambda name, *_: alike.get(name))
        return Reader.open_bundle(scratch / fold, check=False).hiding(hidden)

    return retrain


def alike_members(choices: SelectedParams, finetune: Path, candidate: Reader) -> dict[str, Recommender]:
    """Models of the candidate with the very hyper-parameters of other choices, which need not be trained again.

    Args:
        choices: Of the champion.
        finetune: The output folder of finetune.
        candidate: The candidate, trained on the same events.
    """
    ours = SelectedParams.read(finetune)
    if (ours.encoder, ours.backbone) != (choices.encoder, choices.backbone):
        return {}
    members = candidate.engine.members
    return {name: members[name] for name in members if ours.members.get(name) == choices.members.get(name)}

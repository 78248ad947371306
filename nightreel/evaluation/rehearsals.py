"""The candidate bundles of a protocol, each with its test set."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from nightreel.data.dataset import Dataset
from nightreel.evaluation.showable_today import mask_of
from nightreel.evaluation.test_set import TestSet, build_test_set
from nightreel.reader.reader import Reader


def rehearsed(
    data: Dataset, protocol: str, cuts: Sequence[Sequence[float]], hidden: Collection[str], finetune: Path
) -> list[tuple[TestSet, Reader]]:
    """Return each fold's test set and candidate bundle, the latest fold first, both without items hidden today.

    Args:
        data: The validated data.
        protocol: One of its protocols.
        cuts: (start of validation, start of test, end) of each fold in epoch seconds; empty if each user has their own.
        hidden: Ids of items that may not be shown today.
        finetune: The output folder of finetune.
    """
    gone = mask_of(data.item_ids, hidden)
    pairs: list[tuple[TestSet, Reader]] = []
    for number, fold in enumerate(data.protocols[protocol]):
        latest = protocol == data.gate and number == 0
        bundle = finetune / "candidate" if latest else finetune / "candidates" / fold
        test_set = build_test_set(data, fold, cuts[number][1] if cuts else None, gone)
        pairs.append((test_set, Reader.open_bundle(bundle).hiding(hidden)))
    return pairs

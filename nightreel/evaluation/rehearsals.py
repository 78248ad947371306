"""The rehearsed bundles of a protocol, each with the question that it is judged by."""

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
    """Each fold's question and the bundle that was rehearsed for it, the latest fold first; both about what may be
    shown today.

    Args:
        data: The night's data set.
        protocol: One of its protocols.
        cuts: (validation begins, test begins, end) of each fold, epoch seconds; empty where each user has their own.
        hidden: Ids of the items that nobody may be shown today.
        finetune: The folder of that stage's outputs.
    """
    gone = mask_of(data.item_ids, hidden)
    pairs: list[tuple[TestSet, Reader]] = []
    for number, fold in enumerate(data.protocols[protocol]):
        latest = protocol == data.gate and number == 0
        bundle = finetune / "candidate" if latest else finetune / "candidates" / fold
        asked = build_test_set(data, fold, cuts[number][1] if cuts else None, gone)
        pairs.append((asked, Reader.open_bundle(bundle).hiding(hidden)))
    return pairs

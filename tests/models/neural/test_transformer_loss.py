"""What the transformer is shown while it learns: windows, masks, batches, gaps of time, where items start."""

from __future__ import annotations

import numpy as np

from nightreel.data.histories import Histories
from nightreel.models.neural import sequences
from nightreel.models.neural.sequences import batches, gap_buckets, neighbourhood_factors, windows
from nightreel.models.neural.transformer.config import TransformerConfig
from tests.support.planted import ITEMS, histories

HYPER = {"dim": 32.0, "layers": 1.0, "heads": 2.0, "window": 10.0, "dropout": 0.1}


def test_windows_hold_every_transition_of_a_history() -> None:
    rng = np.random.default_rng(1)
    rows = [(list(range(n)), [float(i) for i in range(n)]) for n in (0, 1, 2, 5, 6, 7, 23)]
    known = Histories.from_rows(rows)
    for _ in range(20):
        spans = windows(known, 5, rng)
        taught = {(e, e + 1) for start, end in spans.tolist() for e in range(start, end - 1)}
        assert (spans[:, 1] - spans[:, 0]).max() <= 6
        inside = {(e, e + 1) for e in range(len(known.items) - 1) if known.rows[e] == known.rows[e + 1]}
        assert taught == inside


def test_long_histories_give_no_more_windows_than_asked_for_and_others_each_time() -> None:
    known = Histories.from_rows([(list(range(40)), [float(t) for t in range(40)]), ([1, 2], [0.0, 1.0]), ([3], [0.0])])
    rng = np.random.default_rng(0)
    assert len(windows(known, 5, rng)) > 3
    drawn = [windows(known, 5, rng, 2) for _ in range(300)]
    assert {len(spans) for spans in drawn} == {3}, "two of the long one, and the short one's own"
    assert {end for spans in drawn for _, end in spans.tolist()} >= set(range(6, 40)), "cuts move, so all are met"
    np.testing.assert_array_equal(
        windows(known, 5, np.random.default_rng(1)), windows(known, 5, np.random.default_rng(1), 99)
    )


def test_masked_items_leave_their_gaps_and_only_while_training() -> None:
    import torch

    from nightreel.models.neural.transformer.network import TransformerNetwork

    vectors = np.zeros((6, 4), np.float32)
    hidden, half, plain = (
        TransformerNetwork(vectors, 6, TransformerConfig(**(HYPER | {"mask": mask}))) for mask in (1.0, 0.5, 0.0)
    )
    items, gap = torch.ones(50, 8, 32), torch.zeros(50, 8, dtype=torch.int64)
    with torch.no_grad():
        assert hidden.train().inputs(items, gap).abs().sum() == 0, "the gaps' vectors start at nothing"
        share = float(half.train().inputs(items, gap).mean())
        assert 0.4 < share < 0.6
        assert torch.equal(plain.train().inputs(items, gap), items) and torch.equal(
            hidden.eval().inputs(items, gap), items
        )


def test_batches_ask_what_the_windows_hold() -> None:
    rng = np.random.default_rng(2)
    spans = windows(histories(), 5, rng)
    asked = [index[real] for index, real in batches(spans, 40, rng)]
    expected = np.concatenate([np.arange(start, end - 1) for start, end in spans.tolist()])
    np.testing.assert_array_equal(np.sort(np.concatenate(asked)), np.sort(expected))
    assert all(index.size <= 40 for index, _ in batches(spans, 40, rng))


def test_gaps_are_told_in_powers_of_two() -> None:
    known = Histories.from_rows([([1, 2, 3, 4], [0.0, 0.0, 1.0, 8.0]), ([], []), ([5, 6], [3.0, 1e12])])
    assert gap_buckets(known, True).tolist() == [0, 1, 2, 4, 0, sequences.GAPS - 1]
    assert not gap_buckets(known, False).any()


def test_items_taken_together_start_close() -> None:
    vectors = neighbourhood_factors(histories(), ITEMS, 8)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    near, far = (unit[0] @ unit[other] for other in (2, 31))
    assert near > 0.5 > far

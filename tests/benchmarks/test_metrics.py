"""The metrics benchmark: a peer gets the lists that we score, and its absence or its other means are told."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.evaluation.metric_peers import rectools, tables
from benchmarks.evaluation.metrics import agree, question


def test_other_means_end_it() -> None:
    ours = {"ndcg@1": 0.25, "ndcg@5": 0.5}
    agree("ranx", {"ndcg@1": 0.25, "ndcg@5": 0.5 + 1e-12}, ours)
    for theirs, told in (({"ndcg@1": 0.25, "ndcg@5": 0.5001}, "ndcg@5"), ({"ndcg@1": 0.25}, "some are absent")):
        with pytest.raises(SystemExit, match=f"ranx has other means than we have: {told}"):
            agree("ranx", theirs, ours)


def test_tables_hold_each_place_of_a_list_and_no_padding(tmp_path: Path) -> None:
    truth = question(2, 30, np.random.default_rng(0)).truth
    options = tables(np.array([[4, 9, -1], [7, -1, -1]], np.int32), truth, tmp_path)
    shown, wanted = pq.read_table(options[1]), pq.read_table(options[3])
    assert shown.to_pydict() == {"user": [0, 0, 1], "item": [4, 9, 7], "rank": [1, 2, 1]}
    assert (wanted["user"].to_numpy() * 30 + wanted["item"].to_numpy()).tolist() == truth.keys.tolist()


def test_a_peer_that_cannot_start_is_told() -> None:
    truth = question(2, 30, np.random.default_rng(0)).truth
    lists = np.zeros((2, 1), np.int32)
    with (
        pytest.raises(SystemExit, match="RecTools' process ended"),
        rectools(lists, truth, (1, 5), Path(sys.executable)),
    ):
        pass

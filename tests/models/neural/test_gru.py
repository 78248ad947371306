from __future__ import annotations

import numpy as np
import pytest
import torch

from nightreel.data.histories import Histories
from nightreel.models.neural.gru.config import GruConfig
from nightreel.models.neural.gru.model import NONE, Recurrent, latest, pieces
from nightreel.models.neural.gru.training import GruAttention, flush_left, surprise
from tests.support.planted import catalogue, histories

HYPER = {
    "units": 16.0, "window": 8.0, "horizon": 3.0, "dropout": 0.2, "weight_decay": 0.01, "epochs": 20.0, "least_steps": 10.0,
    "batch": 16.0, "learning_rate": 0.01, "seed": 1.0,
}  # fmt: skip
ROWS = Histories.from_rows([([1, 2, 3, 4, 5], [0.0] * 5), ([], []), ([6], [0.0]), ([7, 8], [0.0] * 2)])


@pytest.fixture(scope="module")
def member() -> Recurrent:
    return Recurrent.fit(histories(), catalogue(), GruConfig.model_validate(HYPER), clock=True)


def test_latest_events_are_flush_right() -> None:
    assert latest(ROWS, 3).tolist() == [[3, 4, 5], [NONE] * 3, [NONE, NONE, 6], [NONE, 7, 8]]


def test_pieces_predict_every_event_but_the_first_once() -> None:
    assert pieces(ROWS, 3).tolist() == [[3, 4, 5], [1, 2, 3], [NONE, 7, 8]]
    assert pieces(ROWS, 4).tolist() == [[2, 3, 4, 5], [NONE, NONE, 1, 2], [NONE, NONE, 7, 8]]


def test_flush_left_is_no_wider_than_the_longest() -> None:
    assert flush_left(np.array([[-1, -1, 4, 5], [-1, -1, -1, 6]], np.int32)).tolist() == [[4, 5], [6, -1]]


@pytest.mark.parametrize("events", [[5], [10, 12, 14], list(range(20))])
def test_numpy_answers_as_the_network_does(events: list[int], member: Recurrent) -> None:
    network = GruAttention(60, 16, dropout=0.0)
    network.load_state_dict({name: torch.from_numpy(w) for name, w in member.weights.items()})
    with torch.no_grad():
        scores = network.logits(network(torch.tensor([events[-8:]])))[0, -1].numpy()
    asked = Histories.from_rows([(events, [0.0] * len(events)), ([3, 5], [0.0, 0.0])])
    np.testing.assert_allclose(member.score(asked, np.zeros(2))[0], scores, rtol=1e-4, atol=1e-5)


def test_no_output_sees_what_comes_after_it() -> None:
    network = GruAttention(60, 16, dropout=0.0)
    with torch.no_grad():
        first, second = network(torch.tensor([[1, 2, 3, 4], [1, 2, 9, 8]]))
    torch.testing.assert_close(first[:2], second[:2])
    assert not torch.allclose(first[2], second[2])


def test_it_knows_what_comes_next(member: Recurrent) -> None:
    scores = member.score(Histories.from_rows([([10, 12, 14], [1.0, 2.0, 3.0])]), np.zeros(1))[0]
    assert 16 in np.argsort(-scores)[:3]


def test_an_empty_history_scores_zeros(member: Recurrent) -> None:
    assert not member.score(ROWS, np.zeros(4))[1].any()


def test_a_train_without_a_pair_of_events_is_fitted() -> None:
    untrained = Recurrent.fit(
        Histories.from_rows([([3], [1.0]), ([], [])]), catalogue(), GruConfig.model_validate(HYPER), clock=True
    )
    assert np.isfinite(untrained.score(ROWS, np.zeros(4))).all()


def test_the_loss_weighs_what_comes_by_its_distance() -> None:
    network = GruAttention(60, 16, dropout=0.0)
    row = [4, 9, 2]
    with torch.no_grad():
        after = network.logits(network(torch.tensor([row[:2]]))[0]).log_softmax(dim=1)
        found = surprise(network, torch.tensor([[*row, -1]]), horizon=2)
    first = -(after[0, 9] + after[0, 2] / 2) / 1.5
    assert float(found) == pytest.approx(float((first - after[1, 2]) / 2), rel=1e-5)

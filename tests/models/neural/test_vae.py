from __future__ import annotations

import numpy as np
import pytest
import torch

from nightreel.data.histories import Histories
from nightreel.models.neural.torch_training import seeded, sigmoid
from nightreel.models.neural.vae.config import VaeConfig
from nightreel.models.neural.vae.model import Vae
from nightreel.models.neural.vae.training import bound, layers
from tests.support.planted import catalogue, histories

HYPER = {
    "hidden": 32.0, "latent": 8.0, "dropout": 0.5, "kl": 0.2, "epochs": 30.0, "batch": 16.0, "learning_rate": 0.01,
    "seed": 1.0, "decay": 5.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def member() -> Vae:
    return Vae.fit(histories(), catalogue(), VaeConfig.model_validate(HYPER), clock=True)


def test_numpy_answers_as_the_network_does(member: Vae) -> None:
    network = layers(60, 32, 8)
    network.load_state_dict({name: torch.from_numpy(w) for name, w in member.weights.items()}, strict=False)
    asked = Histories.from_rows([([4, 7, 4], [1.0, 2.0, 3.0])])
    x = torch.zeros(1, 60)
    x[0, 4], x[0, 7] = 1 + np.exp(-2 / 5), np.exp(-1 / 5)
    with torch.no_grad():
        hidden = torch.tanh(network["enter"](torch.nn.functional.normalize(x)))
        scores = network["out"](torch.tanh(network["leave"](network["mean"](hidden))))
    np.testing.assert_allclose(member.score(asked, np.zeros(1)), scores.numpy(), rtol=1e-4, atol=1e-5)


def test_the_bound_of_an_untrained_network_is_the_uniform_likelihood() -> None:
    network = layers(5, 3, 2)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.tensor([[1.0, 0, 1, 0, 0], [0, 1, 0, 0, 0]])
    assert float(bound(network, x, 0.0, kl=1.0).detach()) == pytest.approx(1.5 * np.log(5))


def test_the_divergence_is_weighted_by_kl() -> None:
    network = layers(5, 3, 2)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(network["mean"].get_parameter("bias"), 2.0)
    with seeded(1):  # mean 2 in two dimensions, variance 1: 0.5 x (2² + 2²) = 4
        free = bound(network, torch.eye(5), 0.0, kl=0.0)
    with seeded(1):
        weighted = bound(network, torch.eye(5), 0.0, kl=0.5)
    assert float((weighted - free).detach()) == pytest.approx(0.5 * 4)


def test_the_seed_decides_and_torch_s_own_generator_is_left_alone() -> None:
    short = {**HYPER, "epochs": 1.0}
    before = torch.random.get_rng_state()
    first = Vae.fit(histories(), catalogue(), VaeConfig.model_validate(short), clock=True).weights["enter.weight"]
    assert torch.equal(torch.random.get_rng_state(), before)
    other = Vae.fit(histories(), catalogue(), VaeConfig.model_validate({**short, "seed": 2.0}), clock=True).weights[
        "enter.weight"
    ]
    assert not np.array_equal(first, other)


def test_an_empty_history_scores_zeros(member: Vae) -> None:
    assert not member.score(Histories.from_rows([([], [])]), np.zeros(1)).any()


def test_a_train_without_events_is_fitted() -> None:
    untrained = Vae.fit(Histories.from_rows([([], [])]), catalogue(), VaeConfig.model_validate(HYPER), clock=True)
    assert np.isfinite(untrained.score(histories(), np.zeros(80))).all()


def test_sigmoid_doesn_t_overflow() -> None:
    np.testing.assert_allclose(sigmoid(np.array([-1e4, 0, 1e4], np.float32)), [0, 0.5, 1], atol=1e-7)

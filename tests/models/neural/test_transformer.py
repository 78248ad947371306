"""The transformer: learned order, the same numbers in numpy as in torch, new items, continuation, large catalogues."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.engine import mapped, top_k_lists, unseen
from nightreel.models.neural.sequences import gap_buckets
from nightreel.models.neural.transformer.config import TransformerConfig
from nightreel.models.neural.transformer.model import Transformer
from tests.support.planted import ITEMS, catalogue, histories

HYPER = {
    "dim": 32.0, "layers": 1.0, "heads": 2.0, "window": 10.0, "epochs": 10.0, "tokens": 1.0, "learning_rate": 0.005, "dropout": 0.1,
    "negatives": 20.0, "resumed_epochs": 10 / 3, "resumed_rate": 0.005, "most_new": 1.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> Transformer:
    return Transformer.fit(histories(), catalogue(), TransformerConfig.model_validate(HYPER), clock=True)


def at(histories: Histories) -> np.ndarray[Any, Any]:
    return np.nan_to_num(histories.last_times, nan=1.0)


def reciprocal_rank(member: Transformer) -> float:
    """Mean reciprocal rank of the ring's next item after three steps, over every start."""
    rows, answers = [], []
    for start in range(ITEMS):
        ring = (start // 2 + np.arange(4)) % (ITEMS // 2) * 2 + start % 2
        rows.append((ring[:3].tolist(), [86_400.0, 172_800.0, 259_200.0]))
        answers.append(int(ring[3]))
    asked = Histories.from_rows(rows)
    scores = unseen(np.array(member.score(asked, at(asked))), asked, None)
    own = scores[np.arange(ITEMS), answers]
    return float((1.0 / (1 + (scores > own[:, None]).sum(axis=1))).mean())


def test_it_knows_the_taste_and_what_comes_next(fitted: Transformer) -> None:
    asked = Histories.from_rows([([10, 12, 14], [1.0, 2.0, 3.0]), ([11, 13, 15], [1.0, 2.0, 3.0])])
    lists, _ = top_k_lists(unseen(np.array(fitted.score(asked, at(asked))), asked, None), 10)
    assert 16 in lists[0, :3].tolist() and 17 in lists[1, :3].tolist()
    for taste in (0, 1):
        assert (lists[taste] % 2 == taste).mean() >= 0.9
    assert reciprocal_rank(fitted) > 0.7


def test_the_same_data_give_the_same_bytes_and_leave_torch_as_it_was(fitted: Transformer) -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = Transformer.fit(histories(), catalogue(), TransformerConfig.model_validate(HYPER), clock=True).arrays()
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()
    assert again.keys() == fitted.arrays().keys()
    for name, values in fitted.arrays().items():
        np.testing.assert_array_equal(again[name], values)


def test_numpy_answers_as_torch_does() -> None:
    import torch

    from nightreel.models.neural.transformer.network import TransformerNetwork
    from nightreel.models.neural.transformer.training import begin

    deeper = {**HYPER, "layers": 3.0, "epochs": 2.0}
    fitted = Transformer.fit(histories(), catalogue(), TransformerConfig.model_validate(deeper), clock=True)
    network = TransformerNetwork(catalogue().vectors, ITEMS, TransformerConfig.model_validate(deeper))
    begin(network, histories(), dict(fitted.weights))
    network.eval()
    for row in (0, 1, 7):
        items, times = histories()[row]
        own = Histories.from_rows([(items[-10:].tolist(), times[-10:].tolist())])
        with torch.no_grad():
            table = network.items(torch.arange(ITEMS))
            inputs = table[torch.from_numpy(own.items.astype(np.int64))]
            inputs = inputs + network.gaps[torch.from_numpy(gap_buckets(own, True))]
            expected = network.states(inputs[None])[0, -1] @ table.T + network.bias
        np.testing.assert_allclose(fitted.score(own, at(own))[0], expected.numpy(), atol=1e-4)


def test_a_row_is_bit_equal_alone_and_among_others(fitted: Transformer) -> None:
    rng = np.random.default_rng(3)
    lengths = [1, 2, 9, 10, 30, 0, 5, 8, 8, 8] * 7
    rows = [(rng.integers(0, ITEMS, n).tolist(), np.sort(rng.uniform(0, 1e8, n)).tolist()) for n in lengths]
    several = Histories.from_rows(rows)
    together = fitted.score(several, at(several))
    assert not together[5].any()
    for row in range(len(lengths)):
        alone = several.take([row])
        np.testing.assert_array_equal(fitted.score(alone, at(alone))[0], together[row])


def test_saved_it_answers_from_mapped_files(fitted: Transformer, tmp_path: Any) -> None:
    for name, values in fitted.arrays().items():
        np.save(tmp_path / f"{name}.npy", values, allow_pickle=False)
    again = Transformer.load(mapped(tmp_path), catalogue())
    np.testing.assert_array_equal(again.score(histories(), at(histories())), fitted.score(histories(), at(histories())))


def test_a_new_item_stands_where_its_content_is() -> None:
    """Item 60 was never taken; its vector is that of the even taste, so even users get it before odd ones do."""
    known = catalogue()
    vectors = np.concatenate([known.vectors, known.vectors[[0, 1]]])
    more = Catalogue(vectors, np.zeros((62, 2), np.float32), np.full(62, 2000.0, np.float32))
    member = Transformer.fit(histories(), more, TransformerConfig.model_validate(HYPER), clock=True)
    scores = member.score(histories(), at(histories()))
    gain = scores[:, 60] - scores[:, 61]
    assert gain[::2].mean() > 0 > gain[1::2].mean()


def test_order_alone_is_enough() -> None:
    """Without a clock, times are places: other numbers in the same order change nothing."""
    places = histories()
    member = Transformer.fit(places, catalogue(), TransformerConfig.model_validate(HYPER), clock=False)
    other = Histories(places.indptr, places.items, places.times * 3.0)
    np.testing.assert_array_equal(member.score(places, at(places)), member.score(other, at(other)))
    assert reciprocal_rank(member) > 0.7


def test_sampled_negatives_find_the_order_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from nightreel.models.neural.transformer import training

    monkeypatch.setattr(training, "FULL_SOFTMAX", 10)
    member = Transformer.fit(histories(), catalogue(), TransformerConfig.model_validate(HYPER), clock=True)
    assert reciprocal_rank(member) > 0.6


def test_sampling_is_corrected_for_how_often_an_item_is_drawn() -> None:
    """Where every item is drawn as often as expected, the sampled sum is the whole one."""
    import torch

    from nightreel.models.neural.transformer.loss import TrainingTensors, sampled_scores
    from nightreel.models.neural.transformer.network import TransformerNetwork

    rows = Histories.from_rows([([0, 0, 0, 1], [1.0, 2.0, 3.0, 4.0])])
    network = TransformerNetwork(np.zeros((2, 3), np.float32), 2, TransformerConfig.model_validate(HYPER))
    tensors = TrainingTensors.of(rows, 2, False, torch.device("cpu"))
    tensors = replace(tensors, often=torch.tensor([0.75, 0.25]))
    table, states = torch.zeros(2, 32), torch.zeros(1, 32)
    drawn, answer = torch.tensor([0, 0, 0, 1]), torch.tensor([1])
    scores = sampled_scores(network, tensors, states, answer, answer, drawn, table, torch.tensor([0, 1]))
    # The answer (drawn 0.25 x 4 = once) counts 1; item 0, drawn thrice, 3 x 1/3; the answer's own draw is left out.
    np.testing.assert_allclose(torch.exp(scores)[0].detach().numpy(), [1.0, 1 / 3, 1 / 3, 1 / 3, 0.0], atol=1e-6)


def test_continued_on_more_data_it_is_as_good_for_a_third_of_the_work() -> None:
    """Last night's model, a new item and new events: continued, it ranks what comes next as a new fit does."""
    past = histories().where(np.arange(len(histories().items)) % 12 < 9)
    known = catalogue()
    before = Transformer.fit(past, known, TransformerConfig.model_validate(HYPER), clock=True)
    vectors = np.concatenate([known.vectors, known.vectors[:1]])
    now = Catalogue(vectors, np.zeros((61, 2), np.float32), np.full(61, 2000.0, np.float32))
    continued = before.resumed(histories(), now, TransformerConfig.model_validate(HYPER), clock=True)
    anew = Transformer.fit(histories(), now, TransformerConfig.model_validate(HYPER), clock=True)
    assert continued.items.shape == (61, 32)
    assert reciprocal_rank(continued) > reciprocal_rank(anew) - 0.05
    assert len(before.items) == 60


def test_where_most_is_new_it_learns_anew(fitted: Transformer) -> None:
    """Half of the events are new to it: it ends as one that never knew the others first."""
    before = Transformer.fit(
        histories().where(np.arange(len(histories().items)) % 12 < 6),
        catalogue(),
        TransformerConfig.model_validate(HYPER),
        clock=True,
    )
    ended = before.resumed(
        histories(), catalogue(), TransformerConfig.model_validate({**HYPER, "most_new": 0.4}), clock=True
    )
    np.testing.assert_array_equal(ended.items, fitted.items)
    loaded = Transformer.load(before.arrays(), catalogue())
    assert loaded.events == before.events == len(histories().items) // 2


def test_continuing_another_shape_is_refused(fitted: Transformer) -> None:
    with pytest.raises(ValueError, match="dim changed"):
        fitted.resumed(histories(), catalogue(), TransformerConfig.model_validate({**HYPER, "dim": 16.0}), clock=True)


@pytest.mark.parametrize("rows", [[([3], [1.0])], [([3, 3, 3], [1.0, 1.0, 1.0])], [([], []), ([4, 9], [1.0, 2.0])]])
def test_tiny_data_give_finite_scores(rows: list[tuple[list[int], list[float]]]) -> None:
    train = Histories.from_rows(rows)
    member = Transformer.fit(train, catalogue(), TransformerConfig.model_validate(HYPER), clock=True)
    assert np.isfinite(member.score(train, at(train))).all()


def divided() -> Histories:
    """Users of two camps, told apart by the item that they keep taking (18 or 19); between, they take the same items,
    and rate them the opposite way, so that no bias is left to tell."""
    rng = np.random.default_rng(4)
    rows, values = [], []
    for user in range(60):
        others, camp = rng.integers(0, 18, 6), user % 2
        rows.append((np.stack([np.full(6, 18 + camp), others], axis=1).ravel().tolist(), list(range(12))))
        values += np.stack([np.full(6, 3.0), np.where(others % 2 == camp, 5.0, 1.0)], axis=1).ravel().tolist()
    return replace(Histories.from_rows(rows), values=np.array(values))


def test_a_rating_head_learns_beside_it_what_biases_leave() -> None:
    known = divided()
    member = Transformer.fit(
        known,
        catalogue(),
        TransformerConfig.model_validate(HYPER | {"rating_weight": 1.0, "epochs": 20.0}),
        clock=False,
    )
    items = np.repeat(np.arange(18)[None], 2, axis=0)
    predicted = member.rating_residuals(known, np.repeat([0, 1], 18), items.ravel()).reshape(2, 18)
    alike = items % 2 == np.array([[0], [1]])
    assert predicted[alike].mean() > 0.5 and predicted[~alike].mean() < -0.5
    loaded = Transformer.load(member.arrays(), catalogue())
    np.testing.assert_array_equal(
        loaded.rating_residuals(known, np.arange(60), np.zeros(60, int)),
        member.rating_residuals(known, np.arange(60), np.zeros(60, int)),
    )
    assert not member.rating_residuals(Histories.from_rows([([], [])]), np.array([0]), np.array([3])).any()


def test_where_nothing_is_rated_the_head_foretells_nothing() -> None:
    member = Transformer.fit(
        histories(),
        catalogue(),
        TransformerConfig.model_validate(HYPER | {"rating_weight": 1.0, "epochs": 1.0}),
        clock=True,
    )
    assert not member.rating_residuals(histories(), np.arange(5), np.arange(5)).any()

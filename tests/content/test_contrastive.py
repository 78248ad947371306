import math
from pathlib import Path

import numpy as np
import pytest
import torch

from nightreel.content.encoders.transformer import Encoder
from nightreel.content.encoders.transformer_files import EncoderNetwork
from nightreel.content.training.contrastive import (
    FinetunedEncoder,
    contrastive_loss,
    draws,
    finetune_encoder,
    learning_rate_share,
)
from nightreel.content.training.lora import fitted as fitted_weights
from nightreel.errors import UserError
from nightreel.settings.embed import Embed

pytestmark = pytest.mark.end_to_end

# Ten tastes that no text tells: item n belongs to taste n % 10, its words to group n // 10.
TEXTS = [
    f"{word} {n % 10}" for n, word in enumerate(w for w in ("robot", "wedding", "river", "tiger") for _ in range(10))
]
PAIRS = np.array([(a, b) for a in range(40) for b in range(40) if a != b and a % 10 == b % 10], np.int32)
POPULARITY = np.arange(1, 41)


def fit(settings: Embed, *, steps: int = 6, seed: int = 5, pairs: np.ndarray = PAIRS) -> FinetunedEncoder:
    return finetune_encoder(settings, TEXTS, pairs, POPULARITY, steps=steps, batch=16, seed=seed)


@pytest.fixture(scope="module")
def fitted(embed_settings: Embed) -> FinetunedEncoder:
    return fit(embed_settings)


def test_the_loss_by_hand(embed_settings: Embed) -> None:
    """Two pairs with orthogonal items; item 2 was drawn three times as often as the others."""
    left, right = torch.eye(4)[[0, 1]], torch.eye(4)[[0, 1]]
    drawn = np.log(np.array([1, 1, 3, 1]) / 6)
    tune = embed_settings.tune.model_copy(update={"temperature": 0.5})
    loss = contrastive_loss(left, right, np.array([0, 1]), np.array([2, 3]), drawn, tune)
    # Row 0, to the right: target 2 (cosine 1) against 3 (cosine 0); e^(1/0.5) divided by the share drawn.
    forth = [-math.log((math.e**2 / 3) / (math.e**2 / 3 + 1)), -math.log(math.e**2 / (math.e**2 + 1 / 3))]
    back = [-math.log(math.e**2 / (math.e**2 + 1))] * 2
    assert float(loss) == pytest.approx((sum(forth) / 2 + sum(back) / 2) / 2, rel=1e-6)


def test_the_own_item_elsewhere_in_the_batch_is_no_negative(embed_settings: Embed) -> None:
    """Both pairs are of the items 0 and 1, so that nothing is left to be told apart: the loss is zero."""
    vectors = torch.nn.functional.normalize(torch.randn(2, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    drawn = np.zeros(2)
    for left, right in (([0, 0], [1, 1]), ([0, 1], [1, 0])):
        loss = contrastive_loss(vectors, vectors, np.array(left), np.array(right), drawn, embed_settings.tune)
        assert float(loss) == 0


def test_it_learns_what_the_texts_do_not_tell(embed_settings: Embed, encoder: Encoder) -> None:
    tune = embed_settings.tune.model_copy(update={"learning_rate": 0.0005})
    tuned = fit(embed_settings.model_copy(update={"tune": tune}), steps=30)
    first, last = np.mean([loss for _, loss in tuned.losses[:3]]), np.mean([loss for _, loss in tuned.losses[-3:]])
    assert [step for step, _ in tuned.losses] == list(range(1, 31))
    assert last < 0.7 * first

    def same_taste(vectors: np.ndarray) -> float:
        cosines = vectors @ vectors.T - 2 * np.eye(40)
        return float(np.mean(cosines.argmax(1) % 10 == np.arange(40) % 10))

    assert same_taste(tuned.encode(TEXTS)) > same_taste(encoder.encode(TEXTS)) + 0.3


def test_the_same_arguments_give_the_same_bytes(embed_settings: Embed, fitted: FinetunedEncoder) -> None:
    again = fit(embed_settings)
    assert again.losses == fitted.losses
    assert again.encode(TEXTS).tobytes() == fitted.encode(TEXTS).tobytes()
    assert again.encoder.weights == fitted.encoder.weights
    other = fit(embed_settings, seed=6)
    assert other.losses != fitted.losses and other.encoder.weights != fitted.encoder.weights


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_saved_and_loaded_gives_equal_vectors(
    tmp_path: Path, embed_settings: Embed, fitted: FinetunedEncoder, encoder: Encoder, dtype: str
) -> None:
    fitted.save(tmp_path / "fitted")
    assert not [path for path in (tmp_path / "fitted").rglob("*") if path.suffix in {".bin", ".pt", ".pkl"}]
    settings = embed_settings.model_copy(update={"dtype": dtype})
    loaded = Encoder.open(settings.model_copy(update={"encoder": str(tmp_path / "fitted")}))
    expected = fitted if dtype == "float32" else fit(settings)
    assert loaded.encode(TEXTS).tobytes() == expected.encode(TEXTS).tobytes()
    assert not np.array_equal(loaded.encode(TEXTS), encoder.encode(TEXTS))
    fitted.save(tmp_path / "twice")
    for path in (tmp_path / "fitted").rglob("*.*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "twice" / path.relative_to(tmp_path / "fitted")).read_bytes()


def test_only_the_last_layers_change(embed_settings: Embed, fitted: FinetunedEncoder, encoder: Encoder) -> None:
    before, after = encoder.network.model.state_dict(), fitted.network.model.state_dict()
    changed = {name.split(".")[2] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"4", "5"} and embed_settings.tune.layers == 2
    assert not any(parameter.requires_grad for parameter in fitted.network.model.parameters())


def test_more_layers_than_there_are_trains_them_all(embed_settings: Embed, encoder: Encoder) -> None:
    model = EncoderNetwork.open(encoder.source.folder).model
    every = len(list(model.encoder.layer.parameters()))
    assert len(fitted_weights(model, embed_settings.tune.model_copy(update={"layers": 100}), 1, 0).weights) == every


def test_items_without_text_are_left_out(embed_settings: Embed) -> None:
    texts = ["", *TEXTS[1:]]
    tuned = finetune_encoder(embed_settings, texts, PAIRS, POPULARITY, steps=1, batch=8, seed=0)
    assert math.isfinite(tuned.losses[0][1])


@pytest.mark.parametrize("pairs", [np.empty((0, 2), np.int32), np.array([[1, 2]]), np.array([[3, 3], [4, 4]])])
def test_too_few_pairs_names_field_and_remedy(embed_settings: Embed, pairs: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"finetune\.encoder_steps: .* Set it to 0"):
        fit(embed_settings, pairs=pairs)


def test_draws_pass_over_every_pair_before_one_repeats() -> None:
    drawn = list(draws(10, 4, 5, 3))
    assert all(len(set(draw.tolist())) == 4 for draw in drawn)
    assert len({*drawn[0].tolist(), *drawn[1].tolist()}) == 8
    assert [draw.tolist() for draw in draws(10, 4, 5, 3)] == [draw.tolist() for draw in drawn]
    assert [len(draw) for draw in draws(3, 64, 2, 0)] == [3, 3]


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    shares = [learning_rate_share(step, 20) for step in range(21)]
    assert shares[0] == 0.5 and shares[1] == 1.0 and shares[-1] == 0.0
    assert shares[2:] == sorted(shares[2:], reverse=True)
    assert learning_rate_share(0, 1) == 1.0


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_adapters_learn_repeatably_and_leave_a_plain_network(
    method: str, embed_settings: Embed, encoder: Encoder, tmp_path: Path
) -> None:
    changes = {"method": method, "rank": 4, "alpha": 8, "learning_rate": 0.005}
    settings = embed_settings.model_copy(update={"tune": embed_settings.tune.model_copy(update=changes)})
    tuned, again = fit(settings, steps=12), fit(settings, steps=12)
    assert again.losses == tuned.losses and again.encoder.weights == tuned.encoder.weights
    assert np.mean([loss for _, loss in tuned.losses[-3:]]) < 0.9 * np.mean([loss for _, loss in tuned.losses[:3]])
    before, after = encoder.network.model.state_dict(), tuned.network.model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[2] for name in changed} == {"4", "5"}, "of the last two layers,"
    assert all(name.endswith("weight") and before[name].ndim == 2 for name in changed), "matrices alone"
    matrices = [name for name in after if name in changed]
    ranks = [int(torch.linalg.matrix_rank(after[name] - before[name], rtol=1e-3)) for name in matrices]
    assert len(matrices) <= 12 and sum(ranks) <= 12 * 4, "AdaLoRA begins with ranks of 6 and ends with 4 in the mean"
    assert method == "adalora" or set(ranks) == {4}
    tuned.save(tmp_path / "fitted")
    loaded = Encoder.open(settings.model_copy(update={"encoder": str(tmp_path / "fitted")}))
    assert loaded.encode(TEXTS).tobytes() == tuned.encode(TEXTS).tobytes()

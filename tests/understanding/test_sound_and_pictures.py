import numpy as np
import pytest

from nightreel.understanding.media.audio_features import DIM as SOUND_DIM
from nightreel.understanding.media.audio_features import features, listen
from nightreel.understanding.media.image_features import DIM, Pictures
from tests.understanding.media import RATE, chord, noise, silence, speech


def test_shares_of_what_was_put_together() -> None:
    found = listen(np.concatenate([chord(4), silence(4), noise(2)]))
    assert (found["music"], found["silence"], found["speech"]) == (0.4, 0.4, 0.0)
    spoken = listen(np.concatenate([speech(), silence(4)]))
    assert spoken["speech"] > 0.3 and spoken["music"] < 0.2 and len(spoken["vector"]) == SOUND_DIM


@pytest.mark.parametrize("steepness", [0.0, 0.5, 1.0])
def test_noise_of_any_colour_is_no_music(steepness: float) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(2).normal(size=10 * RATE))
    wave = np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** steepness)
    found = listen((wave / np.abs(wave).max() * 20_000).astype(np.int16))
    assert found["music"] <= 0.1 and found["silence"] == 0 and found["speech"] <= 0.1


def test_vectors_tell_sounds_apart_and_short_ones_have_one() -> None:
    a, b, other = (np.array(listen(sound)["vector"]) for sound in (chord(3), chord(5), noise(4)))
    assert np.linalg.norm(a - b) < 0.2 * np.linalg.norm(a - other)
    assert np.isfinite(listen(chord(0.01))["vector"]).all()


def test_a_tones_centroid_is_its_frequency() -> None:
    wave = np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE).astype(np.float32)
    assert features(wave)[:, 32].mean() == pytest.approx(2000 / 8000, abs=0.01)
    assert features(wave)[:, 35].mean() == pytest.approx(2 * 2000 / RATE, abs=0.01), "zero crossings: two a period"


def test_a_pictures_bytes_do_not_depend_on_its_neighbours() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (9, 224, 224, 3)).astype(np.uint8)
    frames[0] = np.linspace(0, 255, 224, dtype=np.uint8)[:, None, None]
    model = Pictures()
    vectors = model.encode(frames)
    assert vectors.shape == (9, DIM) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(model.encode(frames[8:])[0], vectors[8])
    assert vectors[0] @ vectors[1] < vectors[1] @ vectors[2], "noise is nearer to noise than to a gradient"

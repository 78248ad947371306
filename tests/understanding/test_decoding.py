"""Real files, whole and broken, through the child process."""

import time
from pathlib import Path

import numpy as np
import pytest

from nightreel.settings import Settings
from nightreel.settings.understand import Media
from nightreel.understanding.media.decoding import decode, missing
from tests.understanding.media import chord, write_sound, write_video


@pytest.fixture
def media(settings: Settings) -> Media:
    return settings.understand.media.model_copy(update={"frames": 4, "decode_seconds": 30})


def test_a_video_gives_key_frames_and_sound(tmp_path: Path, media: Media) -> None:
    found = decode(write_video(tmp_path / "a.mp4", sound=chord(6)), media)
    assert found.frames is not None and found.frames.shape == (4, 224, 224, 3) and found.frames.dtype == np.uint8
    # Key frames come every second, at 0 to 5: four of them, evenly spread.
    assert found.times == (0.0, 2.0, 3.0, 5.0)
    assert found.sound is not None and abs(len(found.sound) / 16_000 - 6) < 0.2 and found.lasting
    assert [int(frame[-1, 112].argmax()) for frame in found.frames] == [0, 2, 0, 2], "a colour a second"


def test_one_key_frame_alone_is_sampled_by_time(tmp_path: Path, media: Media) -> None:
    found = decode(write_video(tmp_path / "a.mp4", keys_every=600), media)
    assert found.frames is not None and len(found.frames) == 4
    assert np.all(np.diff(found.times) > 1) and found.times[0] < 1.5 and found.times[-1] > 4.5
    assert found.sound is None and found.sound_reason == "has no sound"


def test_sound_alone(tmp_path: Path, media: Media) -> None:
    wave = chord(2)
    found = decode(write_sound(tmp_path / "a.wav", wave), media)
    assert found.frames_reason == "has no pictures" and np.array_equal(found.sound, wave)
    short = decode(tmp_path / "a.wav", media.model_copy(update={"most_seconds": 1}))
    assert short.sound is not None and len(short.sound) == 16_000


def test_what_is_broken_is_a_reason(tmp_path: Path, media: Media) -> None:
    whole = write_video(tmp_path / "a.mkv", sound=chord(6)).read_bytes()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a film at all" * 50)
    for name in ("empty.mp4", "text.mp4"):
        found = decode(tmp_path / name, media)
        assert found.sound is None and found.frames is None and found.lasting
        assert found.frames_reason == found.sound_reason == "can't be decoded (InvalidDataError)"
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    cut = decode(tmp_path / "cut.mkv", media)
    assert cut.frames is not None and 0 < len(cut.frames) <= 4, "what is whole counts"
    (tmp_path / "wrong.txt").write_bytes(whole)
    assert decode(tmp_path / "wrong.txt", media).frames is not None, "the name's ending doesn't matter"


def test_limits(tmp_path: Path, media: Media) -> None:
    write_video(tmp_path / "a.mp4", seconds=1, side=1024)
    found = decode(tmp_path / "a.mp4", media.model_copy(update={"most_megapixels": 1}))
    assert found.frames is None and found.frames_reason == "its pictures of 1,024 × 1,024 are too large"
    began = time.monotonic()
    pressed = decode(write_sound(tmp_path / "a.wav", chord(600)), media.model_copy(update={"memory_mb": 1}))
    assert pressed.sound is None and pressed.sound_reason and time.monotonic() - began < 20


def test_a_missing_module_says_what_to_install() -> None:
    assert missing("json") == ""
    assert missing("json", "no_such_module") == "no_such_module is not installed: run `pip install 'nightreel[media]'`"

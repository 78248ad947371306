"""Real files, whole and broken, through the child process."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nightreel import child_environment
from nightreel.settings.params_file import Settings
from nightreel.settings.understand import Media
from nightreel.understanding.media import decoding
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


def test_a_playlist_opens_nothing(tmp_path: Path, media: Media) -> None:
    outside = tmp_path / "private" / "secret.ts"
    outside.parent.mkdir()
    write_video(outside)
    folder = tmp_path / "media"
    folder.mkdir()
    ended = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:3,\n{}\n#EXT-X-ENDLIST\n"
    playlists = {
        "absolute.m3u8": ended.format(outside.as_uri()),
        "relative.m3u8": ended.format("../private/secret.ts"),
        "named.mp4": ended.format("../private/secret.ts"),
        "live.m3u8": ended.format("seg.ts").replace("#EXT-X-ENDLIST\n", ""),
        "list.ffconcat": f"ffconcat version 1.0\nfile {outside}\n",
        "list.mp4": f"ffconcat version 1.0\nfile '{outside}'\n",
        "x.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    began = time.monotonic()
    for name, content in playlists.items():
        (folder / name).write_text(content)
        found = decode(folder / name, media)
        assert found.frames is None and found.sound is None and found.lasting, name
    assert time.monotonic() - began < 5 * len(playlists)
    assert "a playlist" in decode(folder / "relative.m3u8", media).frames_reason


def test_the_decoder_has_no_secret_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    script = f"""
import json, os, runpy, socket
child = runpy.run_path({str(Path(decoding.__file__).with_name("decode_child.py"))!r}, run_name="child")
network = child["_without_network"]()
status = open("/proc/self/status").read() if os.path.exists("/proc/self/status") else ""
print(json.dumps([dict(os.environ), network, [name for _, name in socket.if_nameindex()], status]))
"""
    environment = child_environment.of_worker(os.environ)
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    variables, network, interfaces, status = json.loads(done.stdout)
    assert "a secret" not in variables.values()
    if sys.platform.startswith("linux"):
        assert "NoNewPrivs:\t1" in status
        assert network or interfaces == ["lo"]


def test_what_timed_out_says_so_and_is_not_lasting(
    tmp_path: Path, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*words: object, **more: object) -> None:
        raise subprocess.TimeoutExpired("decode", 1)

    monkeypatch.setattr("nightreel.understanding.media.decoding.subprocess.run", late)
    found = decode(write_video(tmp_path / "a.mp4"), media)
    assert (found.lasting, found.repeatable) == (False, True) and "took more than" in found.sound_reason


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

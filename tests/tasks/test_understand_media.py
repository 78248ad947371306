"""A catalogue with media files, from snapshot over validate and understand to embed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.errors import UserError
from nightreel.store.backends.s3 import S3Store
from nightreel.understanding.media.decoding import Decoded
from tasks import embed, snapshot, understand, validate
from tests.contracts.servers import set_environment
from tests.support.datasets import workspace, write_dataset, write_params
from tests.support.settings import settings
from tests.understanding.media import chord, speech, write_sound, write_video

FILES = {
    0: "talk.mp4", 1: "music.wav", 2: "german.wav", 3: "broken.mp4", 4: "http://10.0.0.1/a.mp4", 5: "../outside.wav",
    6: "german.wav",
}  # fmt: skip


def write_source(folder: Path) -> Path:
    write_dataset(folder, users=6, items=12, events=60)
    write_video(folder / "talk.mp4", sound=speech())
    write_sound(folder / "music.wav", chord(4))
    write_sound(folder / "german.wav", chord(2))
    (folder / "broken.mp4").write_bytes(b"\x00" * 100)
    items = pq.read_table(folder / "items.parquet").to_pylist()
    for at, row in enumerate(items):
        row |= {"media_uri": FILES.get(at), "description": None, "title": f"Item {at}"}
        row["language"] = {0: None, 2: "de", 6: None}.get(at, "en")
    items[6]["description"] = "Ein alter Uhrmacher sucht in den Straßen von Prag nach seinem verschwundenen Sohn."
    pq.write_table(pa.Table.from_pylist(items), folder / "items.parquet")
    return folder


def night(
    folder: Path,
    source: Path,
    stages: tuple[Any, ...] = (snapshot, validate, understand, embed),
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    write_params(folder, {"snapshot.source": str(source), "snapshot.pseudonymise": "off", **changes})
    with workspace(folder):
        for stage in stages:
            stage.main()


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data/understand").iterdir()}


def notes(folder: Path) -> Mapping[tuple[str, str], Any]:
    rows = pq.read_table(folder / "data/understand/provenance.parquet").to_pylist()
    return {(row["item_id"], row["field"]): row for row in rows}


@pytest.mark.end_to_end
def test_media_are_understood_once_and_every_gap_has_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_source(tmp_path / "source")
    write_sound(tmp_path / "outside.wav", chord(1))
    run = tmp_path / "run"
    night(run, source)
    assert "media: 4 of 5 files decoded; the files of 2 items can't be read" in capsys.readouterr().out
    rows, told = pq.read_table(run / "data/understand/items.parquet").to_pylist(), notes(run)
    talk, music, german, broken = rows[:4]
    assert "astronaut" in talk["transcript"] and "rocket" in talk["transcript"] and talk["language"] == "en"
    assert talk["segments"][0]["start_s"] < talk["segments"][-1]["end_s"] <= 5
    assert "astronaut" in " ".join(talk["keywords"]), "a transcript is prose"
    assert talk["speech_share"] > 0.5 and np.linalg.norm(talk["picture"]) == pytest.approx(1, abs=1e-5)
    assert music["music_share"] == 1.0 and music["transcript"] is None and music["picture"] is None
    assert told["i000", "transcript"]["score"] < 0 and told["i000", "transcript"]["producer"] == "speech"
    reasons = {key: row["skipped"] for key, row in told.items() if row["skipped"]}
    assert reasons["i001", "transcript"] == "no speech found" and reasons["i001", "pictures"] == "has no pictures"
    assert reasons["i002", "transcript"] == "whisper tiny.en supports en, not de" and german["sound"]
    assert reasons["i006", "transcript"] == "whisper tiny.en supports en, not de", "the description tells the language"
    assert reasons["i003", "sound"] == "can't be decoded (InvalidDataError)" and not broken["sound"]
    assert reasons["i004", "media"].startswith("http: addresses are not supported")
    assert reasons["i005", "media"] == "outside the source's folder"
    cards = json.loads((run / "data/understand/understand.json").read_text())
    assert {"sound", "speech", "pictures", "text"} <= set(cards) and "/" not in cards["speech"]["model"]
    frames = pq.read_table(run / "data/understand/frames.parquet").to_pylist()
    assert {frame["item_id"] for frame in frames} == {"i000"} and len(frames[0]["vector"]) == 1280

    before = outputs(run)
    night(run, source, (snapshot, validate, understand))
    assert "media: 0 of 5 files decoded" in capsys.readouterr().out and outputs(run) == before
    shutil.rmtree(run / "state")
    night(run, source, (understand,))
    assert outputs(run) == before, "the same files give the same bytes"

    recipe = json.loads((run / "data/snapshot/recipe.json").read_text())["recipe"]
    write_sound(source / "music.wav", chord(3))
    with pytest.raises(UserError, match=r"music\.wav: changed during the run"):
        shutil.rmtree(run / "state/understand/sound")
        night(run, source, (understand,))
    night(run, source, (snapshot, validate, understand))
    assert json.loads((run / "data/snapshot/recipe.json").read_text())["recipe"] != recipe, "a changed file counts"


def test_media_in_a_bucket(tmp_path: Path, moto: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, moto)
    source, bucket = (
        write_dataset(tmp_path / "source", users=6, items=12, events=60).folder,
        S3Store("s3://films/media"),
    )
    write_sound(tmp_path / "music.wav", chord(2))
    bucket.put("a/music.wav", tmp_path / "music.wav")
    items = pq.read_table(source / "items.parquet").to_pylist()
    uris = {0: "a/music.wav", 1: "s3://films/media/a/music.wav", 2: "a/gone.wav", 3: "s3://films/secret.wav"}
    rows = [row | {"media_uri": uris.get(at), "description": None} for at, row in enumerate(items)]
    pq.write_table(pa.Table.from_pylist(rows), source / "items.parquet")
    sound_alone = settings().understand.media.model_dump() | {"speech": "", "pictures": ""}
    wanted = {"snapshot.media": bucket.uri, "understand.media": sound_alone}
    night(tmp_path / "run", source, (snapshot, validate, understand), wanted)
    rows, told = pq.read_table(tmp_path / "run/data/understand/items.parquet").to_pylist(), notes(tmp_path / "run")
    assert rows[0]["music_share"] == 1.0 and rows[0]["sound"] == rows[1]["sound"]
    assert told["i002", "media"]["skipped"] == "object not found"
    assert told["i003", "media"]["skipped"] == "outside s3://films/media"
    shutil.rmtree(tmp_path / "run/state/understand")
    bucket.put("a/music.wav", b"another")
    with pytest.raises(UserError, match=r"music\.wav: changed during the run"):
        night(tmp_path / "run", source, (understand,), wanted)


@pytest.mark.end_to_end
def test_without_the_extra_the_run_goes_on_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_source(tmp_path / "source")
    monkeypatch.setattr(
        "nightreel.understanding.media.media_fields.missing",
        lambda *modules: f"{modules[0]} is not installed: run this",
    )
    night(tmp_path / "run", source, (snapshot, validate, understand, embed))
    told = notes(tmp_path / "run")
    assert told["i000", "transcript"]["skipped"] == told["i000", "sound"]["skipped"] == "av is not installed: run this"
    assert np.load(tmp_path / "run/data/embed/vectors.npy").shape == (12, 384)


@pytest.mark.end_to_end
def test_what_took_too_long_waits_for_another_file_or_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, tried = write_source(tmp_path / "source"), list[str]()

    def slow(path: Path, media: Any) -> Decoded:
        tried.append(path.name)
        reason = f"decoding took more than {media.decode_seconds} s"
        return Decoded(None, None, (), reason, reason, lasting=False)

    monkeypatch.setattr("nightreel.understanding.media.media_fields.decode", slow)
    stages = (snapshot, validate, understand)
    night(tmp_path / "run", source, stages)
    first = len(tried)
    assert first == 4  # one of the five is another item's, too
    night(tmp_path / "run", source, stages)
    assert len(tried) == first
    night(tmp_path / "run", source, stages, {"understand.media.decode_seconds": 7})
    assert len(tried) == 2 * first
    write_sound(source / "music.wav", chord(3))
    night(tmp_path / "run", source, stages, {"understand.media.decode_seconds": 7})
    assert tried[2 * first :] == ["music.wav"]

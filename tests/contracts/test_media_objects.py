"""Media files in a bucket, of moto's S3 server and of a real one: within limits, and nothing outside their place."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path

import pytest

from benchmarks.speed.free_ports import free_ports
from nightreel.data.ingest.media_files import at_hand, key_of, media_root, pin
from nightreel.store.backends.base import StoreUnreachable
from nightreel.store.backends.s3 import S3Store
from nightreel.store.media_objects import MediaObjects
from tests.contracts.servers import set_environment

FILM = random.Random(1).randbytes(3 << 20)


@pytest.fixture(params=["moto", "seaweed"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with a film below `media`, and one beside it."""
    set_environment(monkeypatch, request.getfixturevalue(request.param))
    store = S3Store(f"s3://bucket-{random.randrange(10**9)}")
    store.put("media/clips/a b.mp4", FILM)
    store.put("secret.mp4", b"not yours")
    return f"{store.uri}/media"


def test_objects_are_pinned_by_their_content_and_read_again_where_it_changed(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = media_root("movielens-100k", place, MediaObjects)
    assert isinstance(root, MediaObjects)
    names = ["clips/a b.mp4", f"{place}/clips/a b.mp4", f"{place}/gone.mp4", f"{place}/../secret.mp4",
             f"{place.removesuffix('/media')}/secret.mp4", "http://10.0.0.1/a.mp4", "clips/"]  # fmt: skip
    pins = pin(names, root, tmp_path / "media.json")
    assert pins[names[0]] == pins[names[1]] and pins[names[0]]["bytes"] == len(FILM)
    assert [pins[name]["skipped"] for name in names[2:]] == [
        "object not found", "not a valid object name", f"outside {place}", f"outside {place}",
        "not a valid object name",
    ]  # fmt: skip
    with at_hand(names[1], root) as (path, reason):
        assert path is not None and path.read_bytes() == FILM and reason == ""
    assert not path.exists(), "it is gone afterwards"

    fetched: list[str] = []
    fetch = root.fetch
    monkeypatch.setattr(root, "fetch", lambda key, path: fetched.append(key) or fetch(key, path))
    assert pin(names, root, tmp_path / "media.json") == pins and fetched == [], "its tag is the same"
    root.store.put("clips/a b.mp4", FILM[::-1])
    changed = pin(names, root, tmp_path / "media.json")
    assert changed[names[0]]["sha256"] != pins[names[0]]["sha256"] and fetched == ["clips/a b.mp4"]


def test_size_and_time_are_bounded(place: str, tmp_path: Path) -> None:
    small = MediaObjects(place, most_bytes=2 << 20)
    assert small.stamp("clips/a b.mp4") == ([], "is larger than 2,097,152 bytes")
    assert small.fetch("clips/a b.mp4", tmp_path / "a") == "is larger than 2,097,152 bytes"
    assert (tmp_path / "a").stat().st_size <= 2 << 20, "whatever the server says of its size"
    slow = MediaObjects(place, most_s=15, clock=count(0.0, 10.0).__next__)
    assert slow.fetch("clips/a b.mp4", tmp_path / "b") == "took more than 15 s to fetch"


@pytest.mark.end_to_end
def test_what_the_store_refuses_is_a_reason_and_silence_is_not(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if "seaweed" in request.node.name:  # moto takes any secret
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        refused = MediaObjects(place)
        assert refused.stamp("clips/a b.mp4")[1] == refused.fetch("clips/a b.mp4", tmp_path / "a")
        assert refused.stamp("clips/a b.mp4")[1] == "access denied by the object store"
    monkeypatch.setattr("nightreel.store.backends.s3.CONNECT_S", 0.2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_ports(1)}")
    with pytest.raises(StoreUnreachable):
        pin(["clips/a b.mp4"], MediaObjects(place), tmp_path / "media.json")


def test_names_below_a_place() -> None:
    class Place:
        uri = "s3://bucket/media"

    told = {
        name: key_of(name, Place()) for name in ("a.mp4", "s3://bucket/media/a.mp4", "s3://bucket/media2/a.mp4", "/a")
    }
    assert [key for key, _ in told.values()] == ["a.mp4", "a.mp4", "", ""]

"""What every store promises, asked of a local folder, of moto's S3 server and of a real one (SeaweedFS)."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nightreel.errors import UserError
from nightreel.store.backends.base import Conflict, Missing, Store, StoreError
from nightreel.store.backends.s3 import S3Store
from nightreel.store.open import open_store
from tests.contracts.servers import set_environment


@pytest.fixture(params=["local", "moto", "seaweed"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store's address; for S3 in a bucket that is not there yet, with the environment set."""
    if request.param == "local":
        return str(tmp_path / "store")
    set_environment(monkeypatch, request.getfixturevalue(request.param))
    return f"s3://bucket-{random.randrange(10**9)}/a/store"


@pytest.fixture
def store(uri: str) -> Store:
    return open_store(uri)


def test_an_empty_store_holds_nothing(store: Store) -> None:
    assert store.list("") == {}
    assert not store.exists("channels/live.json")
    assert store.get_with_token("channels/live.json") is None
    with pytest.raises(Missing, match=r"holds no channels/live\.json"):
        store.get("channels/live.json")


def test_what_was_put_is_got_listed_and_replaced(store: Store) -> None:
    store.put("versions/1/b.bin", b"12345")
    store.put("versions/1/a.txt", b"old")
    store.put("versions/1/a.txt", "ä".encode())
    store.put("versions/10/a.txt", b"")
    assert store.get("versions/1/a.txt") == "ä".encode()
    assert list(store.list("versions/").items()) == [
        ("versions/1/a.txt", 2), ("versions/1/b.bin", 5), ("versions/10/a.txt", 0),
    ]  # fmt: skip
    assert list(store.list("versions/1/")) == ["versions/1/a.txt", "versions/1/b.bin"]
    assert list(store.list("versions/1")) == list(store.list("versions/"))
    assert store.list("channels/") == {}
    assert store.exists("versions/1/a.txt") and not store.exists("versions/1") and not store.exists("versions/2/a.txt")


def test_files_of_any_size_come_back_byte_for_byte(store: Store, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for size in (0, 1000, 35 * 2**20):  # the last one in three parts on S3
        source.write_bytes(random.Random(size).randbytes(size))
        store.put("versions/1/file", source)
        assert store.list("versions/") == {"versions/1/file": size}
        store.get_file("versions/1/file", target)
        assert target.read_bytes() == source.read_bytes()
    with pytest.raises(Missing):
        store.get_file("versions/1/other", target)


@pytest.mark.end_to_end
def test_a_listing_has_no_limit(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.put(f"many/{n:04d}", b"x"), range(1010)))
    assert len(store.list("many/")) == 1010


def test_a_swap_succeeds_only_from_the_state_that_was_read(store: Store) -> None:
    key = "channels/live.json"
    first = store.compare_and_swap(key, None, b"one")
    assert store.get_with_token(key) == (b"one", first)
    with pytest.raises(Conflict, match="changed by another process"):
        store.compare_and_swap(key, None, b"two")
    second = store.compare_and_swap(key, first, b"two")
    with pytest.raises(Conflict):
        store.compare_and_swap(key, first, b"three")
    assert store.get_with_token(key) == (b"two", second)
    with pytest.raises(Conflict):
        store.compare_and_swap("channels/other.json", second, b"two")
    assert not store.exists("channels/other.json")


@pytest.mark.parametrize("uri", ["local", "seaweed"], indirect=True)
def test_of_racing_swaps_exactly_one_wins_each_time(uri: str) -> None:
    """Four clients add to a counter; a lost update would leave it short. Moto's server does lose some: it compares and
    writes in two steps."""
    rounds, clients = 8, 4

    def add(_: int) -> None:
        store = open_store(uri)
        for _ in range(rounds):
            while True:
                now = store.get_with_token("counter")
                try:
                    store.compare_and_swap("counter", now[1] if now else None, b"%d" % (int(now[0]) + 1 if now else 1))
                    break
                except Conflict:
                    continue

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(add, range(clients)))
    assert open_store(uri).get("counter") == b"%d" % (rounds * clients)


def test_a_reader_never_sees_half_a_write(uri: str) -> None:
    contents = [bytes([n]) * 300_000 for n in (1, 2)]
    store = open_store(uri)
    store.put("file", contents[0])
    done = threading.Event()

    def write() -> None:
        writer = open_store(uri)
        for n in range(20):
            writer.put("file", contents[n % 2])
        done.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not done.is_set() and not writing.done():
            assert store.get("file") in contents
        writing.result()


def test_a_copy_needs_the_content_it_promises(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    sha256 = hashlib.sha256(b"12345").hexdigest()
    store.put("versions/1/a", tmp_path / "file")
    assert store.copy("versions/1/a", "versions/2/b", sha256)
    assert store.copy("versions/2/b", "versions/3/b", sha256)
    assert not store.copy("versions/1/a", "versions/2/c", "0" * 64)
    assert not store.copy("versions/9/a", "versions/2/c", sha256)
    store.put("versions/1/a", b"other")  # in place of the one name, not of its copies
    assert not store.copy("versions/1/a", "versions/2/c", sha256)
    store.delete("versions/1/a")
    assert store.list("versions/") == {"versions/2/b": 5, "versions/3/b": 5}
    assert store.get("versions/3/b") == b"12345"


def test_what_is_deleted_is_gone_and_again_is_no_fault(store: Store) -> None:
    store.put("versions/1/a", b"x")
    assert abs(store.written("versions/1/a") - time.time()) < 60
    for _ in range(2):
        store.delete("versions/1/a")
    assert store.list("") == {}
    with pytest.raises(Missing):
        store.written("versions/1/a")
    store.put("versions/1/a", b"y")
    assert store.get("versions/1/a") == b"y"


@pytest.mark.end_to_end
@pytest.mark.parametrize("server", ["moto", "seaweed"])
def test_a_killed_upload_goes_on_with_the_parts_that_it_lacks(
    server: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, request.getfixturevalue(server))
    monkeypatch.setattr("nightreel.store.backends.s3_upload._PARTS_AT_ONCE", 1)
    store = S3Store(f"s3://bucket-{random.randrange(10**9)}/store")
    store.put("k", b"makes the bucket")
    source, content = tmp_path / "file", random.Random(1).randbytes(35 * 2**20)
    source.write_bytes(content)
    sent: list[int] = []
    real = store._client.upload_part

    def upload_part(**given: Any) -> Any:
        if len(sent) == 2:
            raise KeyboardInterrupt
        sent.append(given["PartNumber"])
        return real(**given)

    monkeypatch.setattr(store._client, "upload_part", upload_part)
    with pytest.raises(KeyboardInterrupt):
        store.put("big", source)
    assert sent == [1, 2] and not store.exists("big")
    sent[:] = [0]
    store.put("big", source)
    assert sent == [0, 3] and store.get("big") == content
    # Left by an upload of other content: those parts are sent anew.
    sent[:] = [0]
    with pytest.raises(KeyboardInterrupt):
        store.put("big", source)
    source.write_bytes(content[::-1])
    monkeypatch.setattr(store._client, "upload_part", real)
    store.put("big", source)
    assert store.get("big") == content[::-1]
    assert store.copy("big", "copy", hashlib.sha256(content[::-1]).hexdigest())
    assert not store.copy("big", "copy", hashlib.sha256(content).hexdigest())
    assert store.sweep(time.time() + 60) == 0


@pytest.mark.parametrize("key", ["", "/a", "a//b", "a/../b", "..", ".lock", "a/.hidden", "a\\b"])
def test_keys_stay_inside_the_store(store: Store, key: str) -> None:
    with pytest.raises(StoreError, match="not a valid key"):
        store.put(key, b"x")


def test_an_unknown_kind_of_store_is_named() -> None:
    with pytest.raises(UserError, match=r"gs://bucket: not a supported store\. Use a folder or s3://"):
        open_store("gs://bucket")
    with pytest.raises(UserError, match="the bucket is missing"):
        open_store("s3://")


# What goes wrong outside

"""A part of the fuzz command, and what it has found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.bundle.format import BundleError
from nightreel.reader.live_reader import LiveReader
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.fuzz import resealed_versions
from tests.support.bundles import lineage, reseal, write_bundle

CASES = 300


@pytest.mark.end_to_end
def test_no_resealed_version_gets_beyond_a_clear_error() -> None:
    assert resealed_versions.main(CASES) == 0


def change(name: str, made: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        np.save(folder / name, made(np.load(folder / name)))

    return changed


def put(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def made(array: np.ndarray) -> np.ndarray:
        array.reshape(-1)[place] = value
        return array

    return made


def described(**changes: object) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        path = folder / "engine/engine.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return changed


def items(made: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        pq.write_table(made(pq.read_table(folder / "items.parquet")), folder / "items.parquet")

    return changed


@pytest.mark.parametrize(("fault", "message"), [
    (change("engine/ease/indices.npy", put(3, 60_000)), "indices.npy: holds 60000, but only 0 to 29 can stand there"),
    (change("engine/ease/indptr.npy", put(-1, 10**9)), "indptr.npy: does not divide the .* entries beside it into rows"),
    (change("engine/ease/indptr.npy", put(4, 10**6)), "indptr.npy: does not divide"),
    (change("engine/ease/exponents.npy", put(0, 9999)), "exponents.npy: holds 9999, but only -200 to 200"),
    (change("engine/ease/codes.npy", lambda a: a.astype(np.float32)), "codes.npy: has the type <f4 instead of <i2"),
    (change("engine/popularity/table.npy", lambda a: a[:, :-1]), r"table.npy: has the shape \[.*\] instead of \[any, 30\]"),
    (change("histories/items.npy", put(0, 30)), "histories/items.npy: holds 30, but only 0 to 29"),
    (change("histories/items.npy", put(0, -1)), "histories/items.npy: holds -1"),
    (change("seen/indptr.npy", lambda a: a[:-1]), r"seen/indptr.npy: has the shape \[40\] instead of \[41\]"),
    (change("vectors.npy", put(7, np.nan)), "vectors.npy: holds a number that is not finite"),
    (change("vectors.npy", lambda a: a[:-1]), r"vectors.npy: has the shape \[29, 16\] instead of \[30, any\]"),
    (described(members=["ease", "nosuch"]), "there is no such model"),
    (described(cutoff="many"), "engine.json: cutoff: Input should be a valid integer"),
    (described(now=float("nan")), "engine.json: now: Input should be a finite number"),
    (lambda folder: (folder / "engine/engine.json").write_text("[]"), "engine.json: holds no JSON object, which has"),
    (described(weights=[1.0]), "engine.json: has 1 weights for 0 columns"),
    (items(lambda t: t.drop_columns(["title"])), "items.parquet: has no column title"),
    (items(lambda t: pa.concat_tables([t, t.slice(0, 1)])), r"has the shape \[30.*\] instead of \[31"),
    (items(lambda t: pa.concat_tables([t.slice(1), t.slice(1, 1)])), "items.parquet: item_id is empty or occurs twice"),
    (items(lambda t: t.set_column(1, "title", pa.array([7] * 30))), "items.parquet: column title is int64, not string"),
])  # fmt: skip
def test_a_sealed_but_malformed_version_is_refused_by_file(
    tmp_path: Path, fault: Callable[[Path], object], message: str
) -> None:
    write_bundle(tmp_path / "bundle")
    fault(tmp_path / "bundle")
    reseal(tmp_path / "bundle")
    with pytest.raises(BundleError, match=message):
        Reader.open_bundle(tmp_path / "bundle")


def test_a_service_goes_on_with_the_last_good_version(tmp_path: Path) -> None:
    """The thread that follows the channel survives, tells what was refused, and takes the next good version."""
    store, champion = LocalStore(tmp_path / "store"), None
    digests = []
    for n in range(3):
        write_bundle(tmp_path / f"b{n}", seed=n)
        if n == 1:
            change("engine/ease/indices.npy", put(3, 60_000))(tmp_path / "b1")
            reseal(tmp_path / "b1")
        digests.append(
            publish(store, tmp_path / f"b{n}", channel="live", champion=champion, lineage=lineage(f"r{n}")).digest
        )
        champion = digests[-1]
    channels.move(store, "live", digests[0], previous=None, seen=channels.live(store))
    with LiveReader(store.uri, start=False) as live:
        channels.move(store, "live", digests[1], previous=None, seen=channels.live(store))
        assert not live.refresh() and live.reader.digest == digests[0]
        assert live.status.refused == digests[1] and "indices.npy: holds 60000" in str(live.status.fault)
        channels.move(store, "live", digests[2], previous=None, seen=channels.live(store))
        assert live.refresh() and live.reader.digest == digests[2] and live.status.fault is None


def test_whatever_a_version_raises_it_is_named_and_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path / "store")
    digests = []
    for n in range(2):
        write_bundle(tmp_path / f"b{n}", seed=n)
        champion = digests[-1] if digests else None
        digests.append(
            publish(store, tmp_path / f"b{n}", channel="live", champion=champion, lineage=lineage("r")).digest
        )
    channels.move(store, "live", digests[0], previous=None, seen=channels.live(store))
    opened = list[object]()

    class Unforeseen(Exception):
        pass

    def fails(*asked: object, **more: object) -> None:
        opened.append(asked)
        raise Unforeseen("out of luck")

    with LiveReader(store.uri, start=False) as live:
        channels.move(store, "live", digests[1], previous=None, seen=channels.live(store))
        monkeypatch.setattr(Reader, "open_bundle", fails)
        for _ in range(3):
            assert not live.refresh() and live.reader.digest == digests[0]
            assert live.status.refused == digests[1] and live.status.fault == "Unforeseen: out of luck"
        assert len(opened) == 1, "a version of any size is not opened again with every look at the channel"


def test_whatever_a_refresh_raises_the_next_one_takes_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path / "bundle")
    store = LocalStore(tmp_path / "store")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))

    def fails(*_: object) -> None:
        raise RuntimeError("out of luck")

    with LiveReader(store.uri, start=False) as live:
        monkeypatch.setattr(channels, "opened", fails)
        assert not live.refresh() and live.status.fault == "RuntimeError: out of luck"
        monkeypatch.undo()
        assert not live.refresh() and live.status.fault is None

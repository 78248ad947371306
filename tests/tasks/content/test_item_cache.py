import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.content import item_cache
from tasks.content.encoder import Encoder
from tasks.content.item_cache import encode_cached, key_of, open_shards
from tasks.content.shards import write_shard

Rows = dict[bytes, Any]


def rows_of(texts: Sequence[str], dim: int = 4) -> Rows:
    return {key_of(text): np.full(dim, len(text), np.float32) for text in texts}


def read_cache(folder: Path, dim: int) -> Rows:
    """All that a cache holds."""
    opened = open_shards(folder, dim)
    return {key: vector for shard in opened for key, vector in map(shard.__getitem__, range(len(shard.heads)))}


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.npy"))


def test_only_new_texts_are_encoded_and_the_bytes_stay(tmp_path: Path, encoder: Encoder, texts: list[str]) -> None:
    first = [*texts[:20], ""]
    vectors, tally = encode_cached(encoder, first, tmp_path)
    assert np.array_equal(vectors, encoder.encode(first))
    assert (tally.encoded, tally.cached, tally.empty) == (20, 0, 1)

    again, tally = encode_cached(encoder, first, tmp_path)
    assert again.tobytes() == vectors.tobytes()
    assert (tally.encoded, tally.cached, tally.empty) == (0, 20, 1)

    changed = [*texts[:7], "A new title", *texts[8:20], ""]
    third, tally = encode_cached(encoder, changed, tmp_path)
    assert tally.line() == "encoded 1 of 21 items; 19 from cache, 1 without text"
    assert np.array_equal(np.delete(third, 7, 0), np.delete(vectors, 7, 0))
    assert np.array_equal(third[7], encoder.encode(["A new title"])[0])


def test_equal_texts_are_encoded_once(tmp_path: Path, encoder: Encoder) -> None:
    vectors, tally = encode_cached(encoder, ["a film", "another", "a film"], tmp_path)
    assert tally.encoded == 2 and np.array_equal(vectors[0], vectors[2])


@pytest.mark.end_to_end
def test_a_killed_run_keeps_its_whole_shards(
    tmp_path: Path, encoder: Encoder, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_cache, "SHARD_ROWS", 5)
    real = Encoder.blocks

    def killed(self: Encoder, found: Sequence[str], report: Any = None) -> Iterator[Any]:
        for n, block in enumerate(real(self, found, report)):
            if n == 5:
                raise KeyboardInterrupt
            yield block

    monkeypatch.setattr(Encoder, "blocks", killed)
    with pytest.raises(KeyboardInterrupt):
        encode_cached(encoder, texts, tmp_path)
    monkeypatch.setattr(Encoder, "blocks", real)
    vectors, tally = encode_cached(encoder, texts, tmp_path)
    assert 0 < tally.encoded < len(texts) and tally.cached >= 5
    assert np.array_equal(vectors, encoder.encode(texts))


def test_a_damaged_shard_is_left_out_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write_shard(tmp_path, rows_of(["a"]))
    cut = write_shard(tmp_path, rows_of(["bb"]))
    (tmp_path / cut).write_bytes((tmp_path / cut).read_bytes()[:-3])
    (tmp_path / ".torn.npy.123").write_bytes(b"half")
    assert set(read_cache(tmp_path, 4)) == {key_of("a")}
    assert "damaged" in capsys.readouterr().out
    assert [path.name for path in shards(tmp_path)] == [whole]


def test_many_shards_are_merged_and_nothing_is_lost(tmp_path: Path) -> None:
    texts = ["x" * n for n in range(1, item_cache.MOST_SHARDS + 3)]
    for text in texts:
        write_shard(tmp_path, rows_of([text]))
    assert set(read_cache(tmp_path, 4)) == set(rows_of(texts))
    assert len(shards(tmp_path)) == 1
    known = read_cache(tmp_path, 4)
    assert all(np.array_equal(known[key], vector) for key, vector in rows_of(texts).items())


def test_the_caches_used_longest_ago_are_dropped(tmp_path: Path) -> None:
    folders = [tmp_path / f"encoder{n}" for n in range(item_cache.MOST_ENCODERS + 2)]
    for n, folder in enumerate(folders):
        folder.mkdir()
        os.utime(folder, (n, n))
    item_cache.forget_old(tmp_path, folders[0])
    assert {path.name for path in tmp_path.iterdir()} == {folder.name for folder in [folders[0], *folders[3:]]}


def test_no_cache_yet(tmp_path: Path) -> None:
    assert read_cache(tmp_path, 4) == {}


def test_a_key_that_only_begins_like_another_is_not_taken_for_it(tmp_path: Path, encoder: Encoder) -> None:
    with item_cache.VectorCache(encoder, tmp_path) as cache:
        cache.vectors(["a film"])
        key = key_of("a film")
        assert set(cache.find([key])) == {key}
        assert key[:16] + b"0" * 48 not in cache.find([key[:16] + b"0" * 48])


def _write_and_read(folder: Path, worker: int, until: float) -> None:
    n = 0
    while time.monotonic() < until:
        own = rows_of([f"{worker}-{m}" for m in range(n)])
        assert set(own) <= set(read_cache(folder, 4)), "a row of this process was lost"
        write_shard(folder, rows_of([f"{worker}-{n}"]))
        n += 1
    (folder / f"count-{worker}").write_text(str(n))


@pytest.mark.end_to_end
def test_two_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    """Both write and merge without end; MOST_SHARDS is passed many times."""
    until = time.monotonic() + 3
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write_and_read, args=(tmp_path, worker, until)) for worker in (1, 2)]
    for process in workers:
        process.start()
    for process in workers:
        process.join(60)
        assert process.exitcode == 0
    counts = {worker: int((tmp_path / f"count-{worker}").read_text()) for worker in (1, 2)}
    assert min(counts.values()) > item_cache.MOST_SHARDS
    expected = rows_of([f"{worker}-{n}" for worker, count in counts.items() for n in range(count)])
    assert set(read_cache(tmp_path, 4)) == set(expected)

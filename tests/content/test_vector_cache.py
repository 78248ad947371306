import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nightreel.content.cache import vector_cache
from nightreel.content.cache.shards import write_shard
from nightreel.content.cache.vector_cache import encode_cached, key_of
from nightreel.content.encoders.transformer import Encoder
from tests.content.cache_writer import names, read_cache, rows_of
from tests.content.conftest import ROOT


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
    monkeypatch.setattr(vector_cache, "SHARD_ROWS", 5)
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
    assert set(read_cache(tmp_path)) == {key_of("a")}
    assert "damaged" in capsys.readouterr().out
    assert [path.name for path in shards(tmp_path)] == [whole]


def test_many_shards_are_merged_and_nothing_is_lost(tmp_path: Path) -> None:
    texts = ["x" * n for n in range(1, vector_cache.MOST_SHARDS + 3)]
    for text in texts:
        write_shard(tmp_path, rows_of([text]))
    assert set(read_cache(tmp_path)) == set(rows_of(texts))
    assert len(shards(tmp_path)) == 1
    known = read_cache(tmp_path)
    assert all(np.array_equal(known[key], vector) for key, vector in rows_of(texts).items())


def test_the_caches_used_longest_ago_are_dropped(tmp_path: Path) -> None:
    folders = [tmp_path / f"encoder{n}" for n in range(vector_cache.MOST_ENCODERS + 2)]
    for n, folder in enumerate(folders):
        folder.mkdir()
        os.utime(folder, (n, n))
    vector_cache.forget_old(tmp_path, folders[0])
    assert {path.name for path in tmp_path.iterdir()} == {folder.name for folder in [folders[0], *folders[3:]]}


def test_no_cache_yet(tmp_path: Path) -> None:
    assert read_cache(tmp_path) == {}


def test_a_key_that_only_begins_like_another_is_not_taken_for_it(tmp_path: Path, encoder: Encoder) -> None:
    with vector_cache.VectorCache(encoder, tmp_path) as cache:
        cache.vectors(["a film"])
        key = key_of("a film")
        assert set(cache.find([key])) == {key}
        assert key[:16] + b"0" * 48 not in cache.find([key[:16] + b"0" * 48])


@pytest.mark.end_to_end
def test_two_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    """Both write and merge without end; MOST_SHARDS is passed many times."""
    command = [sys.executable, "-m", "tests.content.cache_writer", tmp_path]
    writers = {
        name: subprocess.Popen([*command, name, "3"], cwd=ROOT, stdout=subprocess.PIPE, text=True) for name in "ab"
    }
    counts = {name: int(writer.communicate(timeout=60)[0]) for name, writer in writers.items()}
    assert min(counts.values()) > vector_cache.MOST_SHARDS
    written = [text for name, count in counts.items() for text in names(name, count)]
    assert set(read_cache(tmp_path)) == set(rows_of(written))

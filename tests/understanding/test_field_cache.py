from pathlib import Path

import pytest

from nightreel.understanding import field_cache
from nightreel.understanding.field_cache import FieldCache

EVERY = ["k", "fast", "slow", "last", *map(str, range(100))]


def known(root: Path, producer: str = "a") -> dict[str, object]:
    with FieldCache(root, producer) as cache:
        return cache.find(EVERY)


def test_values_come_back_and_other_producers_see_none(tmp_path: Path) -> None:
    with FieldCache(tmp_path, "a") as cache:
        cache.put("k", {"words": ["é", "\ud800"], "score": 0.1})
        assert cache.find(["k", "other"]) == {"k": {"words": ["é", "\ud800"], "score": 0.1}}
    assert known(tmp_path) == {"k": {"words": ["é", "\ud800"], "score": 0.1}} and known(tmp_path, "b") == {}


def test_a_killed_run_keeps_what_was_written(tmp_path: Path) -> None:
    now = [0.0]
    with pytest.raises(KeyboardInterrupt), FieldCache(tmp_path, "a", lambda: now[0]) as cache:
        cache.put("fast", 1)
        assert known(tmp_path) == {}
        now[0] = field_cache.SHARD_S
        cache.put("slow", 2)
        assert known(tmp_path) == {"fast": 1, "slow": 2} == cache.find(EVERY)
        cache.put("last", 3)
        raise KeyboardInterrupt
    assert known(tmp_path) == {"fast": 1, "slow": 2, "last": 3}


def test_a_damaged_shard_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FieldCache(tmp_path, "a") as cache:
        cache.put("k", 1)
    (shard,) = (tmp_path / "a").glob("*.jsonl")
    shard.write_bytes(shard.read_bytes()[:-2])
    assert not known(tmp_path) and "damaged" in capsys.readouterr().out
    assert not list((tmp_path / "a").glob("*.jsonl"))


def test_many_shards_are_merged(tmp_path: Path) -> None:
    for n in range(field_cache.MOST_SHARDS + 1):
        with FieldCache(tmp_path, "a") as cache:
            cache.put(str(n), n)
            cache.put("0", 0)  # one key in every shard
    assert known(tmp_path) == {str(n): n for n in range(field_cache.MOST_SHARDS + 1)}
    assert len(list((tmp_path / "a").glob("*.jsonl"))) == 1

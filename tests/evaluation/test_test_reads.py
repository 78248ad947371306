"""Reads of a test split are counted once a recipe."""

from __future__ import annotations

from pathlib import Path

from nightreel.evaluation.test_reads import count_read


def test_each_recipe_counts_once_for_each_split(tmp_path: Path) -> None:
    assert count_read(tmp_path, "split", "one") == 1
    assert count_read(tmp_path, "split", "one") == 1
    assert count_read(tmp_path, "split", "two") == 2
    assert count_read(tmp_path, "other", "one") == 1

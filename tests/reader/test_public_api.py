"""Old names of the public API still work, with a warning; tests/test_doctests.py runs its examples."""

from __future__ import annotations

from pathlib import Path

import pytest

import nightreel
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one published version."""
    root = tmp_path_factory.mktemp("public-api")
    write_bundle(root / "bundle")
    publish(LocalStore(root / "store"), root / "bundle", channel="live", champion=None, lineage=lineage("r"))
    return root / "store"


@pytest.fixture(autouse=True)
def default_store(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTREEL_STORE", str(store))
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))


def test_the_old_name_of_options_is_accepted_with_a_warning() -> None:
    opened = nightreel.Reader.open()
    wanted = nightreel.RequestOptions(genres=("Drama",))
    with pytest.warns(DeprecationWarning, match="options="):
        old = opened.recommend("u000", k=5, wishes=wanted)
    assert old == opened.recommend("u000", k=5, options=wanted)
    with pytest.warns(DeprecationWarning, match="RequestOptions"):
        assert nightreel.Wishes is nightreel.RequestOptions

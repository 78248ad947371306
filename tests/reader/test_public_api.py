"""The public API: its examples run as they are written, and old names still work with a warning."""

from __future__ import annotations

import doctest
from pathlib import Path
from types import ModuleType

import pytest

import nightreel
from nightreel import errors
from nightreel.reader import live_reader, options, reader
from nightreel.reader.requests import recent_events
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle

MODULES = (errors, live_reader, options, reader, recent_events)


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


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_examples_run(module: ModuleType) -> None:
    globs = {"reader": nightreel.Reader.open()} if module in (reader, recent_events) else {}
    result = doctest.testmod(module, extraglobs=globs, report=True)
    assert result.attempted > 0 and result.failed == 0


def test_the_old_name_of_options_is_accepted_with_a_warning() -> None:
    opened = nightreel.Reader.open()
    wanted = nightreel.RequestOptions(genres=("Drama",))
    with pytest.warns(DeprecationWarning, match="options="):
        old = opened.recommend("u000", k=5, wishes=wanted)
    assert old == opened.recommend("u000", k=5, options=wanted)
    with pytest.warns(DeprecationWarning, match="RequestOptions"):
        assert nightreel.Wishes is nightreel.RequestOptions

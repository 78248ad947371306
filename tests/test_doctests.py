"""The examples in docstrings run, and print what they say, over a small published version.

An example finds in place: NIGHTREEL_STORE with a live version of users u000, u001, … and items i000, i001, …
(tests/support/bundles.py), and its opened `reader`.
"""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightreel import Reader
from nightreel.store.open import open_store
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "nightreel").rglob("*.py")
    if ">>> " in path.read_text("utf-8")
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctests")
    write_bundle(folder / "bundle")
    publish(open_store(str(folder / "store")), folder / "bundle", channel="live", champion=None, lineage=lineage("r"))
    return folder / "store"


@pytest.fixture
def published(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.setenv("NIGHTREEL_STORE", str(store))
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield Reader.open()


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str, published: Reader) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    printed: list[str] = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name):
        test.globs["reader"] = published
        runner.run(test, out=printed.append)
    assert runner.failures == 0, "".join(printed)

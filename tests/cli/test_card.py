"""`nightreel card` prints what the bundle holds, checks it, and says where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nightreel.bundle.format import read_manifest, seal
from nightreel.cli.versions import card
from nightreel.errors import UserError
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle


@pytest.fixture
def published(tmp_path: Path) -> tuple[LocalStore, str]:
    bundle = tmp_path / "bundle"
    write_bundle(bundle)
    (bundle / "card.md").write_text("# Model card: films\n", "utf-8")
    (bundle / "card.json").write_text('{"name": "films"}', "utf-8")
    digest = seal(bundle, read_manifest(bundle).config)
    store = LocalStore(tmp_path / "store")
    publish(store, bundle, channel="live", champion=None, lineage=lineage("r"))
    return store, digest


def call(*arguments: str) -> str:
    app = typer.Typer()
    card.register(app)
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, UserError):
        raise result.exception
    return result.stdout


def test_it_prints_the_card_of_the_live_version(published: tuple[LocalStore, str]) -> None:
    store, digest = published
    assert call("--store", store.uri) == "# Model card: films\n"
    assert json.loads(call(digest[:12], "--store", store.uri, "--json")) == {
        "version": digest,
        "card": {"name": "films"},
    }


def test_a_changed_card_is_refused(published: tuple[LocalStore, str]) -> None:
    store, digest = published
    (store.root / "versions" / digest / "card.md").write_text("# Praise\n")
    with pytest.raises(UserError, match=r"card\.md: was changed"):
        call("--store", store.uri)


def test_a_version_without_one_says_so(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    store = LocalStore(tmp_path / "store")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    with pytest.raises(UserError, match="has no model card"):
        call("--store", store.uri)

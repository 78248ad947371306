"""`nightreel rerank`: a published list in a language model's order, the blend's where the answer is no good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from nightreel.cli.ask import rerank
from nightreel.errors import UserError
from nightreel.reader.reader import Reader
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle
from tests.support.datasets import write_params
from tests.understanding.chat_server import Server, chat_server


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with a store in it."""
    root = tmp_path_factory.mktemp("published")
    write_params(root, {})
    (root / "dvc.yaml").touch()
    (root / ".dvc").mkdir()
    write_bundle(root / "bundle")
    publish(LocalStore(root / "store"), root / "bundle", channel="live", champion=None, lineage=lineage("r"))
    return root


@pytest.fixture
def server(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.chdir(published)
    monkeypatch.setenv("NIGHTREEL_STORE", str(published / "store"))
    monkeypatch.setenv("NIGHTREEL_STATE", str(published / "state"))
    with chat_server() as running:
        yield running


def call(*words: object) -> Result:
    app = typer.Typer()
    rerank.register(app)
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_the_models_order_of_the_first_and_the_blends_of_the_rest(server: Server) -> None:
    usual = [each.item_id for each in Reader.open().recommend("u000", k=8)]
    named = ["u000", "-k", 8, "--top", 5, "--model", "tiny", "--endpoint", server.address]
    told = json.loads(call(*named, "--json").stdout)
    assert [row["item_id"] for row in told["recommendations"]] == usual[:5][::-1] + usual[5:]
    assert [row["rank"] for row in told["recommendations"]] == list(range(1, 9)) and told["not_used"] == ""
    assert "Love story" in server.asked[0]["messages"][1]["content"]
    server.order = [1, 1]
    told = json.loads(call(*named, "--json").stdout)
    assert [row["item_id"] for row in told["recommendations"]] == usual
    assert "is no permutation" in told["not_used"]
    assert "the blend's order" in call(*named).output


def test_without_a_model_it_says_what_to_give(server: Server) -> None:
    with pytest.raises(UserError, match="Give --model FOLDER"):
        call("u000")
    assert not server.asked


def test_the_settings_are_those_of_the_checkout_above(
    server: Server, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ["u000", "-k", 3, "--top", 3, "--model", "tiny", "--endpoint", server.address]
    (published / "docs").mkdir()
    monkeypatch.chdir(published / "docs")
    assert len(json.loads(call(*named, "--json").stdout)["recommendations"]) == 3
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{tmp_path}: no Nightreel checkout here or above, whose params.yaml"):
        call(*named)

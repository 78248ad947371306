"""A published bundle and the application over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from nightreel.service.app import build
from nightreel.service.options import Options
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle
from tests.support.keywords import add_keywords

Client = Callable[..., TestClient]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    root = tmp_path_factory.mktemp("served")
    store = LocalStore(root / "store")
    write_bundle(root / "bundle")
    items = pq.read_table(root / "bundle/items.parquet")
    ages = pa.array([6 * (n % 4) for n in range(items.num_rows)])
    pq.write_table(items.append_column("min_age", ages), root / "bundle/items.parquet")
    add_keywords(root / "bundle", root / "derived.parquet")
    publish(store, root / "bundle", channel="live", champion=None, lineage=lineage("r0"))
    return store


@pytest.fixture
def usual(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    """Of an application that asks for no token."""
    monkeypatch.delenv("NIGHTREEL_TOKEN", raising=False)
    return Options(
        store=store.uri, channel="live", refresh_s=60.0, threads=2, queue=8, timeout_s=5.0, body=50_000, cached=1_000_000,
        feedback=str(tmp_path / "feedback"), slates=None, recent=str(tmp_path / "recent" / "recent.sqlite"),
    )  # fmt: skip


@pytest.fixture
def client(usual: Options, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Makes a client of an application with some options changed; `token` is asked for where given."""
    with ExitStack() as stack:

        def made(token: str | None = None, **changed: object) -> TestClient:
            if token is not None:
                monkeypatch.setenv("NIGHTREEL_TOKEN", token)
            app = build(replace(usual, **changed))  # type: ignore[arg-type]
            return stack.enter_context(TestClient(app, base_url="http://127.0.0.1:8080"))

        yield made

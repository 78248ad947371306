"""Files that break while the service runs: lists go on, the log says why, and no answer names a path."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from nightreel.reader.live_reader import LiveReader
from nightreel.reader.options import RequestOptions
from nightreel.reader.reader import Reader
from nightreel.reader.requests.recent_events import NOTHING, Event, RecentEvents
from nightreel.service.recording.feedback import Log
from nightreel.service.schemas import Feedback
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.service.conftest import Client
from tests.support.bundles import lineage, write_bundle

SKIP = Feedback(user_id="u001", item_id="i003", event="skip")


def test_a_damaged_database_costs_nobody_a_list(
    store: LocalStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, reader = tmp_path / "recent" / "recent.sqlite", Reader.open(store.uri)
    recent = RecentEvents(path, b"a key of one's own")
    log = Log(tmp_path / "feedback", recent)
    log.keep([SKIP], reader)
    assert log.of(reader, "u001").disliked == ("i003",)
    recent.close()
    path.write_bytes(b"no database " * 1000)
    with caplog.at_level(logging.ERROR, "nightreel.service"):
        assert log.revision("u001") == 0 and log.of(reader, "u001") == NOTHING
    (line,) = [each.getMessage() for each in caplog.records]
    assert "lists go without what users have just done" in line and "u001" not in line
    with pytest.raises(OSError, match="not a database"):
        recent.add([Event("u001", "i005", "skip")])
    path.unlink()
    log.keep([SKIP], reader)
    assert log.of(reader, "u001").disliked == ("i003",), "a new file takes its place without a restart"


def test_a_version_whose_files_are_gone_is_answered_from_in_full(store: LocalStore, tmp_path: Path) -> None:
    own = tmp_path / "store"
    shutil.copytree(store.root, own)
    whole = Reader.open(store.uri)
    with LiveReader(own, start=False) as live:
        shutil.rmtree(own)
        for options in (
            RequestOptions(genres=("Drama",)), RequestOptions(languages=("en",)), RequestOptions(audience_age=6),
            RequestOptions(media_types=("video",)), RequestOptions(max_per_creator=1, max_per_genre=2, diversity=0.3),
        ):  # fmt: skip
            wanted: dict[str, Any] = {"k": 5, "options": options, "reasons": True}
            assert live.reader.recommend("u001", **wanted) == whole.recommend("u001", **wanted)
        assert live.reader.explain("i003", "u001") == whole.explain("i003", "u001")


def test_an_answer_names_no_file_of_this_machine(client: Client, store: LocalStore, tmp_path: Path) -> None:
    own = tmp_path / "store"
    shutil.copytree(store.root, own)
    asked = client(store=str(own))
    shutil.rmtree(own)
    for channel in ("canary", "../x", "x" * 200):
        answer = asked.post("/explorer/beside", json={"channel": channel, "wanted": {}})
        assert 400 <= answer.status_code <= 500 and str(tmp_path) not in answer.text, answer.text


@pytest.mark.parametrize("harm", ["of a version", "of the store"])
def test_ready_tells_of_a_fault_and_the_log_its_reason(
    client: Client, store: LocalStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    own = LocalStore(tmp_path / "store")
    shutil.copytree(store.root, own.root)
    asked = client(store=own.uri)
    before, live = asked.get("/ready").json(), asked.app.state.answers.live  # type: ignore[attr-defined]
    if harm == "of a version":
        write_bundle(tmp_path / "next", seed=1)
        published = publish(own, tmp_path / "next", channel="live", champion=before["version"], lineage=lineage("r1"))
        vectors = next(path for path in own.root.rglob("vectors.npy") if published.digest in str(path))
        vectors.chmod(0o600)
        vectors.write_bytes(vectors.read_bytes()[:-1] + b"x")
    else:
        shutil.rmtree(own.root)
    for _ in range(2):
        assert not live.refresh()
    ready = asked.get("/ready").json()
    assert ready["version"] == before["version"] and "The service's log has the reason" in ready["fault"]
    assert ready["refused"] == (published.digest if harm == "of a version" else None)
    assert str(tmp_path) not in str(ready)
    (logged,) = [each.getMessage() for each in caplog.records if each.name == "nightreel.reader"]
    assert str(tmp_path) in logged and "channel live is not followed" in logged

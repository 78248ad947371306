"""The flows beside nightly, each started as Prefect's page starts it, on a running `nightreel up`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nightreel.monitoring import history
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.open import open_store
from tests.end_to_end.conftest import Checkout, run
from tests.end_to_end.started_up import Up, started
from tests.support import datasets

pytestmark = pytest.mark.end_to_end
FEW = ["finetune.members=[popularity, ease]"]


@pytest.fixture(scope="module")
def up(checkout: Checkout) -> Iterator[Up]:
    with started(checkout("flows")) as made:
        yield made


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> datasets.Planted:
    return datasets.write_dataset(tmp_path_factory.mktemp("log"), users=60, items=40, events=1000, repeats=False)


def ran(up: Up, name: str, **parameters: Any) -> tuple[str, str]:
    """Run a deployment; the name of its last state, and what that says."""
    deployment = up.api("GET", f"/deployments/name/{name}/{name}")
    made = up.api("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
    found = up.finished(made["id"])
    return found["state"]["name"], str(found["state"]["message"])


def nights(up: Up) -> list[str]:
    return [night.outcome for night in history.nights(up.root / ".nightreel")]


@pytest.fixture(scope="module")
def published(up: Up) -> str:
    """A version that a dry run made, and the flow `publish` published."""
    assert ran(up, "nightly", publish={"dry_run": True}, run={"settings": FEW})[0] == "Completed"
    (dry,) = history.nights(up.root / ".nightreel")
    assert dry.outcome == "dry run" and channels.live(store(up), "live") is None
    name, told = ran(up, "publish")
    assert name == "Completed" and told.startswith(f"promoted {str(dry.version)[:12]}"), told
    return str(dry.version)


def store(up: Up) -> Any:
    return open_store(up.root / ".nightreel" / "store")


def test_publish_trains_nothing_and_its_version_can_be_made_again(up: Up, published: str) -> None:
    pointer = channels.live(store(up), "live")
    assert pointer is not None and pointer.digest == published
    newest = history.nights(up.root / ".nightreel")[0]
    assert [stage.stage for stage in newest.stages] == ["publish", "record"] and newest.trigger == "form"
    assert json.loads(run(up.root, "reproduce", "--json").stdout)["same"]
    assert ran(up, "publish", night="20200101-000000-1")[0] == "Failed"


def test_evaluate_judges_and_neither_publishes_nor_is_a_night(up: Up, published: str) -> None:
    before, pointer = nights(up), channels.live(store(up), "live")
    name, told = ran(up, "evaluate", evaluate={"margin": 0.05}, run={"settings": FEW})
    assert name == "Completed" and "NDCG@10" in told
    assert nights(up) == before and channels.live(store(up), "live") == pointer


def test_withdraw_hides_an_item_at_once_and_names_no_user_it_does_not_find(up: Up, published: str) -> None:
    uri, item = store(up).uri, str(Reader.open(store(up).uri).items.ids[0])
    name, told = ran(up, "withdraw", items=[item])
    assert name == "Completed" and "1 items, 0 users withdrawn" in told
    assert item in Reader.open(uri).withdrawals.by_hand.items  # type: ignore[union-attr]
    (up.root / ".nightreel" / "gone.csv").write_text("user_id\nnobody@example.org\n")
    name, told = ran(up, "withdraw", file=str(up.root / ".nightreel" / "gone.csv"))
    assert name == "Failed" and "0 items and 1 users match nothing" in told and "nobody@" not in told


def test_rollback_goes_back(up: Up, published: str, tmp_path: Path) -> None:
    item = str(Reader.open(store(up).uri).items.ids[1])
    (tmp_path / "titles.csv").write_text(f"item_id,title\n{item},Another title\n")
    run(up.root, "renew", str(tmp_path / "titles.csv"))
    newer = channels.resolve(store(up), "live", None)
    assert newer != published
    name, told = ran(up, "rollback")
    assert name == "Completed" and f"{newer[:12]} → {published[:12]}" in told
    assert channels.resolve(store(up), "live", None) == published


def test_replay_and_backfill_run_nights_of_their_own(up: Up, published: str, log: datasets.Planted) -> None:
    few = {"source": str(log.folder), "nights": 1, "step": "7d", "settings": FEW}
    before = nights(up)
    name, told = ran(up, "replay", **few)
    assert name == "Completed" and told.startswith("1 nights, NDCG@10: nightreel 0."), told
    assert sorted(channels.channels(store(up))) == ["live"]
    name, told = ran(up, "backfill", channel="live", **few)
    assert name == "Failed" and "--into-live" in told
    name, told = ran(up, "backfill", channel="past", **few)
    assert name == "Completed", told
    assert sorted(channels.channels(store(up))) == ["live", "past"]
    assert channels.resolve(store(up), "live", None) == published and nights(up) == before


def test_garbage_is_collected_and_what_is_live_can_still_be_made_again(up: Up, published: str) -> None:
    name, told = ran(up, "collect-garbage", versions=0, days=0, dry_run=True)
    assert name == "Completed" and "would be removed" in told
    name, told = ran(up, "collect-garbage", versions=0, days=0)
    assert name == "Completed" and "1 of 2 nights removed from the branch nightreel/nights" in told, told
    assert json.loads(run(up.root, "reproduce", published, "--json").stdout)["same"]

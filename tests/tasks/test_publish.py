"""The publish stage: idempotent, with a receipt that tells nothing of when and where."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from nightreel.bundle.format import digest_of
from nightreel.reader.reader import Reader
from nightreel.settings import yaml_values
from nightreel.stage import write_json
from nightreel.store import channels
from nightreel.store.open import open_store
from nightreel.store.publisher import StaleChallenger
from tasks import publish
from tests.support.bundles import write_bundle

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose earlier stages have run: promoted, and nothing was live when it began."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("NIGHTREEL_STORE", raising=False)
    shutil.copy(PARAMS, "params.yaml")
    write_json(Path("data/snapshot/champion.json"), {"digest": None})
    write_json(Path("data/snapshot/recipe.json"), {"recipe": "r1", "parts": {"code": "c"}})
    write_json(Path("data/evaluate/decision.json"), {"decision": "promote", "label": "baseline"})
    write_bundle(tmp_path / "data" / "refit" / "bundle")
    return tmp_path


def receipt() -> dict[str, object]:
    return dict(json.loads(Path("data/publish/receipt.json").read_text()))


def test_a_promoted_bundle_goes_live(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish.main()
    digest = digest_of(Path("data/refit/bundle"))
    assert Reader.open().digest == digest
    assert receipt() == {
        "digest": digest, "decision": "promote", "channel": "live", "published": True, "dry_run": False,
        "label": "baseline",
    }  # fmt: skip
    lineage = channels.lineage(open_store(), digest)
    assert (lineage["recipe"], lineage["predecessor"], lineage["label"]) == ("r1", None, "baseline")
    assert lineage["params"]["snapshot"]["source"] == yaml_values.read(PARAMS.read_text())["snapshot"]["source"]
    assert f"published {digest[:12]} to channel live of {workspace / 'state' / 'store'}" in capsys.readouterr().out


def test_again_publishes_nothing_and_gives_the_same_receipt(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish.main()
    first, store = Path("data/publish/receipt.json").read_bytes(), workspace / "state" / "store"
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    capsys.readouterr()
    publish.main()
    assert Path("data/publish/receipt.json").read_bytes() == first
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
    assert "nothing to do" in capsys.readouterr().out


def test_a_challenger_that_is_stale_leaves_what_is_live(workspace: Path) -> None:
    publish.main()
    live = Reader.open().digest
    shutil.rmtree("data/refit/bundle")
    write_bundle(Path("data/refit/bundle"), seed=1)
    with pytest.raises(StaleChallenger, match=f"points to {live[:12]}, but this run was compared with no version"):
        publish.main()
    assert Reader.open().digest == live
    write_json(Path("data/snapshot/champion.json"), {"digest": live})
    publish.main()
    successor = digest_of(Path("data/refit/bundle"))
    assert Reader.open().digest == successor
    assert channels.lineage(open_store(), successor)["predecessor"] == live


def test_what_was_live_trained_again_is_called_so_whatever_the_verdict_on_the_candidate(workspace: Path) -> None:
    publish.main()
    live = Reader.open().digest
    shutil.rmtree("data/refit/bundle")
    write_bundle(Path("data/refit/bundle"), seed=1, label="refreshed")
    write_json(Path("data/snapshot/champion.json"), {"digest": live})
    write_json(Path("data/evaluate/decision.json"), {"decision": "reject", "label": "worse"})
    publish.main()
    digest = digest_of(Path("data/refit/bundle"))
    assert Reader.open().digest == digest != live
    assert (receipt()["decision"], receipt()["label"], receipt()["published"]) == ("reject", "refreshed", True)
    lineage = channels.lineage(open_store(), digest)
    assert (lineage["decision"], lineage["label"], lineage["predecessor"]) == ("reject", "refreshed", live)


def test_hold_publishes_nothing(workspace: Path) -> None:
    shutil.rmtree("data/refit/bundle")
    write_json(Path("data/refit/held.json"), {"empty": "worse than the champion"})
    write_json(Path("data/evaluate/decision.json"), {"decision": "hold", "label": "worse"})
    publish.main()
    assert receipt() == {
        "digest": None, "decision": "hold", "channel": "live", "published": False, "dry_run": False,
        "reason": "worse than the champion",
    }  # fmt: skip
    assert not (workspace / "state" / "store").exists()


def test_a_dry_run_touches_no_store(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = yaml_values.read(PARAMS.read_text())
    params["publish"]["dry_run"] = True
    Path("params.yaml").write_text(yaml.safe_dump(params))
    publish.main()
    assert (receipt()["published"], receipt()["dry_run"]) == (False, True)
    assert receipt()["digest"] == digest_of(Path("data/refit/bundle"))
    assert not (workspace / "state" / "store").exists()
    assert "dry run:" in capsys.readouterr().out


def test_another_channel_by_parameter(workspace: Path) -> None:
    params = yaml_values.read(PARAMS.read_text())
    params["snapshot"]["channel"] = "canary"
    Path("params.yaml").write_text(yaml.safe_dump(params))
    publish.main()
    assert channels.live(open_store(), "live") is None
    assert Reader.open(channel="canary").digest == receipt()["digest"]

"""record: MLflow runs from the files that the other stages wrote, the same from every door.

python -m tasks.record                                     after publish; writes data/record/run.json
python -m tasks.record --failed STAGE [--reason TEXT]      after a stage failed: what there is
"""

from __future__ import annotations

import argparse
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks import tracking
from tasks.index import channels
from tasks.index.stores import open_store
from tasks.provenance import Lock, numbers, read_lock
from tasks.report.page import report_path, write_report
from tasks.report.understanding import understanding_path, write_understanding
from tasks.run_facts import DATA, METRICS, bundle_version, common_facts, stage_facts
from tasks.settings import Settings, load
from tasks.stage import UserError, read_json, say, stage_main, staged_output, state_directory, write_json
from tasks.tracking import Facts

OUT = Path("data/record")


def main() -> None:
    """Record the run that has just ended."""
    parser = argparse.ArgumentParser(prog="python -m tasks.record", description="Record a run in MLflow.")
    parser.add_argument("--failed", metavar="STAGE", help="the stage at which the run stopped")
    parser.add_argument("--reason", default="", help="what it said")
    asked = parser.parse_args()
    settings, state, lock = load(), state_directory(), read_lock(Path("dvc.yaml"), Path("dvc.lock"))
    if asked.failed:
        _record_failure(settings, state, lock, asked.failed, asked.reason)
        return
    recipe = read_json(DATA / "snapshot" / "recipe.json")["recipe"]
    receipt = read_json(DATA / "publish" / "receipt.json")
    marker = {
        "recipe": recipe, "digest": receipt["digest"], "decision": receipt["decision"], "lock": lock.fingerprint,
        "live": _live(settings), "experiment": settings.record.experiment, "uri": tracking.tracking_uri(state),
    }  # fmt: skip
    path = state / "mlflow" / "recorded" / f"{recipe}.json"
    page = report_path(state, recipe)
    if _recorded(path, marker) and page.exists() and _understood(state, recipe):
        page.touch()  # `nightreel report` shows the run that ended last
        say(f"recorded already: MLflow run {recipe[:12]}")
    else:
        write_report(DATA, state, lock.order)
        facts = _facts(settings, state, lock, recipe, receipt, marker["live"])
        pages = [each for each in (page, write_understanding(DATA, METRICS, state)) if each]
        facts = replace(facts, artifacts=(*facts.artifacts, *((each, "report") for each in pages)))
        write_json(path, marker | tracking.record(facts, state))
        say(f"recorded as MLflow run {recipe[:12]} in experiment {settings.record.experiment}")
    with staged_output(OUT) as folder:
        write_json(folder / "run.json", {name: marker[name] for name in ("recipe", "digest", "decision")})


def _facts(
    settings: Settings, state: Path, lock: Lock, recipe: str, receipt: dict[str, Any], live: str | None
) -> Facts:
    verdict = read_json(DATA / "evaluate" / "verdict.json")
    tags = {
        "nightreel.status": "published" if receipt.get("published") else "not published",
        "nightreel.reason": receipt.get("reason") or "",
        "nightreel.digest": receipt["digest"] or "",
        "nightreel.decision": verdict["decision"],
        "nightreel.label": verdict["label"],
        "mlflow.note.content": verdict["sentence"],
    }
    stages = tuple(stage_facts(state, lock, name, failed=False) for name in lock.stages)
    points = tuple(point for name in lock.stages for point in numbers(METRICS / f"{name}.json", f"{name}."))
    return common_facts(settings, lock, recipe, tags, stages, points, bundle_version(live), live)


def _record_failure(settings: Settings, state: Path, lock: Lock, failed: str, reason: str) -> None:
    """What there is of a run that stopped: the stages before the failed one, and the failure."""
    if failed not in lock.order:
        raise UserError(f"--failed {failed}: no such stage in dvc.yaml. Give one of {', '.join(lock.order)}.")
    path = DATA / "snapshot" / "recipe.json"
    # A snapshot that failed leaves the recipe of an earlier run behind, which must not be blamed.
    known = path.exists() and lock.order.index(failed) > lock.order.index("snapshot")
    recipe = read_json(path)["recipe"] if known else "unknown-" + lock.params_fingerprint
    before = [name for name in lock.order[: lock.order.index(failed)] if known and name in lock.stages]
    stages = (
        *(stage_facts(state, lock, name, failed=False) for name in before),
        stage_facts(state, lock, failed, failed=True),
    )
    tags = {"nightreel.status": f"failed at {failed}", "mlflow.note.content": reason or f"failed at {failed}"}
    live = _live(settings)
    facts = common_facts(settings, lock, recipe, tags, stages, (), None, live)
    (state / "mlflow" / "recorded" / f"{recipe}.json").unlink(missing_ok=True)
    tracking.record(facts, state)
    say(f"recorded the failure at {failed} as MLflow run {recipe[:12]}")


def _live(settings: Settings) -> str | None:
    pointer = channels.live(open_store(), settings.snapshot.channel)
    return pointer.digest if pointer else None


def _understood(state: Path, recipe: str) -> bool:
    """Whether the page of what was understood is there, or nothing to make it from."""
    return understanding_path(state, recipe).exists() or not (DATA / "understand").exists()


def _recorded(path: Path, marker: dict[str, Any]) -> bool:
    """Whether this very outcome is in MLflow, without importing it: the marker says so and the run is there."""
    if not path.exists():
        return False
    found = read_json(path)
    if {name: found.get(name) for name in marker} != marker:
        return False
    database = marker["uri"].removeprefix("sqlite:///")
    if database == marker["uri"]:
        return True  # a server: the marker is its word
    if not Path(database).exists():
        return False
    query = "select 1 from runs where run_uuid = ? and lifecycle_stage = 'active'"
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            return connection.execute(query, [found["run_id"]]).fetchone() is not None
    except sqlite3.Error:
        return False


if __name__ == "__main__":
    stage_main(main)

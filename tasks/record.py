"""Stage record: log the run in MLflow, from the files of the other stages.

python -m tasks.record                                     after publish; writes data/record/run.json
python -m tasks.record --failed STAGE [--reason TEXT]      after a stage failed: records what there is

Recording is optional: whatever the state of MLflow, the stage succeeds and reports in one line what was not recorded
and why; its next run catches up.
"""

from __future__ import annotations

import argparse
import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from nightreel.errors import UserError
from nightreel.monitoring import history, notifications
from nightreel.monitoring.conclusion import of_dvc_repro
from nightreel.orchestration.nights import commits
from nightreel.report.catalogue.page import write_understanding
from nightreel.report.page import write_report
from nightreel.report.paths import report_path, understanding_path
from nightreel.settings.params_file import Settings, load
from nightreel.stage import log_progress, read_json, stage_main, staged_output, state_directory, write_json
from nightreel.store import channels
from nightreel.store.open import open_store
from nightreel.tracking import marker, outcome
from nightreel.tracking.address import tracking_uri, without_secrets
from nightreel.tracking.dvc_lock import Lock, numbers, read_lock
from nightreel.tracking.facts import Facts
from nightreel.tracking.run_facts import DATA, METRICS, bundle_version, common_facts, stage_facts

OUT = Path("data/record")
NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def main() -> None:
    """Record the run that has just ended."""
    parser = argparse.ArgumentParser(prog="python -m tasks.record", description="Record a run in MLflow.")
    parser.add_argument("--failed", metavar="STAGE", help="the stage that failed")
    parser.add_argument("--reason", default="", help="its error message")
    arguments = parser.parse_args()
    settings, state, lock = load(), state_directory(), read_lock(Path("dvc.yaml"), Path("dvc.lock"))
    if arguments.failed:
        _record_failure(settings, state, lock, arguments.failed, arguments.reason)
        return
    recipe = read_json(DATA / "snapshot" / "recipe.json")["recipe"]
    receipt = read_json(DATA / "publish" / "receipt.json")
    live = _live(settings)
    version = bundle_version(live)
    mark = {
        "recipe": recipe,
        "digest": receipt["digest"],
        "decision": receipt["decision"],
        "lock": lock.fingerprint,
        "live": live,
        "experiment": settings.record.experiment,
        "uri": without_secrets(tracking_uri(state)),
        "model": version and version.digest,
    }
    if marker.recorded(state, mark) and report_path(state, recipe).exists() and _understood(state, recipe):
        report_path(state, recipe).touch()  # so that `nightreel report` opens this run
        outcome.again(state, mark)
    else:
        pages = _pages(state, lock, recipe)
        facts = _facts(settings, state, lock, recipe, receipt, live)
        facts = replace(facts, artifacts=(*facts.artifacts, *((each, "report") for each in pages)), version=version)
        outcome.record(state, facts, mark)
    with staged_output(OUT) as folder:
        write_json(folder / "run.json", {name: mark[name] for name in ("recipe", "digest", "decision")})
    if history.VARIABLE not in os.environ:
        _add_night(state, lock)


def _add_night(state: Path, lock: Lock) -> None:
    """Add this night to the history; the flow does it for its own nights."""
    try:
        night = history.add(state, "dvc repro", of_dvc_repro(Path(), state, lock.order))
        night = commits.keep_with(Path.cwd(), state, night, Path.cwd())
        for line in notifications.after_night(state, night):
            log_progress(line)
    except (UserError, OSError, ValueError) as error:
        log_progress(f"{state / history.FOLDER}: the night can't be added to the history ({error})")


def _pages(state: Path, lock: Lock, recipe: str) -> list[Path]:
    """Write the run's pages; if the disk is full, the run continues without them."""
    try:
        made = (write_report(DATA, state, lock.order), write_understanding(DATA, METRICS, state))
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        where = error.filename or report_path(state, recipe)
        log_progress(
            f"{where}: {error.strerror}. The report was not written; free some disk space and run `dvc repro record`."
        )
        return []
    return [each for each in made if each]


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
    tags |= _night_tags()
    stages = tuple(stage_facts(state, lock, name, failed=False) for name in lock.stages)
    points = tuple(point for name in lock.stages for point in numbers(METRICS / f"{name}.json", f"{name}."))
    return common_facts(settings, lock, recipe, tags, stages, points, None, live)


def _record_failure(settings: Settings, state: Path, lock: Lock, failed: str, reason: str) -> None:
    """Record a failed run: the stages before the failed one, and the failure."""
    if failed not in lock.order:
        raise UserError(f"--failed {failed}: there is no such stage in dvc.yaml. Use one of {', '.join(lock.order)}.")
    path = DATA / "snapshot" / "recipe.json"
    # If snapshot failed, recipe.json is that of an earlier run, to which the failure does not belong.
    known = path.exists() and lock.order.index(failed) > lock.order.index("snapshot")
    recipe = read_json(path)["recipe"] if known else "unknown-" + lock.params_fingerprint
    before = [name for name in lock.order[: lock.order.index(failed)] if known and name in lock.stages]
    stages = (
        *(stage_facts(state, lock, name, failed=False) for name in before),
        stage_facts(state, lock, failed, failed=True),
    )
    tags = {"nightreel.status": f"failed at {failed}", "mlflow.note.content": reason or f"failed at {failed}"}
    tags |= _night_tags()
    facts = common_facts(settings, lock, recipe, tags, stages, (), None, _live(settings))
    marker.path(state, recipe).unlink(missing_ok=True)
    outcome.record(state, facts, {})


def _night_tags() -> dict[str, str]:
    """The night and Prefect's run, by which `nightreel nights` and Prefect's page know this run."""
    night = history.of_environment()
    if night is None:
        return {}
    return {"nightreel.night": night.id, "nightreel.trigger": night.trigger, "prefect.flow_run": night.flow_run or ""}


def _live(settings: Settings) -> str | None:
    pointer = channels.live(open_store(), settings.snapshot.channel)
    return pointer.digest if pointer else None


def _understood(state: Path, recipe: str) -> bool:
    """Whether the page of the catalogue exists, or there are no files to make it from."""
    return understanding_path(state, recipe).exists() or not (DATA / "understand").exists()


if __name__ == "__main__":
    stage_main(main)

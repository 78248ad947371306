"""Records a run and reports the result in one line, which is stored for the run's summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nightreel.stage import log_progress, write_json
from nightreel.tracking import delivery, outbox
from nightreel.tracking.address import tracking_uri
from nightreel.tracking.facts import Facts

FILE = Path("mlflow") / "outcome.json"


def record(state: Path, facts: Facts, mark: dict[str, Any]) -> None:
    """Put a run into the outbox, record all waiting runs, and report the result. MLflow's faults are never raised.

    Args:
        state: The state directory.
        facts: The run's facts.
        mark: The content of the marker file once it is recorded; empty for a failed run.
    """
    try:
        outbox.put(state, facts, mark)
    except OSError as error:
        why = f"it can't be stored in {outbox.folder(state)} ({str(error)[:200]})"
        return _report(
            state,
            facts.recipe,
            f"{why}. Free disk space, or give this user write permission; then run `dvc repro record`.",
        )
    fault = _send(state, facts.live, facts.recipe)
    if fault is None:
        return _report(state, facts.recipe, None, f"recorded as {_run(facts.recipe)} in experiment {facts.experiment}")
    runs = len(outbox.waiting(state))
    waits = "It waits" if runs == 1 else f"It waits with {runs - 1} earlier runs"
    later = f"{waits} in {outbox.folder(state)}: the next run, or `dvc repro record`, tries again."
    return _report(state, facts.recipe, f"{fault}. {later}")


def again(state: Path, mark: dict[str, Any]) -> None:
    """Report a run that is already recorded, after trying to record those that still wait."""
    if outbox.waiting(state):
        _send(state, mark["live"], mark["recipe"])
    _report(state, mark["recipe"], None, f"already recorded as {_run(mark['recipe'])}")


def of(state: Path, recipe: str) -> str:
    """Return the stored line on a recipe's record, for the run's summary."""
    try:
        found = json.loads((state / FILE).read_text("utf-8"))
        if found["recipe"] == recipe:
            return str(found["line"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return f"not recorded: {state / FILE} has no entry for this run. `dvc repro record` tries again."


def _send(state: Path, live: str | None, recipe: str) -> str | None:
    """Send all waiting runs and log the other runs' results; returns why `recipe` is not recorded, or None."""
    before = {entry.name for entry in outbox.waiting(state)}
    done = delivery.deliver(state, tracking_uri(state), live, log_progress)
    late = [each for each in done.recorded if each != recipe]
    if late:
        log_progress(f"also recorded, from earlier runs: {', '.join(_run(each) for each in late)}")
    fault = done.fault(recipe) if recipe in before else None
    left = sorted(before - {recipe, *done.recorded})
    if left and fault is None:  # otherwise the line that follows mentions them
        log_progress(f"still not recorded: {', '.join(_run(each) for each in left)}: {done.fault(left[0])}")
    return fault


def _run(recipe: str) -> str:
    return f"MLflow run {recipe[:12]}"


def _report(state: Path, recipe: str, fault: str | None, line: str = "") -> None:
    """Log the line, and store it for the summary if possible."""
    shown = f"not recorded: {fault}" if fault else line
    log_progress(shown)
    try:
        write_json(state / FILE, {"recipe": recipe, "recorded": fault is None, "line": shown})
    except OSError as error:
        log_progress(f"{state / FILE}: {error.strerror}. The run's summary can't show whether it was recorded.")

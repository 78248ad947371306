"""What came of recording a night: a line for a person, kept in the state directory for the night's summary."""

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
    """Put a run into the outbox, have all that waits recorded, and say what came of it. Never raises for MLflow's sake.

    Args:
        state: The state directory.
        facts: What there is of the run.
        mark: What is to be remembered once it is recorded; empty for a run that failed.
    """
    try:
        outbox.put(state, facts, mark)
    except OSError as error:
        why = f"it can't be kept at {outbox.folder(state)} ({str(error)[:200]})"
        return _tell(
            state, facts.recipe, f"{why}. Free some room, or let this user write there; then `dvc repro record`."
        )
    fault = _send(state, facts.live, facts.recipe)
    if fault is None:
        return _tell(state, facts.recipe, None, f"recorded as {_run(facts.recipe)} in experiment {facts.experiment}")
    runs = len(outbox.waiting(state))
    waits = "It waits" if runs == 1 else f"It waits with {runs - 1} earlier ones"
    later = f"{waits} in {outbox.folder(state)}: the next run, or `dvc repro record`, records what waits."
    return _tell(state, facts.recipe, f"{fault}. {later}")


def again(state: Path, mark: dict[str, Any]) -> None:
    """The run is recorded already; those that still wait are not."""
    if outbox.waiting(state):
        _send(state, mark["live"], mark["recipe"])
    _tell(state, mark["recipe"], None, f"recorded already: {_run(mark['recipe'])}")


def of(state: Path, recipe: str) -> str:
    """What is known of a recipe's record, for a night's summary."""
    try:
        found = json.loads((state / FILE).read_text("utf-8"))
        if found["recipe"] == recipe:
            return str(found["line"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return f"not recorded: {state / FILE} says nothing of this run. `dvc repro record` tries again."


def _send(state: Path, live: str | None, recipe: str) -> str | None:
    """Why `recipe` is not recorded, None where it is; what became of the others is said."""
    before = {entry.name for entry in outbox.waiting(state)}
    done = delivery.deliver(state, tracking_uri(state), live, log_progress)
    late = [each for each in done.recorded if each != recipe]
    if late:
        log_progress(f"recorded too, from earlier: {', '.join(_run(each) for each in late)}")
    fault = done.fault(recipe) if recipe in before else None
    left = sorted(before - {recipe, *done.recorded})
    if left and fault is None:  # else the one line that is to come speaks of them
        log_progress(f"still not recorded: {', '.join(_run(each) for each in left)}: {done.fault(left[0])}")
    return fault


def _run(recipe: str) -> str:
    return f"MLflow run {recipe[:12]}"


def _tell(state: Path, recipe: str, fault: str | None, line: str = "") -> None:
    """Say it, and leave it for the summary where that can be written."""
    told = f"not recorded: {fault}" if fault else line
    log_progress(told)
    try:
        write_json(state / FILE, {"recipe": recipe, "recorded": fault is None, "line": told})
    except OSError as error:
        log_progress(f"{state / FILE}: {error.strerror}. The night's summary can't tell whether it was recorded.")

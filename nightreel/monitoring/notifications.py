"""Notifications of alerts and of recovery, through Apprise (e-mail, Slack, Teams, webhooks and over a hundred more).

The addresses, which hold passwords, stand in NIGHTREEL_NOTIFY or in `<state>/notify.txt`, one in a line. Each alert
is sent once to each address, and once more when it is over. What could not be sent to one of them is tried again at
the next look, with that one alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TypedDict

from nightreel import private_files
from nightreel.child_environment import OF_THE_FLOW
from nightreel.monitoring import alerts, history
from nightreel.monitoring.alerts import Alert
from nightreel.monitoring.night import Night
from nightreel.stage import write_json

VARIABLE = OF_THE_FLOW
FILE = "notify.txt"


class Sent(TypedDict):
    """An alert that was sent and is not over. to: marks of the addresses that have been told of it."""

    text: str
    to: list[str]


Told = dict[str, Sent]
TITLES = {
    "night": "a night went wrong",
    "drift": "the data have drifted",
    "late": "the newest events are missing",
    "missed": "a night is missing",
    "stuck": "a night is stuck",
    "old": "the live version is old",
    "store": "the store can't be read",
    "withdrawals": "a withdrawal was not applied",
    "record": "a run waits to be recorded",
    "settings": "params.yaml can't be used",
}
"""Kind of an alert → title of its notification."""


def after_night(state: Path, night: Night) -> list[str]:
    """Tell of a night that has just ended if it is bad or its log is late, or if it is good after such a one; returns
    what went wrong."""
    others = [each for each in history.nights(state, history.LOOKED_AT) if each.id != night.id]
    nights = [night, *others]
    return tell(state, [*alerts.of_nights(nights), *alerts.late(nights)], ("night", "late"))


def tell(state: Path, found: Sequence[Alert], kinds: Sequence[str]) -> list[str]:
    """Send what is new, and what is over.

    Args:
        state: The state directory.
        found: The alerts of these kinds.
        kinds: The kinds that were looked at.

    Returns:
        Lines about addresses that could not be reached; empty if all was sent or no address is set.
    """
    lines: list[str] = []
    try:
        targets = addresses(state)
        if not targets:
            return []
        with _told(state, targets) as told:
            now = {_name(alert): alert for alert in found if alert.urgent}
            for name, alert in now.items():
                sent = told.setdefault(name, {"text": alert.text, "to": []})
                ignorant = [target for target in targets if _mark(target) not in sent["to"]]
                reached, faults = _send(ignorant, _title(alert), _body(alert))
                sent["to"] += reached
                lines += faults
            for name in [each for each in told if each.split(" ")[0] in kinds and each not in now]:
                kind, sent = name.split(" ")[0], told[name]
                replaced = any(each.split(" ")[0] == kind for each in now)  # the next bad night is no recovery
                waiting = [] if replaced else [target for target in targets if _mark(target) in sent["to"]]
                reached, faults = _send(waiting, "Nightreel: all right again", f"Over: {sent['text']}")
                sent["to"] = [mark for mark in map(_mark, waiting) if mark not in reached]
                lines += faults
                if not sent["to"]:
                    del told[name]
    except OSError as error:
        lines.append(f"notifications: {error.filename or state}: {error.strerror}. Nothing was sent.")
    return lines


def addresses(state: Path) -> list[str]:
    """The addresses to notify, in Apprise's form: `mailto://…`, `slack://…`, `json://host/path`, …"""
    named = os.environ.get(VARIABLE, "")
    file = state / FILE
    if not named and file.exists():
        if private_files.readable_by_others(file):
            logging.getLogger(__name__).warning("%s: others can read it, and it holds passwords: chmod 600", file)
        named = file.read_text("utf-8")
    return [word for line in named.splitlines() if not line.lstrip().startswith("#") for word in line.split()]


def _send(targets: Sequence[str], title: str, body: str) -> tuple[list[str], list[str]]:
    """(marks of the addresses that were reached, a line for each other one, without its password)."""
    if not targets:
        return [], []
    try:
        import apprise
    except ModuleNotFoundError:
        return [], [f"notifications need the library apprise: pip install 'nightreel[pipeline]'. Not sent: {title}"]
    reached, faults = [], []
    for target in targets:
        one = apprise.Apprise()
        if not one.add(target):
            faults.append(f"notifications: {_shown(target)}: is no address that Apprise knows. Correct {VARIABLE}.")
        elif not one.notify(body=body, title=title, body_format="text"):
            faults.append(f"notifications: {_shown(target)}: not reached. It is tried again at the next look.")
        else:
            reached.append(_mark(target))
    return reached, faults


def _mark(target: str) -> str:
    """Stands for an address in a file: the address itself holds a password."""
    return hashlib.sha256(target.encode()).hexdigest()[:16]


def _shown(target: str) -> str:
    return f"{target.split('://', 1)[0]}://…"


def _title(alert: Alert) -> str:
    return f"Nightreel: {TITLES[alert.kind]}"


def _body(alert: Alert) -> str:
    return f"{alert.sentence}\n\n{alert.remedy}\n\n{platform.node()}"


def _name(alert: Alert) -> str:
    return f"{alert.kind} {alert.key}"


@contextmanager
def _told(state: Path, targets: Sequence[str]) -> Iterator[Told]:
    """The alerts that were sent and are not over, by name; saved at the end, one process at a time. targets: those that
    were told what an earlier release noted, by its text alone."""
    path = state / history.FOLDER / "plan" / "told.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            kept = dict(json.loads(path.read_text("utf-8")))
            everybody = [_mark(target) for target in targets]
            found: Told = {
                name: {"text": each, "to": everybody[:]} if isinstance(each, str) else each
                for name, each in kept.items()
            }
        except (OSError, ValueError, TypeError):
            found = {}
        before = deepcopy(found)
        try:
            yield found
        finally:
            if found != before:
                write_json(path, found)

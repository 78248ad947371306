"""What is counted after a scripted night: was it as expected, was it told, and was anything lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nightreel.bundle.format import MANIFEST
from nightreel.data import privacy
from nightreel.monitoring.alerts import Alert
from nightreel.monitoring.night import GOOD
from nightreel.reader.reader import Reader
from nightreel.replay.next_step import EventLog
from nightreel.replay.troubles.delivery import Delivery
from nightreel.replay.troubles.script import Script
from nightreel.store.backends.base import Store

OF_A_NIGHT = ("night", "missed", "stuck")
"""Kinds of alerts that say of a night that it published nothing."""
ASKED, PLACES = 500, 50
"""For how many users a list is computed after each night, and how many items each gets."""


@dataclass(frozen=True)
class Lost:
    """Counts that must be 0.

    Attributes:
        rows: Delivered rows that are neither clean nor quarantined nor erased.
        withdrawn: Taken-down items in lists, and erased users who are known.
        versions: Versions that were published and are gone.
    """

    rows: int = 0
    withdrawn: int = 0
    versions: int = 0

    @property
    def any(self) -> bool:
        """Whether anything is lost."""
        return bool(self.rows or self.withdrawn or self.versions)


def lost_rows(delivery: Delivery, accounts: Mapping[str, Mapping[str, int]] | None) -> int:
    """How many delivered rows stand nowhere. accounts: of the night's validation, by table; None if it did not come so
    far, so that its rows wait in the source."""
    if accounts is None:
        return 0
    kept = {name: own["clean"] + own["quarantined"] + own["erased"] for name, own in accounts.items()}
    tables = {path.split("/")[0] for path in delivery.tables}
    return sum(abs(delivery.rows(table) - kept.get(table, 0)) for table in tables)


def came_back(reader: Reader, delivery: Delivery, key: bytes | None) -> int:
    """How many taken-down items are in lists of this version, and erased users known to it.

    Args:
        reader: What is live.
        delivery: Who and what was withdrawn by now.
        key: Of the pseudonyms; None for plain ids.
    """
    past = reader.histories
    asked = np.unique(np.append(np.arange(min(ASKED, len(past))), len(past) - 1))  # the last one is a newcomer's
    lists = reader.recommend_many(past.take(asked), k=PLACES).items
    listed = {reader.items.ids[item] for item in np.unique(lists[lists >= 0]).tolist()}
    known = set(reader.user_ids.to_pylist())
    return len(listed & set(delivery.blocked)) + len(known & set(_pseudonyms(delivery.erased, key)))


def gone(store: Store, published: Iterable[str]) -> int:
    """How many of the versions that were published are not in the store any more."""
    return sum(not store.exists(f"versions/{digest}/{MANIFEST}") for digest in sorted(set(published)))


def without_withdrawn(log: EventLog, delivery: Delivery, key: bytes | None) -> EventLog:
    """The log that a night is judged by: taken-down items can't be shown and are no truth from then on, and erased
    users are gone."""
    if not (delivery.blocked or delivery.erased):
        return log
    since = np.array([delivery.blocked.get(item, np.inf) for item in log.item_ids.to_pylist()])
    taken = (log.item >= 0) & (log.time >= since[log.item])
    erased = dict(zip(_pseudonyms(delivery.erased, key), delivery.erased.values(), strict=True))
    return replace(
        log,
        positive=log.positive & ~taken,
        erased=np.minimum(log.erased, [erased.get(user, np.inf) for user in log.user_ids]),
        rights=replace(log.rights, blocked=log.rights.blocked | np.isfinite(since)),
    )


def judged(script: Script, number: int, outcome: str, alerts: Sequence[Alert], lost: Lost) -> dict[str, Any]:
    """The row's fields about trouble.

    Args:
        script: The script.
        number: Of the night, from 1.
        outcome: What came of it.
        alerts: What the status said of it.
        lost: What was lost.
    """
    night, said = script.on(number), " ".join(f"{alert.text} {alert.remedy}" for alert in alerts)
    unnamed = [text for text in (night.named if night else ()) if text not in said]
    bad = outcome not in GOOD or bool(lost.rows)
    return {
        "troubles": [trouble.kind for trouble in night.troubles] if night else [],
        "expected": list(script.expected(number)),
        "unnamed": unnamed,
        "as_expected": outcome in script.expected(number) and not unnamed,
        "silent": bad and not any(alert.kind in OF_A_NIGHT for alert in alerts),
        "lost_rows": lost.rows,
        "came_back": lost.withdrawn,
        "lost_versions": lost.versions,
    }


def _pseudonyms(users: Iterable[str], key: bytes | None) -> list[str]:
    return [privacy.pseudonym(key, user) if key else user for user in users]

"""The state of the nights at a moment: what is live, the last nights, the next one, and what is wrong."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nightreel.errors import UserError
from nightreel.monitoring import alerts, expected, history
from nightreel.monitoring.alerts import Alert
from nightreel.monitoring.expected import Expected
from nightreel.monitoring.night import Night, minute
from nightreel.settings.watch import Watch
from nightreel.tracking import outbox

WITHDRAWN = {"items blocked": "blocked", "users erased": "users", "rules": "rules"}


@dataclass(frozen=True)
class LiveVersion:
    """What the channel serves.

    Attributes:
        version: Its digest.
        label: The verdict with which it was published.
        published: Epoch seconds; None if its lineage does not say.
        withdrawn: Counts of what may not be shown: blocked items, erased users, rules.
    """

    version: str
    label: str | None
    published: float | None
    withdrawn: dict[str, int]


@dataclass(frozen=True)
class PipelineStatus:
    """See the module. at: when it was taken, epoch seconds; nights: the latest first."""

    at: float
    channel: str
    live: LiveVersion | None
    nights: tuple[Night, ...]
    plan: Expected | None
    alerts: tuple[Alert, ...]

    @property
    def well(self) -> bool:
        """Whether nothing urgent is wrong."""
        return not any(alert.urgent for alert in self.alerts)

    @property
    def running(self) -> Night | None:
        """The night that runs now."""
        return next((night for night in self.nights if night.outcome == "running"), None)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for --json."""
        live, plan = self.live, self.plan
        return {
            "at": _iso(self.at),
            "well": self.well,
            "channel": self.channel,
            "live": live
            and {
                "version": live.version,
                "label": live.label,
                "published_at": _iso(live.published),
                "age_hours": None if live.published is None else round((self.at - live.published) / 3600, 2),
                "withdrawn": live.withdrawn,
            },
            "next_night": plan and {"at": _iso(plan.next), "paused": plan.paused},
            "running": self.running and self.running.id,
            "alerts": [alert.as_json() for alert in self.alerts],
            "nights": [night.model_dump(mode="json") for night in self.nights],
        }


def status(
    state: Path, store: str | None, channel: str, watch: Watch, *, most: int = 7, now: float | None = None
) -> PipelineStatus:
    """Take the status.

    Args:
        state: The state directory.
        store: URI of the store; None for the default.
        channel: The channel that the nights publish to.
        watch: When something is wrong.
        most: Number of nights to return.
        now: Epoch seconds; None for the machine's clock.
    """
    moment = time.time() if now is None else now
    nights, plan = history.nights(state, max(most, history.LOOKED_AT)), expected.kept(state)
    live, fault = _live(store, channel)
    running = next((night for night in nights if night.outcome == "running"), None)
    silent = 0.0 if running is None else history.silent_s(state, running, moment)
    found = [
        *fault,
        *alerts.of_nights(nights),
        *alerts.drifted(nights),
        *alerts.late(nights),
        *alerts.missed(expected.unfulfilled(plan, nights) if running is None else None, moment, watch),
        *alerts.stuck(running, silent, moment, watch),
        *alerts.old(live.published if live else None, nights, moment, watch),
        *_not_withdrawn(state),
        *_not_recorded(state),
    ]
    return PipelineStatus(moment, channel, live, tuple(nights[:most]), plan, tuple(found))


def _live(uri: str | None, channel: str) -> tuple[LiveVersion | None, list[Alert]]:
    from nightreel.store import channels, withdrawals_file
    from nightreel.store.open import open_store

    try:
        store = open_store(uri)
        pointer = channels.live(store, channel)
        if pointer is None:
            return None, []
        lineage = channels.lineage(store, pointer.digest)
        file = withdrawals_file.read(store, pointer.withdrawals)
    except (UserError, OSError) as error:
        remedy = "Readers that have a version open go on with it. Check the store, its address and its credentials."
        return None, [Alert("store", uri or "", f"the store can't be read: {' '.join(str(error).split())}", remedy)]
    counts = {name: int(file.counts[key]) for name, key in WITHDRAWN.items()} if file else {}
    at = lineage.get("published_at")
    published = datetime.fromisoformat(str(at)).timestamp() if at else None
    return LiveVersion(pointer.digest, lineage.get("label"), published, counts), []


def _not_withdrawn(state: Path) -> list[Alert]:
    """Withdrawals of the last night that were not applied."""
    try:
        said = json.loads((state / "notes" / "withdraw.json").read_text("utf-8"))["warnings"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    remedy = "Correct the source's rows and run `dvc repro withdraw`, or name the ids: nightreel withdraw."
    return [Alert("withdrawals", str(line), str(line), remedy) for line in said]


def _not_recorded(state: Path) -> list[Alert]:
    waiting = outbox.waiting(state)
    if not waiting:
        return []
    runs = "1 run waits" if len(waiting) == 1 else f"{len(waiting)} runs wait"
    text = f"{runs} to be recorded in MLflow."
    return [Alert("record", "", text, "The next run, or `dvc repro record`, tries again.", urgent=False)]


def _iso(moment: float | None) -> str | None:
    return None if moment is None else minute(moment).replace(" ", "T") + "Z"

"""What is wrong with the nights and the live version, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from nightreel.durations import in_words
from nightreel.monitoring.late_log import lag, late_log, until
from nightreel.monitoring.night import Night, minute
from nightreel.settings.watch import Watch

HOUR = 3600.0
DRIFTED = "drifted data"
"""The gate's label of a candidate whose data moved further than evaluate.drift permits."""
VERBS = {"failed": "failed", "stopped": "was stopped", "empty": "had nothing to publish"}


@dataclass(frozen=True)
class Alert:
    """Something that a person should know.

    Attributes:
        kind: `night`, `drift`, `late`, `missed`, `stuck`, `old`, `store`, `withdrawals`, `record` or `settings`.
        key: Tells it from others of its kind: an outcome that lasts keeps its key.
        text: What is wrong.
        remedy: What to do.
        urgent: Whether it is sent as a notification, and `nightreel status` ends with exit code 1.
    """

    kind: str
    key: str
    text: str
    remedy: str
    urgent: bool = True

    @property
    def sentence(self) -> str:
        """What is wrong, as a sentence."""
        return f"{self.text[:1].upper()}{self.text[1:]}"

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


USUAL = Watch(late_minutes=15, longest_hours=12, oldest_hours=50)
"""What holds while params.yaml can't be read."""


def of_settings(fault: str) -> Alert:
    """params.yaml can't be used: no run can begin before it is corrected. fault: what is wrong, in full."""
    what, _, remedy = fault.partition("\n")
    return Alert("settings", "settings", f"the next night can't begin: {what}.", remedy or "Correct params.yaml.")


def of_nights(nights: Sequence[Night]) -> list[Alert]:
    """The alert of the last finished night, if it did not end well.

    Args:
        nights: The latest first.
    """
    last = next((night for night in nights if night.outcome != "running"), None)
    if last is None or last.good:
        return []
    row = bad_in_a_row(nights)
    times = f" It is the last of {row} such nights." if row > 1 else ""
    return [Alert("night", last.id, f"{_happened(last)}{times}", _remedy(last))]


def drifted(nights: Sequence[Night]) -> list[Alert]:
    """That the live version was refitted on data that the gate took for drifted. nights: the latest first."""
    last = next((night for night in nights if night.outcome != "running"), None)
    if last is None or (last.outcome, last.label) != ("refreshed", DRIFTED):
        return []
    return [
        Alert(
            "drift",
            last.id,
            f"the night of {last.day} UTC refitted the live version on drifted data: {last.why}",
            "Look at the newest delivery, and at the drift in `nightreel report`. If it is faulty: nightreel rollback.",
            urgent=False,
        )
    ]


def late(nights: Sequence[Night]) -> list[Alert]:
    """That the newest events were missing on the last night, by what is normal for the source. nights: the latest
    first."""
    found = late_log(nights)
    if found is None:
        return []
    night = found.night
    return [
        Alert(
            "late",
            found.first.id,
            f"the log of the night of {night.day} UTC ends at {minute(until(night))} UTC, {in_words(lag(night))} "
            f"before it; on the last {found.nights} normal nights it was at most {in_words(found.usual)}. The newest "
            "events are probably missing.",
            "Look at what delivers the source. When the events are there, run again: nightreel run.",
        )
    ]


def bad_in_a_row(nights: Sequence[Night]) -> int:
    """How many nights did not end well since the last one that did. nights: the latest first."""
    done = [night for night in nights if night.outcome != "running"]
    return next((number for number, night in enumerate(done) if night.good), len(done))


def missed(due: float | None, now: float, watch: Watch) -> list[Alert]:
    """A night that should have begun and did not. due: when, in epoch seconds; None if none is expected."""
    if due is None or now < due + watch.late_minutes * 60:
        return []
    return [
        Alert(
            "missed",
            f"{due:.0f}",
            f"the night of {minute(due)} UTC has not begun.",
            "Is `nightreel up` running, and is its worker? See .nightreel/logs. To run it now: nightreel run.",
        )
    ]


def stuck(running: Night | None, silent_s: float, now: float, watch: Watch) -> list[Alert]:
    """A night that shows no sign of life, or takes too long."""
    if running is None:
        return []
    took = (now - running.began) / HOUR
    if silent_s >= watch.late_minutes * 60:
        what = f"has done nothing for {silent_s / 60:.0f} minutes"
    elif took >= watch.longest_hours:
        what = f"has been running for {took:.1f} hours"
    else:
        return []
    remedy = "See its log in Prefect, or in its terminal. Cancel it there; the next run continues from finished stages."
    return [Alert("stuck", running.id, f"the night of {running.day} UTC {what}.", remedy)]


def old(published: float | None, nights: Sequence[Night], now: float, watch: Watch) -> list[Alert]:
    """A live version that is too old. published: when it was published, epoch seconds; None if nothing is live."""
    if published is None or now - published < watch.oldest_hours * HOUR:
        return []
    last = next((night for night in nights if night.outcome != "running"), None)
    why = "no night ran on this machine since"
    if last is not None:
        nothing_new = last.outcome == "unchanged"
        why = "the last night found nothing new in the source" if nothing_new else f"the last night {_verb(last)}"
    return [
        Alert(
            "old",
            f"{published:.0f}",
            f"the live version is {(now - published) / HOUR:.0f} hours old: {why}.",
            "See `nightreel nights`. If the source gets no new events, look at what delivers them.",
        )
    ]


def _happened(night: Night) -> str:
    where = f" at {night.failed_stage}" if night.failed_stage else ""
    return f"the night of {night.day} UTC {_verb(night)}{where}: {night.why}"


def _verb(night: Night) -> str:
    return VERBS.get(night.outcome, f"was {night.outcome}")


def _remedy(night: Night) -> str:
    if night.outcome in ("held", "rejected"):
        what = (
            "`nightreel report` shows each rule and its figures; evaluate.override in params.yaml takes a person's "
            "decision."
        )
    elif night.outcome == "empty":
        what = "`nightreel report` shows why; correct the source or the rules."
    elif night.outcome == "stopped":
        what = "Run it again: nightreel run."
    else:
        what = "Correct it and run again (nightreel run): finished stages are kept."
    return f"What is served has not changed. {what}"

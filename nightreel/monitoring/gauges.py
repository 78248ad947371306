"""The status as Prometheus metrics, in a file that node_exporter's textfile collector reads.

A night is a batch job, which nobody scrapes while it runs: so the last look's figures stand in a file.
"""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from nightreel.monitoring.alerts import bad_in_a_row
from nightreel.monitoring.status import PipelineStatus


def write(found: PipelineStatus, path: Path) -> None:
    """Write the metrics at once; who reads the file sees the old or the new ones.

    Args:
        found: The status.
        path: The file; its name must end in `.prom` for node_exporter.
    """
    own = CollectorRegistry()
    done = next((night for night in found.nights if night.outcome != "running"), None)
    _gauge(own, "look_timestamp_seconds", "When the status was taken: alert if it grows old.", found.at)
    _gauge(own, "well", "1 if nothing needs a person.", float(found.well))
    _gauge(own, "bad_nights_in_a_row", "Nights since the last good one.", float(bad_in_a_row(found.nights)))
    _gauge(own, "night_running", "1 while a night runs.", float(found.running is not None))
    if found.live is not None and found.live.published is not None:
        _gauge(own, "live_published_timestamp_seconds", "When the live version was published.", found.live.published)
    if found.plan is not None and found.plan.next is not None:
        _gauge(own, "next_night_timestamp_seconds", "When the next night is planned.", found.plan.next)
    if done is not None:
        last = Gauge("nightreel_last_night", "1 for what came of the last night.", ["outcome"], registry=own)
        last.labels(done.outcome).set(1.0)
        _gauge(own, "last_night_began_timestamp_seconds", "When the last night began.", done.began)
        if done.ended is not None:
            _gauge(own, "last_night_seconds", "How long it took.", done.ended - done.began)
        if done.quality is not None:
            _gauge(own, "last_night_quality", "Its quality, as the gate measured it.", done.quality[0])
    alerts = Gauge("nightreel_alerts", "What is wrong now, by kind.", ["kind", "urgent"], registry=own)
    for alert in found.alerts:
        alerts.labels(alert.kind, str(alert.urgent).lower()).inc()
    write_to_textfile(str(path), own)


def _gauge(registry: CollectorRegistry, name: str, meaning: str, value: float) -> None:
    Gauge(f"nightreel_{name}", meaning, registry=registry).set(value)

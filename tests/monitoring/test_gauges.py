"""The status as metrics: what an alert rule needs, in the form that Prometheus reads."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as parsed

from nightreel.monitoring import gauges
from nightreel.monitoring.status import PipelineStatus
from tests.report.test_night_pages import DAY, THREE, bad_status


def values(path: Path) -> dict[str, float]:
    return {
        f"{sample.name}{''.join(f' {key}={value}' for key, value in sorted(sample.labels.items()))}": sample.value
        for family in parsed(path.read_text("utf-8"))
        for sample in family.samples
    }


def test_every_figure_is_there(tmp_path: Path) -> None:
    gauges.write(bad_status(), tmp_path / "status.prom")
    assert values(tmp_path / "status.prom") == {
        "nightreel_look_timestamp_seconds": THREE + 3600,
        "nightreel_well": 0.0,
        "nightreel_bad_nights_in_a_row": 1.0,
        "nightreel_night_running": 0.0,
        "nightreel_live_published_timestamp_seconds": THREE - DAY,
        "nightreel_next_night_timestamp_seconds": THREE + DAY,
        "nightreel_last_night outcome=failed": 1.0,
        "nightreel_last_night_began_timestamp_seconds": THREE,
        "nightreel_last_night_seconds": 930.0,
        "nightreel_alerts kind=night urgent=true": 1.0,
        "nightreel_alerts kind=record urgent=false": 1.0,
    }


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    gauges.write(PipelineStatus(THREE, "live", None, (), None, ()), tmp_path / "status.prom")
    known = values(tmp_path / "status.prom")
    assert known["nightreel_well"] == 1.0 and not [name for name in known if "live" in name or "last" in name]
    assert [path.name for path in tmp_path.iterdir()] == ["status.prom"], "nothing half-written is left"

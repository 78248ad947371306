"""`nightreel up` beside `run` on a fresh state, behind a proxy; then everything that can be killed while a run is going on.

One story over a small project: each test goes on where the one before left off.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from benchmarks.faults import nights
from benchmarks.faults.night_project import PATIENCE_S, Up, build

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    made = Up(build(tmp_path_factory.mktemp("stopped") / "project"))
    yield made
    if made.process is not None:
        made.end(signal.SIGKILL)


def test_up_and_run_begin_together_on_a_fresh_state_behind_a_proxy(up: Up) -> None:
    assert nights.begin_together(up) == 2


@pytest.mark.parametrize("how", nights.KILLS)
def test_what_was_going_on_is_ended_and_the_next_run_starts(up: Up, how: str) -> None:
    """`up` is killed in a scheduled night, and the next one comes by itself."""
    counts = nights.Counts()
    nights.kill(up, how, counts, next_s=PATIENCE_S)
    assert counts == nights.Counts(kills=1, came=2 if how == "up" else 0)
    assert up.deployment["global_concurrency_limit"]["active_slots"] <= 1
    if how == "worker":
        assert "worker ended by itself and is being restarted" in up.err()


def test_what_a_person_set_in_the_page_stays(up: Up) -> None:
    """Although params.yaml and prefect.yaml changed too, which the deployment follows."""
    for name, old, new in (
        ("params.yaml", "margin: 0.03", "margin: 0.04"),
        ("prefect.yaml", "From last day's logs", "From yesterday's logs"),
    ):
        text = (up.root / name).read_text()
        assert old in text
        (up.root / name).write_text(text.replace(old, new))
    assert nights.stays(up) == 1
    found = up.deployment
    assert found["description"].startswith("From yesterday's logs")
    margin = found["parameter_openapi_schema"]["definitions"]["EvaluateForm"]["properties"]["margin"]
    assert "`0.04`" in margin["description"]
    assert found["parameter_openapi_schema"]["additionalProperties"] is False

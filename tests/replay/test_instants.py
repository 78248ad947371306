"""Steps, and the instants that a log has room for."""

from datetime import UTC, datetime

import pytest

from nightreel.errors import UserError
from nightreel.replay import instants

DAY = 86_400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("step", "seconds"), [("12h", 43_200), ("1d", 86_400), ("7d", 604_800), ("30d", 2_592_000)])
def test_steps(step: str, seconds: int) -> None:
    assert instants.seconds_of(step) == seconds


@pytest.mark.parametrize("step", ["", "0d", "d", "1", "1.5d", "-1d", "1w", "1 day"])
def test_what_is_no_step_is_refused(step: str) -> None:
    with pytest.raises(UserError, match="is not valid"):
        instants.seconds_of(step)


def test_the_latest_nights_end_with_the_log_at_midnight() -> None:
    found = instants.nights(at("2022-04-24T15:05"), at("2022-05-04T23:59"), 3, 86_400, None)
    assert [instants.format_time(night) for night in found] == ["2022-05-02", "2022-05-03", "2022-05-04"]
    found = instants.nights(at("2022-04-24T15:05"), at("2022-05-04T13:20"), 2, 43_200, None)
    assert [instants.format_time(night) for night in found] == ["2022-05-03 14:00", "2022-05-04 02:00"]


def test_all_nights_that_fit_and_one_more() -> None:
    begins, ends = at("2022-04-24T15:05"), at("2022-05-04T23:59")
    assert instants.format_time(instants.nights(begins, ends, 9, 86_400, None)[0]) == "2022-04-26"
    with pytest.raises(
        UserError, match=r"the log is 10\.4 days long \(2022-04-24 15:05 to 2022-05-04 23:59\).*at most 9 fit"
    ):
        instants.nights(begins, ends, 10, 86_400, None)


def test_from() -> None:
    begins, ends = at("2022-04-24T15:05"), at("2022-05-04T23:59")
    found = instants.nights(begins, ends, 2, 86_400, instants.instant_of("2022-04-28T03:00"))
    assert [instants.format_time(night) for night in found] == ["2022-04-28 03:00", "2022-04-29 03:00"]
    assert instants.instant_of("2022-04-28T03:00+02:00") == at("2022-04-28T01:00")
    for first in ("2022-04-25", "2022-05-04T03:00"):  # nothing to tune on before; no whole step after
        with pytest.raises(UserError, match=r"--nights 2: .*a --from between 2022-04-25 15:05 and 2022-05-04"):
            instants.nights(begins, ends, 2, 86_400, instants.instant_of(first))
    with pytest.raises(UserError, match="--from 'soon': is not a valid time"):
        instants.instant_of("soon")

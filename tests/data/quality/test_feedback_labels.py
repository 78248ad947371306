"""Which events count as positive."""

from __future__ import annotations

import pyarrow as pa
import pytest

from nightreel.data.quality.feedback_labels import at_least, in_words, thresholds
from nightreel.settings import params_file
from nightreel.settings.section import SettingsError
from tests.support.datasets import REPOSITORY

WATCHED = [0.02, 0.5, 0.9, None]


def log(shown: int) -> pa.Table:
    """Four watches, and impressions."""
    return pa.table(
        {
            "event": ["watch"] * 4 + ["impression"] * shown,
            "value": pa.array(
                [float("nan") if value is None else value for value in WATCHED + [None] * shown], pa.float32()
            ),
        }
    )


@pytest.mark.parametrize(
    ("shown", "positive"),
    [(0, [False, True, True, True]), (1, [False, True, True, True]), (2, [True] * 4), (9, [True] * 4)],
)
def test_a_short_watch_counts_where_the_log_tells_what_was_shown(shown: int, positive: list[bool]) -> None:
    chosen = params_file.load(REPOSITORY / "params.yaml").validate_
    least = thresholds(log(shown), chosen)
    assert at_least(log(shown), least).tolist() == positive + [False] * shown
    assert in_words(least) == f"play, watch{'' if positive[0] else ' ≥ 0.5'}, like, favorite, share, rating"


def test_a_given_threshold_holds_whatever_the_log_has() -> None:
    chosen = params_file.load(REPOSITORY / "params.yaml").validate_.model_copy(update={"positive": {"watch": 0.7}})
    assert at_least(log(9), thresholds(log(9), chosen)).tolist() == [False, False, True, True] + [False] * 9


def test_only_a_watch_has_an_automatic_threshold() -> None:
    values = params_file.load(REPOSITORY / "params.yaml").model_dump(by_alias=True)
    values["validate"]["positive"]["rating"] = "auto"
    with pytest.raises(SettingsError, match="rating: auto is possible for watch only"):
        params_file.parse(values)

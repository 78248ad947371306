"""Nights that go on from an earlier night's selection: what is kept, what is used of it, and when it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nightreel.bundle.format import digest_of
from nightreel.stage import read_json
from tasks import evaluate, finetune, snapshot, validate
from tests.support.datasets import prepare, workspace, write_dataset
from tests.tasks.second_night.test_warm_nights import CHANGES, embedded, shipped, until

pytestmark = pytest.mark.end_to_end

SETTINGS: dict[str, Any] = CHANGES | {
    "finetune.warm_nights": 0,
    "finetune.search_nights": 6,
    "finetune.time_cuts": 3,
    "finetune.time_cut_users": 10,
    "finetune.members": {
        "popularity": {"half_life_days": [30, 1], "buckets": [8]},
        "ease": {"regularization": [10, 100], "decay": [5], "top_weights": [50], "max_items": [1000]},
    },
    "validate.protocols": "global_time",
    # More users than came back since the first night: tonight's test period is not that time alone.
    "validate.gate_users": 90,
}
GOING_ON = "going on from the selection of the published version's night"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after a published first night; its params.yaml names the second one's source."""
    root = tmp_path_factory.mktemp("nights")
    whole = write_dataset(root / "whole", users=120, events=2400).folder
    folder = prepare(root / "work", until(whole, 0.95, root / "first"), SETTINGS)
    with workspace(folder):
        embedded()
        shipped()
        params = Path("params.yaml")
        params.write_text(params.read_text().replace(str(root / "first"), str(whole)))
    return folder


def kept(folder: Path = Path("data/finetune")) -> dict[str, Any]:
    found: dict[str, Any] = read_json(folder / "warm/global_time/selection/selection.json")
    return found


def test_the_second_night_trains_at_its_newest_cut_alone(nights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with workspace(nights):
        first = kept()
        assert first["nights"] == 0 and len(first["cuts"]) == 3
        snapshot.main()
        validate.main()
        capsys.readouterr()
        finetune.main()
        told, second = capsys.readouterr().out, kept()
        assert GOING_ON + " (1 in a row)" in told and "validation cut 1 of 1" in told
        assert second["nights"] == 1 and second["members"] == first["members"]
        assert second["cuts"][0] in first["cuts"] and second["cuts"][-1][1] > first["cuts"][-1][1]
        columns = pq.read_schema(
            f"data/finetune/warm/global_time/selection/scores{len(second['cuts']) - 1}.parquet"
        ).names
        assert {"user_id", "popularity", "ease"} <= set(columns)
        digest = digest_of(Path("data/finetune/candidate"))
        finetune.main()
        assert digest_of(Path("data/finetune/candidate")) == digest
        evaluate.main()
        told = capsys.readouterr().out
        assert "retraining the champion's choices on global_time; 2 of its 2 models are the candidate's" in told


@pytest.mark.parametrize("change", ["erased", "setting", "off"])
def test_everything_is_selected_anew_where_the_earlier_selection_may_not_be_used(
    nights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    reasons = {
        "erased": "the earlier selection was learned from 1 users",
        "setting": "the earlier selection is of other facts: settings",
        "off": "",
    }
    with workspace(nights):
        text = Path("params.yaml").read_text()
        source = Path(next(line.split(": ", 1)[1] for line in text.splitlines() if line.strip().startswith("source:")))
        try:
            if change == "erased":
                events = pq.read_table(source / "events.parquet")
                gone = pc.not_equal(events["user_id"], events["user_id"][0])
                (tmp_path / "source").mkdir()
                pq.write_table(events.filter(gone), tmp_path / "source/events.parquet")
                pq.write_table(pq.read_table(source / "items.parquet"), tmp_path / "source/items.parquet")
                Path("params.yaml").write_text(text.replace(str(source), str(tmp_path / "source")))
            elif change == "setting":
                Path("params.yaml").write_text(text.replace("negatives: 50", "negatives: 40"))
            else:
                Path("params.yaml").write_text(text.replace("search_nights: 6", "search_nights: 0"))
            snapshot.main()
            validate.main()
            capsys.readouterr()
            finetune.main()
            told = capsys.readouterr().out
            assert GOING_ON not in told and "validation cut 3 of 3" in told
            assert reasons[change] in told
        finally:
            Path("params.yaml").write_text(text)

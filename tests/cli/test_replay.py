"""A replay's plan, its mistakes told in one message, and what it prints."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from nightreel.cli.replay_view import ReplayView, lines, of_new_items, of_the_gate, of_troubles, rankers
from nightreel.data.privacy import pseudonym
from nightreel.errors import UserError
from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.segments.item_reach import ROWS
from nightreel.evaluation.segments.reach_curve import ReachPoint
from nightreel.replay import plan as replay_plan
from nightreel.replay import result_files
from nightreel.replay.night_scores import RANKERS
from nightreel.replay.paired import Overall
from nightreel.replay.plan import ReplayOptions
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from nightreel.store.withdrawals_file import Withdrawals
from tests.orchestration.nights.written import erase
from tests.support import datasets
from tests.support.bundles import lineage, write_bundle

WISHES = ReplayOptions("", 3, "7d", None, None, ())


@pytest.fixture
def wish(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ReplayOptions]:
    """Options over a planted log of 60 days, in a checkout."""
    monkeypatch.chdir(toy)
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "live"))
    monkeypatch.delenv("NIGHTREEL_PSEUDONYM_KEY", raising=False)
    planted = datasets.write_dataset(tmp_path / "log", users=20, items=20, events=300)
    return lambda **changes: replace(WISHES, **{"source": str(planted.folder), "state": tmp_path / "kept", **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"step": "1w"}, r"--step '1w': is not valid. Give whole hours or days"),
        ({"first": "tomorrow"}, r"--from 'tomorrow': is not a valid time"),
        (
            {"nights": 9},
            r"--nights 9: the log is .* days long .*, too short for 9 nights 7 days apart.* at most 6 fit",
        ),
        ({"settings": ("finetune.sed=1",)}, r"finetune.sed: no such setting"),
        ({"settings": ("snapshot.source=x",)}, r"give the source as the argument"),
        ({"script": Path("none.yaml")}, r"--script none.yaml: can't be read"),
        ({"publish": "live"}, r"--publish live: past nights would replace what users are served.*--into-live"),
        ({"publish": "No Name"}, r"'No Name': not a valid channel name"),
        ({"into_live": True}, r"--into-live: belongs to --publish live"),
        ({"publish": "past", "script": Path("none.yaml")}, r"--publish: nights with trouble"),
        ({"source": "nowhere"}, r"snapshot.source 'nowhere': folder not found"),
    ],
)
def test_a_mistake_is_told_and_leaves_nothing_behind(
    wish: Callable[..., ReplayOptions], tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        replay_plan.make(wish(**changes))
    assert not (tmp_path / "kept" / "replay.json").exists()


def test_a_script_belongs_to_the_replay(wish: Callable[..., ReplayOptions], tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("nights:\n  - {night: 4, troubles: [{kind: no night}]}\n")
    with pytest.raises(UserError, match=r"script.yaml: night 4: the replay has 3 nights"):
        replay_plan.make(wish(script=path))
    assert not (tmp_path / "kept" / "replay.json").exists()
    path.write_text("nights:\n  - {night: 3, troubles: [{kind: no night}]}\n")
    plan = replay_plan.make(wish(script=path))
    assert plan.script is not None and plan.script.on(3) is not None
    with pytest.raises(UserError, match="holds a replay with another script"):
        replay_plan.make(wish())


def test_an_order_can_not_be_replayed(wish: Callable[..., ReplayOptions], tmp_path: Path) -> None:
    planted = datasets.write_dataset(tmp_path / "order", users=20, items=20, events=300, clock="order")
    with pytest.raises(UserError, match="`timestamp` is a position"):
        replay_plan.make(wish(source=str(planted.folder)))


def test_a_folder_holds_one_replay(wish: Callable[..., ReplayOptions], tmp_path: Path) -> None:
    plan = replay_plan.make(wish())
    assert len(plan.nights) == 3 and plan.nights[1] - plan.nights[0] == plan.step_s == 7 * 86_400
    assert plan.place.state == tmp_path / "kept" / "state" and plan.changes["snapshot.source"] == str(plan.cut)
    assert replay_plan.make(wish()).nights == plan.nights, "the same goes on"
    begin = datetime.fromtimestamp(plan.nights[0], UTC).isoformat()
    assert replay_plan.make(wish(first=begin, nights=2)).nights == plan.nights[:2], "and so does a shorter one"
    for changes in ({"step": "1d"}, {"settings": ("finetune.seed=7",)}, {"first_recipe": True}):
        with pytest.raises(UserError, match=r"holds a replay with another .*Give --state another folder, or delete"):
            replay_plan.make(wish(**changes))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").touch()
    with pytest.raises(UserError, match="is not empty, and holds no replay"):
        replay_plan.make(wish(state=tmp_path / "taken"))


def test_by_default_it_lives_below_the_state_directory_by_what_it_is(
    wish: Callable[..., ReplayOptions], tmp_path: Path
) -> None:
    folders = {
        replay_plan.make(wish(state=None, **changes)).folder
        for changes in ({}, {}, {"step": "1d"}, {"settings": ("finetune.seed=7",)})
    }
    assert len(folders) == 3 and {folder.parent for folder in folders} == {tmp_path / "live" / "replays"}


def test_the_key_is_that_of_the_checkout_and_nothing_leads_to_the_live_store(
    wish: Callable[..., ReplayOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "pseudonym.key").write_text("cd" * 32 + "\n")
    (tmp_path / "live" / "pseudonym.key").chmod(0o600)
    monkeypatch.setenv("NIGHTREEL_STORE", "s3://live")
    plan = replay_plan.make(wish())
    own = plan.place.state / "pseudonym.key"
    assert own.read_text().strip() == "cd" * 32 and own.stat().st_mode & 0o777 == 0o600
    with replay_plan.away_from_the_live():
        assert "NIGHTREEL_STORE" not in os.environ
    assert os.environ["NIGHTREEL_STORE"] == "s3://live"


def test_a_backfill_goes_into_a_channel_of_its_own(
    wish: Callable[..., ReplayOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path / "store")
    monkeypatch.setenv("NIGHTREEL_STORE", store.uri)
    write_bundle(tmp_path / "bundle")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    plan = replay_plan.make(wish(publish="past"))
    assert (plan.store, plan.settings.snapshot.channel) == (store.uri, "past")
    assert plan.changes["snapshot.channel"] == "past"
    with pytest.raises(UserError, match="holds a replay with another settings and publish"):
        replay_plan.make(wish())
    publish(store, tmp_path / "bundle", channel="past", champion=None, lineage=lineage("r"))
    assert replay_plan.make(wish(publish="past")).store == store.uri, "this replay may have published that"
    with pytest.raises(UserError, match=r"channel past of .* has version .* already, and not from this replay"):
        replay_plan.make(wish(publish="past", state=tmp_path / "another"))
    live = replay_plan.make(wish(publish="live", into_live=True, state=tmp_path / "third"))
    assert live.settings.snapshot.channel == "live"


def test_who_is_erased_by_now_is_erased_on_every_night_of_a_backfill(
    wish: Callable[..., ReplayOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, key = LocalStore(tmp_path / "store"), b"cd" * 32
    monkeypatch.setenv("NIGHTREEL_STORE", store.uri)
    monkeypatch.setenv("NIGHTREEL_PSEUDONYM_KEY", key.decode())
    write_bundle(tmp_path / "bundle", key=key)
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    erase(store, "live", Withdrawals(erased=(pseudonym(key, "u003"),)))
    late = pa.table({"user_id": ["u005"], "requested_at": [datetime(2030, 1, 1, tzinfo=UTC)]})
    pq.write_table(late, tmp_path / "log" / "erasures.parquet")

    def erased(**changes: Any) -> set[str]:
        plan = replay_plan.make(wish(**changes))
        tables = plan.log.delivered(plan.nights[0])
        return {
            user for path, each in tables.items() if path.startswith("erasures") for user in each["user_id"].to_pylist()
        }

    assert erased() == set()
    assert erased(publish="past", state=tmp_path / "past") == {"u003", "u005"}


def row(night: str, **changes: Any) -> dict[str, Any]:
    figures = dict.fromkeys(result_files.MEANS, 0.1)
    return {
        "night": f"{night}T00:00:00Z", "until": f"{night}T12:00:00Z", "events": 10, "decision": "promote",
        "label": "better", "reason": "promote (better): NDCG@10 +9%", "error": None, "published": True,
        "published_label": "better", "version": "ab" * 32, "served_label": "better", "since": f"{night}T00:00:00Z",
        "users": 5, "newcomers": 2, "half_life_days": None, "ease_half_life_days": 7.0, "ease_regularisation": 100.0,
        "ease_decay": 10.0, "ease_weight": 1.0, "seconds": 60.4, "judging_seconds": 2.0, "code": "c", **figures, **changes,
    }  # fmt: skip


def test_what_is_printed(wish: Callable[..., ReplayOptions]) -> None:
    plan = replay_plan.make(wish())
    rows = [
        row("2024-02-01"),
        row("2024-02-08", decision="reject", label="worse", published_label="refreshed", version="cd" * 32),
        row("2024-02-15", decision="failed", label=None, published_label=None, error="no", reason="validate: no",
            version="cd" * 32, since="2024-02-08T00:00:00Z", nightreel=None),
    ]  # fmt: skip
    means = {name: Interval(0.1, 0.09, 0.11) for name in RANKERS}
    gaps = {"popularity": Interval(0.02, 0.01, 0.03), "ease_popularity": Interval(-0.01, -0.03, 0.01)}
    gaps["first_recipe"] = Interval(-0.02, -0.03, -0.01)
    screen, text = ReplayView(as_json=False), io.StringIO()
    screen.console = Console(file=text, width=80)
    screen.begin(plan)
    for number, each in enumerate(rows, 1):
        screen.night(each, number)
    points = [ReachPoint(0, 1234, 12345, 2345, 12000, 1999.5, Interval(0.5, 0.4, 0.6), 0.02, 0.1)]
    points.append(ReachPoint(50, 2, 8, 3, 0, 0.0, None, 0.02, 0.1))
    screen.end(plan, rows, Overall(3, 7, 15, means, gaps, points))
    told = text.getvalue()
    for said in (
        "each scored on the 7 days after it", "promote (better)\n", "reject (worse), refreshed",
        "serving abababab since this night", "serving cdcdcdcd since 2024-02-08",
        "NDCG@10 over 5 users (2 without a history): nightreel –, popularity 0.1000",
        "nightreel against popularity: +0.0200 (+20.0%), 95% +0.0100 to +0.0300: better",
        "0  1,234  12,345    2,345   1,999.5  0.50 [0.40, 0.60]    2.0%", "50+      2       8        3       0.0",
        "95% -0.0300 to +0.0100: no significant difference", "first recipe 0.1000",
        "nightreel against first recipe: -0.0200 (-20.0%), 95% -0.0300 to -0.0100: worse", "Failed: 2024-02-15", str(plan.folder),
    ):  # fmt: skip
        assert said in told, told
    assert "…" not in told.split("NDCG@10 on the step")[1].split("nightreel against")[0], "the table fits 80 columns"
    assert lines(rows[:1], None) == ["No night published a version, so there is nothing to compare."]
    plain = {name: value for name, value in row("2024-02-01").items() if "first_recipe" not in name}
    assert rankers([plain]) == ["nightreel", "popularity", "ease_popularity"], "without the option there is no column"
    assert "code changed" in "".join(lines([rows[0], row("2024-02-08", code="d")], None))


def test_the_tables_have_a_row_a_night(wish: Callable[..., ReplayOptions]) -> None:
    plan = replay_plan.make(wish())
    found = [row("2024-02-01"), row("2024-02-08", version=None, since=None, nightreel=None)]
    for night, served in zip(plan.nights[:2], ([0.1, 0.3], [None, None]), strict=True):
        plan.of(night).mkdir(parents=True)
        judged = {"night": [datetime.fromtimestamp(night, UTC)] * 2, "user_id": ["a", "b"]}
        judged |= {"nightreel": pa.array(served, pa.float64()), "popularity": [0.1, 0.1], "ease_popularity": [0.1, 0.2]}
        pq.write_table(pa.table(judged), plan.of(night) / "judged.parquet")
    reach = [("n", "i000", True, 0, 2, 1, 2, 1, 1), ("n", "i001", False, 9, 2, 1, 2, 2, 2)]
    columns = zip(zip(*reach, strict=True), ROWS, strict=True)
    pq.write_table(
        pa.table([pa.array(cells, kind.type) for cells, kind in columns], schema=ROWS),
        plan.of(plan.nights[0]) / "item_reach.parquet",
    )
    overall = result_files.write(plan, found)
    assert overall is not None and [(point.wanted, point.reached) for point in overall.new_items] == [(2, 1)]
    assert overall.new_items[0].expected == 2.0 and json.loads(json.dumps(result_files.as_json(overall)))["new_items"]
    assert pq.read_table(plan.folder / "item_reach.parquet").num_rows == 2
    nights = pq.read_table(plan.folder / "nights.parquet")
    assert nights.schema.equals(result_files.NIGHTS)
    assert nights["since"].to_pylist() == [datetime(2024, 2, 1, tzinfo=UTC), None]
    assert nights["half_life_days"].null_count == 2 and nights["nightreel"].to_pylist() == [0.1, None]
    assert pq.read_table(plan.folder / "judged.parquet").num_rows == 4
    assert json.loads(json.dumps(found)) == found
    page = (plan.folder / result_files.PAGE).read_text("utf-8")
    assert "Too few new items were taken to compare them" in page and "0: 1/2" in page
    assert "2 nights, 2024-02-01 to 2024-02-08" in page and "0.2000" in page, "the mean of the night that was served"


def test_new_items_are_concluded_in_a_sentence() -> None:
    some = {"new_wanted": 50, "new_reached": 4, "new_by_content": 6, "new_places": 0.02}
    none = dict.fromkeys(some) | {"new_wanted": 9}
    (said,) = of_new_items([row("2024-02-01", **none), row("2024-02-08", **some), row("2024-02-15", **some)])
    assert "of 100 that people took, 8 were among the first 20 of their lists (by content alone: 12)" in said
    assert "2.0% of these places" in said
    assert of_new_items([row("2024-02-01")]) == of_new_items([row("2024-02-01", **(some | {"new_wanted": 0}))]) == []


def test_a_script_is_concluded_in_two_sentences() -> None:
    fine = {"troubles": ["bot"], "expected": ["promoted"], "unnamed": [], "as_expected": True, "silent": False}
    fine |= {"outcome": "promoted", "lost_rows": 0, "came_back": 0, "lost_versions": 0}
    wrong = fine | {
        "outcome": "failed",
        "expected": ["held"],
        "unnamed": ["x.csv"],
        "as_expected": False,
        "lost_rows": 7,
    }
    assert of_troubles([row("2024-02-01")]) == []
    assert of_troubles([row("2024-02-01", **fine)])[0] == "Every night was as the script expects."
    other, lost = of_troubles([row("2024-02-01", **fine), row("2024-02-08", **wrong)])
    assert "2024-02-08 (failed, expected held; not named: x.csv)" in other
    assert lost.startswith("Silent: 0 nights. Lost: 7 rows, 0 withdrawn items or users that came back, 0 versions.")


def test_nights_that_replaced_a_better_version_are_named() -> None:
    worse = {"gained": -0.01, "gained_low": -0.02, "gained_high": -0.005}
    equal = worse | {"gained_high": 0.01}
    better = {"gained": 0.01, "gained_low": 0.005, "gained_high": 0.02}
    rows = [row(f"2024-02-0{day}", **own) for day, own in enumerate([better, worse, equal, {"gained": None}], 1)]
    (said,) = of_the_gate(rows)
    assert said.startswith(
        "Of 3 versions that replaced another one, 1 were surely better than it on the step after, 1 "
    )
    assert "surely worse (2024-02-02" in said and said.endswith("NDCG@10 -0.0033.")
    assert of_the_gate([row("2024-02-01")]) == []


def test_held_candidates_that_were_better_are_named() -> None:
    fields = ("held_gained", "held_gained_low", "held_gained_high")
    ends = [(0.01, 0.005, 0.02), (-0.02, -0.03, -0.01), (0.0, -0.01, 0.01), (None, None, None)]
    rows = [row(f"2024-02-0{day}", **dict(zip(fields, each, strict=True))) for day, each in enumerate(ends, 1)]
    (said,) = of_the_gate(rows)
    assert said.startswith("Of 3 candidates that were not published, 1 were surely worse on the step after than what")
    assert "1 surely better (2024-02-01" in said and said.endswith("NDCG@10 -0.0033.")

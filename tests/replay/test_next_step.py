"""Who is judged on the step after a night, by what, and how: fractions worked out by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.histories import Histories
from nightreel.data.ingest.file_formats import raw_columns
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.quality.type_tables import Loaded, load
from nightreel.reader.reader import Reader
from nightreel.replay import baselines, night_scores, paired
from nightreel.replay.new_items import NewItems
from nightreel.replay.next_step import EventLog, meetings, ndcg, recommended, step_after
from tests.support import bundles
from tests.support.settings import settings
from tests.support.small_bundle import write_bundle

ITEMS = list("abcdefghijkl")
NIGHT, DAY = datetime(2024, 1, 10, tzinfo=UTC).timestamp(), 86_400.0


def log(
    rows: list[tuple[Any, ...]],
    erasures: list[tuple[str, str]] | None = None,
    ids: list[str] = ITEMS,
    **columns: list[str],
) -> EventLog:
    """Rows: (user, item, hours from the night, event, value)."""
    stamps = [str(int(NIGHT + hours * 3600)) for _, _, hours, *_ in rows]
    full = [(*row, *("play", "")[len(row) - 3 :]) for row in rows]
    events = {
        name: [str(row[at]) for row in full]
        for name, at in {"user_id": 0, "item_id": 1, "event": 3, "value": 4}.items()
    }
    items = {"item_id": ids, "title": [each.upper() for each in ids], **columns}
    tables = {"items": items, "events": events | {"timestamp": stamps}}
    if erasures:
        tables["erasures"] = {"user_id": [u for u, _ in erasures], "requested_at": [at for _, at in erasures]}
    loaded: Loaded = load(
        [Raw(name, *raw_columns(f"{name}.csv", cells)) for name, cells in tables.items()], "time", None
    )
    return meetings(loaded, settings().validate_, private=False)


def named(found: EventLog, items: Any) -> list[str]:
    return [found.item_ids[int(item)].as_py() for item in items if item >= 0]


def test_only_what_is_new_to_a_user_is_wanted_and_the_history_ends_before_the_step() -> None:
    found = log([
        ("ann", "a", -30, "watch", 0.9), ("ann", "b", -20, "impression"), ("ann", "c", -10, "watch", 0.1),  # c: met, not liked
        ("ann", "", 1, "search"), ("ann", "a", 2), ("ann", "b", 3), ("ann", "c", 4), ("ann", "d", 5), ("ann", "d", 6),
        ("bob", "a", -1), ("bob", "a", 5),  # nothing new
        ("cyd", "e", 23), ("cyd", "f", 24),  # a newcomer; 24 h is the next step
        ("dan", "a", -5), ("dan", "b", 1, "watch", 0.2),  # nothing positive
    ])  # fmt: skip
    step = step_after(found, NIGHT, NIGHT + DAY, exclude_seen=True)
    assert [found.user_ids[user] for user in step.users] == ["ann", "cyd"]
    assert named(found, step.past[0][0]) == ["a"] and named(found, step.met[0][0]) == ["a", "c"]
    assert (step.moments - NIGHT).tolist() == [1 * 3600, 23 * 3600], "the first event of any kind"
    assert step.truth.counts.tolist() == [2, 1] and named(found, step.truth.keys % found.n_items) == ["b", "d", "e"]
    assert step.newcomers.tolist() == [False, True]
    # Where lists may repeat, a return counts as well.
    step = step_after(found, NIGHT, NIGHT + DAY, exclude_seen=False)
    assert [found.user_ids[user] for user in step.users] == ["ann", "bob", "cyd"]
    assert step.truth.counts.tolist() == [4, 1, 1]


def test_ndcg_by_hand() -> None:
    found = log([("ann", "a", -1), ("ann", "b", 1), ("ann", "c", 2), ("bob", "d", 1)])
    step = step_after(found, NIGHT, NIGHT + DAY, exclude_seen=True)
    number = {each: at for at, each in enumerate(found.item_ids.to_pylist())}
    lists = np.full((2, 10), -1, np.int32)
    lists[0, :3] = number["e"], number["c"], number["f"]  # of b and c, c stands second
    assert ndcg(lists, step).tolist() == pytest.approx([(1 / log2(3)) / (1 + 1 / log2(3)), 0.0])
    lists[1, 9] = number["d"]
    assert ndcg(lists, step)[1] == pytest.approx(1 / log2(11))


def test_whoever_is_erased_by_the_night_is_not_judged_and_not_learned_from() -> None:
    rows = [("ann", "a", -30), ("ann", "b", 1), ("bob", "a", -30), ("bob", "b", 1), ("cyd", "a", -30), ("cyd", "b", 1)]
    found = log(rows, [("ann", "2024-01-09"), ("bob", "2024-01-10T12:00"), ("nobody", "2024-01-01")])
    step = step_after(found, NIGHT, NIGHT + DAY, exclude_seen=True)
    assert [found.user_ids[user] for user in step.users] == ["bob", "cyd"]
    assert found.positives_before(NIGHT).lengths.tolist() == [0, 1, 1]
    assert found.positives_before(NIGHT + DAY).lengths.tolist() == [0, 0, 2]


def test_popularity_counts_by_age() -> None:
    found = log([("ann", "a", -48), ("bob", "a", -48), ("cyd", "b", -24), ("dan", "c", 1)])
    counts = baselines.popularity(found.positives_before(NIGHT), NIGHT, 1.0, found.n_items)
    assert counts[:3].tolist() == pytest.approx([2 / 4, 1 / 2, 0])
    assert baselines.share(counts)[0] == 1.0
    everything = baselines.popularity(found.positives_before(NIGHT), NIGHT, np.inf, found.n_items)
    assert everything[:3].tolist() == [2, 1, 0]


def test_the_baselines_show_neither_what_was_met_nor_what_is_blocked_or_not_out_yet() -> None:
    blocked = ["true" if each == "b" else "" for each in ITEMS]
    out = ["2024-01-11" if each == "c" else "" for each in ITEMS]
    gone = ["2024-01-09" if each == "d" else "" for each in ITEMS]
    rows = [(user, item, -20) for user in ("u1", "u2", "u3") for item in "abcdef"]
    found = log([*rows, ("ann", "e", -3), ("ann", "g", 1)], blocked=blocked, published_at=out, expires_at=gone)
    step = step_after(found, NIGHT, NIGHT + DAY, exclude_seen=True)
    counts = baselines.popularity(found.positives_before(NIGHT), NIGHT, 7.0, found.n_items)
    assert named(found, baselines.by_popularity(counts, step, found.hidden(NIGHT))[0]) == list("afghijkl")


def test_ease_by_hand() -> None:
    # Two items, taken together by two of three users: G = [[2, 2], [2, 3]], λ = 1, P = inv([[3, 2], [2, 4]]).
    found = log([("u1", "a", -9), ("u1", "b", -8), ("u2", "a", -9), ("u2", "b", -8), ("u3", "b", -7), ("u4", "a", 1)])
    train = found.positives_before(NIGHT)
    model = baselines.RecentEase.fit(train, 1.0, found.n_items)
    p = np.linalg.inv(np.array([[3.0, 2.0], [2.0, 4.0]]))
    assert model.active.tolist() == [0, 1]
    assert model.weights.ravel().tolist() == pytest.approx([0, -p[0, 1] / p[1, 1], -p[1, 0] / p[0, 0], 0])
    assert model.score(train.take([2]), 10.0)[0, :3].tolist() == [1.0, 0.0, 0.0], "over the row's maximum"


def test_the_settings_are_tuned_on_the_step_before_and_never_on_the_judged_one() -> None:
    # Until two days ago everybody took a; the day before the night all took b, c, …: a short half-life is right.
    old = [(f"o{n}", "a", -96 - n / 9) for n in range(9)]
    recent = [(f"r{n}", "b", -26 - n / 9) for n in range(3)]
    day_before = [(f"t{n}", "b", -20) for n in range(6)]
    rows = [*old, *recent, *day_before]
    judged = [(f"j{n}", "a", 2) for n in range(6)]
    one = night_scores.score_night(log([*rows, *judged]), NIGHT, DAY, None)
    other = night_scores.score_night(log([*rows, *((user, "c", at) for user, _, at in judged)]), NIGHT, DAY, None)
    assert one.half_life == other.half_life == 1.0, "the longest that puts b before a"
    assert one.chosen == other.chosen
    # By then nine of b outweigh nine of a: a is second.
    assert one.figures["popularity"].tolist() == pytest.approx([1 / log2(3)] * 6)
    assert one.means()["nightreel"] is None and one.means()["popularity_known"] is None


def test_places_counted_while_tuning_are_those_of_the_lists() -> None:
    rng = np.random.default_rng(3)
    rows = [(f"u{rng.integers(30)}", ITEMS[rng.integers(12)], -float(rng.uniform(1, 90))) for _ in range(150)]
    rows += [(f"u{rng.integers(40)}", ITEMS[rng.integers(12)], float(rng.uniform(0, 23))) for _ in range(80)]
    found = log(rows)
    step, train = step_after(found, NIGHT, NIGHT + DAY, exclude_seen=True), found.positives_before(NIGHT)
    trial = baselines.TuningStep(train, step, found.hidden(NIGHT))
    counts = np.floor(baselines.popularity(train, NIGHT, 2.0, found.n_items))  # with ties
    figure = trial.figure(np.tile(counts[trial.items].astype(np.float32), (len(step), 1)))
    lists = baselines.by_popularity(counts, step, found.hidden(NIGHT))
    assert len(step) > 10 and figure == pytest.approx(ndcg(lists, step).mean())


def judged_rows(nights: list[dict[str, tuple[float, ...]]]) -> pa.Table:
    """Figures in the order of RANKERS; the last may be missing."""
    rows = [
        {"night": night, "user_id": user, **dict(zip(night_scores.RANKERS, figures, strict=False))}
        for night, users in enumerate(nights)
        for user, figures in users.items()
    ]
    return pa.Table.from_pylist(rows)


def test_each_night_counts_alike_and_the_difference_is_paired() -> None:
    first = {f"u{n}": (n / 10 + 0.1, n / 10, 0.5) for n in range(5)}  # means 0.3, 0.2, 0.5
    second: dict[str, tuple[float, ...]] = {"u0": (0.8, 0.7, 0.5)}
    found = paired.overall(judged_rows([first, second]))
    assert found is not None and (found.nights, found.users, found.rows) == (2, 5, 6)
    assert found.means["nightreel"].point == pytest.approx((0.3 + 0.8) / 2)
    assert found.means["popularity"].point == pytest.approx((0.2 + 0.7) / 2)
    gap = found.differences["popularity"]
    assert (gap.point, gap.low, gap.high) == pytest.approx((0.1, 0.1, 0.1)), "every user gains a tenth"
    other = found.differences["ease_popularity"]
    assert other.low < other.point < other.high
    assert "first_recipe" not in found.means | found.differences, "it was not wanted"
    both = [{user: (*figures, figures[0] - 0.05) for user, figures in night.items()} for night in (first, second)]
    walked = paired.overall(judged_rows(both))
    assert walked is not None and walked.differences["popularity"] == gap
    uphill = walked.differences["first_recipe"]
    assert (uphill.point, uphill.low, uphill.high) == pytest.approx((0.05, 0.05, 0.05))


def test_nights_on_which_nothing_was_served_are_left_out() -> None:
    nan = float("nan")
    rows = judged_rows([{"u0": (nan, 0.9, 0.9)}, {"u0": (0.2, 0.1, 0.1), "u1": (0.4, 0.1, 0.1)}])
    served = rows.set_column(2, "nightreel", pa.array(rows["nightreel"].to_numpy(), from_pandas=True))
    found = paired.overall(served)
    assert found is not None and found.nights == 1 and found.means["popularity"].point == pytest.approx(0.1)
    assert paired.overall(served.slice(0, 1)) is None


def test_settings_of_the_project_make_the_labels(tmp_path: Path) -> None:
    found = log([("ann", "a", -1, "watch", 0.4), ("ann", "b", -1, "watch", 0.6), ("ann", "c", -1, "dislike")])
    assert named(found, found.item[found.positive]) == ["b"] and named(found, found.item[found.met]) == ["a", "b", "c"]


def test_the_served_version_is_asked_with_the_history_of_that_instant(tmp_path: Path) -> None:
    # The version knows c, b and a (most used last), and neither l nor what ann did since.
    takers = {"c": 1, "b": 2, "a": 3}
    times = [NIGHT - 4 * DAY] * sum(takers.values())
    taken = [at for at, each in enumerate(takers) for _ in range(takers[each])]
    users = [f"v{n}" for n in range(len(taken))]
    learnt = Histories.from_events(range(len(taken)), taken, times, len(taken))
    write_bundle(tmp_path / "bundle", list(takers), users, learnt)
    reader = Reader.open_bundle(tmp_path / "bundle")
    found = log([("ann", "a", -1), ("ann", "l", 1), ("ann", "b", 2), ("new", "b", 3)])
    step = step_after(found, NIGHT, NIGHT + DAY, exclude_seen=True)
    lists = recommended(reader, step, found.item_ids)
    assert named(found, lists[0]) == ["b", "c"] and named(found, lists[1]) == ["a", "b", "c"]
    judged = night_scores.score_night(found, NIGHT, DAY, reader)
    # Of b and l, which it does not know, ann is shown b first; the newcomer's b stands second.
    assert judged.figures["nightreel"].tolist() == pytest.approx([1 / (1 + 1 / log2(3)), 1 / log2(3)])
    # Before the night, nobody had taken b, c and l: three wishes, of which b was shown to both, in four of five places.
    assert judged.new == NewItems(3, 2, None, 4 / 5)
    # l, which nobody had taken before, was taken by ann and not shown to her; b was reached twice, by who took two and one.
    assert judged.reach is not None
    reached = [(row["item_id"], row["new"], row["events"], row["took"], row["wanted"], row["reached"], row["shown"])
               for row in judged.reach.to_pylist()]  # fmt: skip
    assert reached == [
        ("a", False, 1, 1, 0, 0, 1), ("b", True, 0, 1, 1, 1, 1), ("b", True, 0, 2, 1, 1, 1),
        ("c", True, 0, 1, 0, 0, 1), ("c", True, 0, 2, 0, 0, 1), ("l", True, 0, 2, 1, 0, 0),
    ]  # fmt: skip
    first = night_scores.score_night(found, NIGHT, DAY, reader, first=NIGHT - DAY).reach
    assert first is not None and first["new"].to_pylist() == [True] * 6, "a was new on the first night"
    assert first["events"].to_pylist() == [1, 0, 0, 0, 0, 0]
    means = judged.means()
    assert means["nightreel_known"] == pytest.approx(1 / (1 + 1 / log2(3))) and means[
        "nightreel_newcomers"
    ] == pytest.approx(1 / log2(3))
    assert set(judged.gate().values()) == {None}, "it replaced no version"
    again = night_scores.score_night(found, NIGHT, DAY, reader, reader)
    own = means["nightreel"]
    assert again.gate() == {"before": pytest.approx(own), "gained": 0.0, "gained_low": 0.0, "gained_high": 0.0}
    assert "first_recipe" not in again.means() and set(again.held().values()) == {None}, "neither is wanted"
    row = judged.rows(found, NIGHT).to_pylist()[0]
    assert (row["user_id"], row["wanted"], row["newcomer"]) == ("ann", 2, False)
    assert row["arrived"].timestamp() == NIGHT + 3600 and row["night"].timestamp() == NIGHT


def test_what_might_have_been_served_is_judged_on_the_same_users(tmp_path: Path) -> None:
    # The version served has learned that a is most taken, the other one that b is.
    readers = {}
    for name, takers in (("served", {"b": 1, "a": 2}), ("other", {"a": 1, "b": 2})):
        taken = [at for at, each in enumerate(takers) for _ in range(takers[each])]
        learnt = Histories.from_events(range(3), taken, [NIGHT - 4 * DAY] * 3, 3)
        write_bundle(tmp_path / name, list(takers), ["v0", "v1", "v2"], learnt)
        readers[name] = Reader.open_bundle(tmp_path / name)
    found = log([("ann", "b", 1), ("bob", "b", 2)])
    others = {night_scores.FIRST_RECIPE: readers["served"], night_scores.HELD: readers["other"]}
    judged = night_scores.score_night(found, NIGHT, DAY, readers["served"], None, others)
    means = judged.means()
    assert means["first_recipe"] == means["nightreel"] == pytest.approx(1 / log2(3))
    gained = pytest.approx(1 - 1 / log2(3))
    assert judged.held() == {
        "held_candidate": pytest.approx(1.0), "held_gained": gained, "held_gained_low": gained,
        "held_gained_high": gained,
    }  # fmt: skip
    assert {"first_recipe", "held_candidate"} <= set(judged.rows(found, NIGHT).column_names)


def test_rights_go_by_the_instant_at_which_a_user_came(tmp_path: Path) -> None:
    # i000 expires at noon, i002 comes out then; both have been in the version since the night, far from this machine's now.
    noon = NIGHT + DAY / 2
    bundles.write_bundle(tmp_path / "bundle", expires={0: noon}, published={2: noon})
    reader = Reader.open_bundle(tmp_path / "bundle")
    found = log(
        [("early", "i001", 11), ("late", "i001", 13), ("again", "i001", 14), ("mo", "i001", 1)],
        ids=list(reader.items.ids),
    )
    step = step_after(found, NIGHT, NIGHT + DAY, exclude_seen=True)
    # Everything else had been met, so that both would be shown.
    met = [item for item in range(found.n_items) if item not in (0, 2)]
    everything = Histories.from_rows([(met, [NIGHT - DAY] * len(met))] * len(step))
    lists = recommended(reader, replace(step, met=everything), found.item_ids)
    told = {found.user_ids[user]: named(found, row) for user, row in zip(step.users, lists, strict=True)}
    assert told == {"early": ["i000"], "mo": ["i000"], "late": ["i002"], "again": ["i002"]}


def test_what_users_are_called_does_not_change_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "TUNING_USERS", 10)
    rng = np.random.default_rng(5)
    rows = [(int(rng.integers(30)), ITEMS[rng.integers(12)], -float(rng.uniform(0, 90))) for _ in range(300)]
    rows += [(int(rng.integers(40)), ITEMS[rng.integers(12)], float(rng.uniform(0, 23))) for _ in range(60)]
    names = rng.permutation(40)
    one = night_scores.score_night(log([(f"u{user}", item, at) for user, item, at in rows]), NIGHT, DAY, None)
    other = night_scores.score_night(log([(f"u{names[user]}", item, at) for user, item, at in rows]), NIGHT, DAY, None)
    assert (one.half_life, one.chosen) == (other.half_life, other.chosen)
    assert one.means()["ease_popularity"] == pytest.approx(other.means()["ease_popularity"])

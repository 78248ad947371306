"""Rules of a version hold for every list, while they hold, and give way to each other as is written down."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.bundle import editorial_rules
from nightreel.bundle.format import BundleError, read_manifest
from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.reader import recommend
from nightreel.reader.options import RequestOptions
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from tests.support.bundles import UNTIL, reseal, write_bundle
from tests.support.ruled_bundle import open_ruled

Ruled = Callable[..., Reader]
NOON = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)


def rule(name: str, target: str | None = None, value: float | None = None, **when: dt.datetime) -> dict[str, Any]:
    return {"rule": name, "target": target, "value": value, **when}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three creators, two languages, two media types, ages, stored lists; i004 is blocked."""
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    write_bundle(folder, items=60, blocked=(4,))
    table = pq.read_table(folder / "items.parquet")
    n = table.num_rows
    table = table.append_column("creators", [[[f"c{i % 3}"] for i in range(n)]])
    table = table.append_column("language", [["zh-Hant" if i % 3 else "en" for i in range(n)]])
    table = table.append_column("min_age", [[6 * (i % 4) for i in range(n)]])
    table = table.append_column("media_type", [["music" if i % 4 == 0 else "video" for i in range(n)]])
    pq.write_table(table, folder / "items.parquet")
    reseal(folder)
    precompute(folder, Reader.open_bundle(folder))
    return folder


@pytest.fixture
def ruled(bundle: Path, tmp_path: Path) -> Ruled:
    """The version with rules beside it, read at a moment."""

    def made(*rules: dict[str, Any], now: dt.datetime = NOON) -> Reader:
        return open_ruled(bundle, tmp_path, *rules, now=now)

    return made


def ids(reader: Reader, k: int = 10, user: str | None = "u000", **wishes: Any) -> list[int]:
    return [int(each.item_id[1:]) for each in reader.recommend(user, k=k, options=RequestOptions(**wishes))]


def item(i: int) -> str:
    return f"i{i:03d}"


def test_without_rules_nothing_is_written_and_nothing_changes(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "again")
    editorial_rules.write(tmp_path / "again", RULES_SCHEMA.empty_table())
    reseal(tmp_path / "again")
    assert read_manifest(tmp_path / "again").digest == read_manifest(bundle).digest
    reader = Reader.open_bundle(bundle)
    assert reader.rules is None and reader.standing().ruled is None


def test_rules_not_in_force_leave_the_stored_answers_as_they_are(
    bundle: Path, ruled: Ruled, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Reader.open_bundle(bundle).recommend("u000", k=10)
    reader = ruled(rule("hide", item(0), ends_at=NOON), rule("pin", item(1), starts_at=NOON + dt.timedelta(seconds=1)))
    monkeypatch.setattr(Reader, "top", None)  # answered without a question to the models
    assert reader.standing().ruled is None and reader.recommend("u000", k=10) == before


def test_a_rule_holds_from_its_start_until_just_before_its_end(ruled: Ruled) -> None:
    start, end = NOON, NOON + dt.timedelta(hours=1)
    reader = ruled(rule("pin", item(59), starts_at=start, ends_at=end))
    moments = [NOON + dt.timedelta(seconds=s) for s in (-1, 0, 3599, 3600)]
    assert [ids(reader, k=1, user=None) == [59] for reader in (
        replace(reader, now=at.timestamp) for at in moments
    )] == [False, True, True, False]  # fmt: skip
    asked = [reader.recommend(k=1, rights_at=at.timestamp())[0].item_id == "i059" for at in moments]
    assert asked == [False, True, True, False]
    editions = [replace(reader, now=at.timestamp).edition for at in moments]
    assert editions[1] == editions[2] == reader.edition and len(set(editions)) == 3


def test_hidden_items_are_nowhere(bundle: Path, ruled: Ruled) -> None:
    plain = Reader.open_bundle(bundle)
    gone = ids(plain)[0]
    reader = ruled(rule("hide", item(gone)), rule("hide", "creator:C1"), rule("pin", item(gone)))
    left = ids(reader)
    assert gone not in left and all(i % 3 != 1 for i in left) and len(left) == 10
    assert left == [i for i in ids(plain, k=60) if i in left]  # the order is the model's
    near = [each.item_id for each in reader.similar(item(0), 30)]
    found = [each.item_id for each in reader.search("story", 60)]
    assert found and near and all(int(i[1:]) % 3 != 1 and i != item(gone) for i in (*near, *found))
    assert reader.explain(item(gone), "u000").left_out == "rule"
    assert set(ids(ruled(rule("hide", "genre:sci-fi")))) & set(range(1, 60, 2)) == set()


def test_only_rows_of_a_kind_add_up_and_kinds_must_all_be_met(ruled: Ruled) -> None:
    reader = ruled(rule("only", "language:zh"), rule("only", "language:en"), rule("only", "media_type:music"))
    assert {i % 4 for i in ids(reader)} == {0}
    assert {i % 12 for i in ids(reader, languages=("en",))} == {0}  # and the request's wish too
    assert ids(reader, media_types=("video",)) == []


def test_of_ages_and_caps_the_stricter_counts(ruled: Ruled) -> None:
    reader = ruled(rule("audience_age", value=12), rule("audience_age", value=6), rule("max_per_creator", value=2),
                   rule("max_per_creator", "creator:c0", 1), rule("max_per_creator", value=3))  # fmt: skip
    assert {i % 4 for i in ids(reader)} <= {0, 1}
    assert {i % 4 for i in ids(reader, audience_age=0)} == {0} and {i % 4 for i in ids(reader, audience_age=18)} <= {
        0,
        1,
    }
    assert sorted(i % 3 for i in ids(reader)) == [0, 1, 1, 2, 2]
    assert sorted(i % 3 for i in ids(reader, max_per_creator=1)) == [0, 1, 2]


def test_pins_stand_in_the_order_of_their_values_then_of_the_table(bundle: Path, ruled: Ruled) -> None:
    seen = int(Reader.open_bundle(bundle).users.seen[0][0][0])
    reader = ruled(
        rule("pin", item(51)), rule("pin", item(53), 2), rule("pin", item(55), 1), rule("pin", item(57), 2),
        rule("pin", item(4)), rule("pin", item(seen)), rule("pin", "unknown"), rule("bury", item(53)),
    )  # fmt: skip
    assert ids(reader)[:4] == [55, 53, 57, 51]  # i004 is blocked, one item seen
    assert ids(reader, exclude=(item(55),), pinned=(item(50), item(53)))[:4] == [53, 57, 51, 50]
    assert ids(reader, skipped=(item(57),))[:3] == [55, 53, 51] and ids(reader, k=2) == [55, 53]


def test_boosts_and_buries(bundle: Path, ruled: Ruled) -> None:
    plain = ids(Reader.open_bundle(bundle), k=40)
    a, b, c = plain[6], plain[7], plain[8]
    reader = ruled(rule("boost", item(a), 0.9), rule("boost", item(b), 1.0), rule("boost", item(c)), rule("bury", item(c)),
                   rule("bury", item(plain[0])))  # fmt: skip
    listed = ids(reader)
    assert listed[:3] == [b, a, plain[1]] and not {c, plain[0]} & set(listed)
    assert ids(reader, k=60)[-2:] == [plain[0], c]
    music = ids(ruled(rule("boost", "media_type:music", 1.0)))
    assert sum(i % 4 == 0 for i in music) > sum(i % 4 == 0 for i in plain[:10])


@pytest.mark.parametrize("with_pins", [False, True])
@pytest.mark.parametrize("out", [1, 2])  # of three creators: with two of them hidden the models are asked again
def test_a_user_their_history_and_many_get_equal_lists(ruled: Ruled, with_pins: bool, out: int) -> None:
    """u000's last event is the last of all, which is when a history without times is taken to end."""
    rules = [rule("hide", f"creator:c{n}") for n in range(out)] + [rule("hide", item(59))]
    pins = [
        rule("pin", item(56)),
        rule("boost", item(2), 0.3),
        rule("bury", "genre:Romance"),
        rule("max_per_genre", value=6),
    ]
    reader = ruled(*rules, *(pins if with_pins else ()))
    past = reader.users.histories.take([0, 3])
    by_user = [ids(reader), ids(reader, user="u003")]
    history = [item(i) for i in past[0][0]]
    assert [int(each.item_id[1:]) for each in reader.recommend(history=history, k=10)] == by_user[0]
    many = reader.recommend_many(past, exclude=past, k=10).items
    assert [[i for i in row if i >= 0] for row in many.tolist()] == by_user
    rows = reader.recommend_users(["u000", "u003"], 10)
    assert rows["item_id"].to_pylist() == [item(i) for each in by_user for i in each]
    assert (by_user[0][0] == 56) is with_pins and len(by_user[0]) > 5


def test_stored_lists_are_thinned_out_and_asked_again_only_where_too_little_is_left(
    ruled: Ruled, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = Reader.top
    monkeypatch.setattr(Reader, "top", lambda *given: asked.append(given[4]) or real(*given))
    few = ruled(rule("hide", item(0)))
    assert len(ids(few)) == 10 and not asked
    most = ruled(rule("hide", "creator:c0"), rule("hide", "creator:c1"), rule("hide", "media_type:music"))
    monkeypatch.setattr(recommend, "POOL", 12)  # a catalogue that a stored list is a small part of
    assert len(ids(most)) == 10 and asked == [12]


def test_many_rows_are_asked_in_blocks(ruled: Ruled, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ruled(rule("pin", item(56)), rule("hide", item(0)))
    past = reader.users.histories.take(np.arange(9))
    whole = reader.recommend_many(past, exclude=past, k=5)
    monkeypatch.setattr(recommend, "BLOCK", 4)
    again = reader.recommend_many(past, exclude=past, k=5)
    assert np.array_equal(whole.items, again.items) and np.array_equal(whole.scores, again.scores, equal_nan=True)
    assert reader.recommend_many(past.take([]), k=5).items.shape == (0, 5)


def test_reasons_do_not_claim_what_a_rule_did(bundle: Path, ruled: Ruled) -> None:
    plain = ids(Reader.open_bundle(bundle))
    reader = ruled(rule("pin", item(plain[4])), rule("boost", item(plain[5]), 1.0))
    first, second, third = reader.recommend("u000", k=3, reasons=True)
    assert [each.text for each in first.reasons] == ["Picked by the editors"] and first.reason == "picked"
    assert second.reasons[0].text == "Promoted" and second.reason == "promoted" and second.reasons[1].kind != "rule"
    assert all(each.kind != "rule" for each in third.reasons) and third.reason == "for you"
    assert {first.propensity, second.propensity, third.propensity} == {1.0}
    assert reader.explain(item(plain[4]), "u000").reasons[0].text == "Picked by the editors"
    assert reader.explain(item(plain[5]), "u000").reasons[0].text == "Promoted"


def test_with_exploration_pins_are_certain_and_the_rest_is_drawn_from_what_rules_permit(ruled: Ruled) -> None:
    reader = ruled(rule("pin", item(56)), rule("only", "language:zh"))
    listed = reader.recommend("u000", k=8, options=RequestOptions(explore=0.5, seed=3))
    assert listed[0].item_id == "i056" and listed[0].propensity == 1.0
    assert all(0 < each.propensity < 1 for each in listed[1:]) and all(int(each.item_id[1:]) % 3 for each in listed)


def test_by_itself_a_reader_has_no_rules(bundle: Path, ruled: Ruled) -> None:
    reader = ruled(rule("pin", item(56)), rule("hide", item(0)))
    assert ids(reader.unruled) == ids(Reader.open_bundle(bundle)) != ids(reader)


def test_where_there_is_no_clock_rules_go_by_the_readers(tmp_path: Path) -> None:
    write_bundle(tmp_path / "order", clock="order", data_until=7.0)
    editorial_rules.write(
        tmp_path / "order", pa.Table.from_pylist([rule("pin", item(29), starts_at=NOON)], RULES_SCHEMA)
    )
    reseal(tmp_path / "order")
    for now, pinned in ((UNTIL, False), (NOON.timestamp(), True)):
        reader = Reader.open_bundle(tmp_path / "order", now=lambda now=now: now)
        assert (reader.recommend("u000", k=1, at=5.0)[0].item_id == "i029") is pinned


def test_a_rule_of_a_later_release_is_refused(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "later")
    editorial_rules.write(tmp_path / "later", pa.Table.from_pylist([rule("shield", item(1))], RULES_SCHEMA))
    reseal(tmp_path / "later")
    with pytest.raises(BundleError, match=r"rules\.parquet: unknown rule 'shield'\. Use the Nightreel release"):
        Reader.open_bundle(tmp_path / "later")


def test_stored_lists_are_the_models_whatever_rules_hold(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "again", ignore=shutil.ignore_patterns("lists", "neighbours"))
    rules = pa.Table.from_pylist([rule("pin", item(56)), rule("hide", item(0))], RULES_SCHEMA)
    editorial_rules.write(tmp_path / "again", rules)
    reseal(tmp_path / "again")
    precompute(tmp_path / "again", Reader.open_bundle(tmp_path / "again"))
    files, before = read_manifest(tmp_path / "again").files, read_manifest(bundle).files
    assert {name: entry for name, entry in files.items() if name != "rules.parquet"} == before

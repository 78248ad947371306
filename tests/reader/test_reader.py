"""The reader: everybody gets a sensible answer, from verified files, and nobody what they may not get."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel import Reader, UserError
from nightreel.bundle.format import BundleError
from nightreel.data.histories import Histories
from nightreel.reader.options import RequestOptions
from nightreel.reader.question import resolve_request
from tests.support.bundles import DAY, UNTIL, reseal, taste, write_bundle

Make = Callable[..., Reader]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    def made(**options: object) -> Reader:
        folder = tmp_path_factory.mktemp("bundle") / "bundle"
        write_bundle(folder, **options)  # type: ignore[arg-type]
        return Reader.open_bundle(folder)

    return made


@pytest.fixture(scope="module")
def reader(make: Make) -> Reader:
    return make()


def numbers(listed: list) -> list[int]:
    return [int(each.item_id[1:]) for each in listed]


def test_a_known_user_gets_unseen_items_of_the_own_taste(reader: Reader) -> None:
    for user in (0, 1, 7):
        listed = reader.recommend(f"u{user:03d}", k=5)
        seen = set(reader.users.seen[user][0].tolist())
        assert [each.rank for each in listed] == [1, 2, 3, 4, 5]
        assert {taste(i) for i in numbers(listed)} == {user % 2} and not seen & set(numbers(listed))
        assert [each.score for each in listed] == sorted((each.score for each in listed), reverse=True)
        assert {each.reason for each in listed} == {"for you"}
        assert listed[0].title == reader.items.titles[numbers(listed)[0]]


def test_strangers_and_empty_histories_get_what_is_popular(reader: Reader) -> None:
    popular = reader.recommend(k=10)
    assert len(popular) == 10 and {each.reason for each in popular} == {"popular"}
    assert {taste(i) for i in numbers(popular)} == {0, 1}
    assert reader.recommend("nobody", k=10) == reader.recommend(history=[], k=10) == popular
    assert reader.recommend(history=["no such item"], k=10) == popular
    assert reader.knows(["u000", "nobody", ""]).tolist() == [True, False, False]


def test_a_history_never_seen_is_answered_by_its_taste(reader: Reader) -> None:
    listed = reader.recommend(history=["i001", "no such item", "i003", "i005"], k=5)
    assert {taste(i) for i in numbers(listed)} == {1} and not {1, 3, 5} & set(numbers(listed))
    assert reader.unknown(["i001", "no such item"]) == ["no such item"]
    with pytest.raises(UserError, match="a user or a history, not both"):
        reader.recommend("u000", history=["i001"], k=5)


def test_an_item_without_events_is_reached_by_its_content(reader: Reader) -> None:
    new = len(reader.items) - 1
    history = Histories.from_rows([([1, 3, 5], [UNTIL - 2, UNTIL - 1, UNTIL])])
    ranked = reader.recommend_many(history, exclude=history, k=27, model="content_knn").items[0].tolist()
    own = [i for i in range(30) if taste(i) == 1 and i not in (1, 3, 5)]
    assert new in ranked[: len(own)] and set(ranked[: len(own)]) == set(own)
    assert new in reader.recommend_many(history, exclude=history, k=27).items[0]
    assert taste(int(reader.similar(f"i{new:03d}", 1)[0].item_id[1:])) == taste(new)


def test_many_equals_one_by_one_for_every_model(reader: Reader) -> None:
    rows = reader.users.histories.take(range(12))
    moments = rows.last_times
    for model in reader.models:
        many = reader.recommend_many(rows, moments=moments, exclude=rows, k=7, model=model)
        assert many.items.shape == many.scores.shape == (12, 7)
        for n in range(12):
            row = rows.take([n])
            one = reader.recommend_many(row, moments=moments[n : n + 1], exclude=row, k=7, model=model)
            assert one.items[0].tolist() == many.items[n].tolist()
    listed = reader.recommend("u003", k=7)
    assert numbers(listed) == reader.recommend_many(rows, exclude=rows, k=7).items[3].tolist()
    listed = reader.recommend("u003", k=7, at="last-event")
    assert numbers(listed) == reader.recommend_many(rows, moments=moments, exclude=rows, k=7).items[3].tolist()


def test_lists_of_many_users_are_one_table(reader: Reader) -> None:
    users = ["u003", "nobody", "u000"]
    table = reader.recommend_users(users, 4)
    assert table.schema.names == ["user_id", "item_id", "rank", "score"]
    assert table["user_id"].to_pylist() == [user for user in users for _ in range(4)]
    assert table["rank"].to_pylist() == [1, 2, 3, 4] * 3
    for n, user in enumerate(users):
        assert table["item_id"].to_pylist()[4 * n : 4 * n + 4] == [r.item_id for r in reader.recommend(user, k=4)]
    assert reader.recommend_users([], 4).num_rows == 0


def test_a_list_is_never_longer_than_what_there_is(reader: Reader) -> None:
    listed = reader.recommend("u000", k=1000)
    assert len(listed) == len(set(numbers(listed))) == 30 - 8


def test_repeats_are_listed_where_the_bundle_permits_them(make: Make) -> None:
    reader = make(exclude_seen=False)
    seen = set(reader.users.seen[0][0].tolist())
    assert seen & set(numbers(reader.recommend("u000", k=10)))
    without = reader.recommend_users(["u000"], 10, exclude_seen=True)
    assert not {f"i{i:03d}" for i in seen} & set(without["item_id"].to_pylist())


def test_lists_are_for_tonight_unless_another_moment_is_asked_for(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[float]] = []
    real = Reader.top

    def spy(self: Reader, past: Histories, moments: np.ndarray, *rest: object) -> object:
        asked.append(moments.tolist())
        return real(self, past, moments, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "top", spy)
    reader, users = make(), ["u003", "u000", "nobody"]
    last, tonight = reader.users.histories.last_times, np.nan
    reader.recommend_users(users, 3)
    reader.recommend("u003", k=3)
    reader.recommend(history=["i001", "i003"], k=3)
    reader.recommend_users(users, 3, at=UNTIL + DAY)
    reader.recommend_users(users, 3, at="last-event")
    reader.recommend_users(users, 3, at=[UNTIL - DAY, None, "last-event"])
    reader.recommend("u003", k=3, at="last-event")
    reader.recommend(history=["i001", "i003"], k=3, at=UNTIL - 7)
    expected = [[tonight] * 3, [tonight], [tonight], [UNTIL + DAY] * 3, [last[3], last[0], tonight],
                [UNTIL - DAY, tonight, tonight], [last[3]], [UNTIL - 7]]  # fmt: skip
    assert len(asked) == len(expected)
    for found, wanted in zip(asked, expected, strict=True):
        assert np.array_equal(found, wanted, equal_nan=True)


def test_a_moment_as_people_write_it(make: Make) -> None:
    timed, ordered = make().clock, make(clock="order", data_until=7.0).clock
    assert timed.moment("2023-11-14T22:13:20Z") == timed.moment("2023-11-15T00:13:20+02:00") == UNTIL
    assert timed.moment("2023-11-14") == timed.moment("1699920000") == timed.moment(1.69992e9) == 1_699_920_000
    assert [timed.moment(told) for told in (None, "", "last-event")] == [None, None, "last-event"]
    assert ordered.moment("5") == 5 and ordered.moment("last-event") == "last-event"
    for clock, bad in ((timed, "yesterday"), (timed, 5), (timed, 1.7e12), (timed, "nan"), (timed, True),
                       (ordered, "2023-11-14"), (ordered, -1)):  # fmt: skip
        with pytest.raises(UserError, match=r"is not a valid time for this version\. Give last-event or a"):
            clock.moment(bad)


def test_a_visits_likes_are_of_now_however_long_ago_the_last_visit_was(make: Make) -> None:
    reader = make()
    asked = resolve_request(reader, "u003", None, None, None, RequestOptions(liked=("i029",)))
    assert asked.past.last_times[0] > UNTIL > reader.users.histories.last_times[3]


def test_a_source_without_a_clock_is_answered_by_order(make: Make) -> None:
    reader = make(clock="order", data_until=7.0)
    assert len(reader.recommend("u001", k=5)) == 5
    assert {taste(i) for i in numbers(reader.recommend(history=["i001", "i003"], k=5))} == {1}


def test_similar_is_exact_and_unknown_items_are_told_with_near_ones(reader: Reader) -> None:
    found = reader.similar("i004", 10)
    cosines = reader.vectors @ reader.vectors[4]
    assert [each.score for each in found] == pytest.approx(sorted(np.delete(cosines, 4), reverse=True)[:10])
    assert reader.similar("love STORY 4", 10) == found
    with pytest.raises(UserError, match=r"'i04': no item has this id or title\. Did you mean .*i004 \(Love story 4\)"):
        reader.similar("i04", 3)
    with pytest.raises(UserError, match=r"Did you mean i001 \(Space story 1\)"):
        reader.similar("pace story 1", 3)
    with pytest.raises(UserError, match="Take an id from the item_id column"):
        reader.similar("%%%%%%%%", 3)


def test_scores_of_chosen_items_agree_with_the_lists(reader: Reader) -> None:
    rows = reader.users.histories.take([0, 1])
    for model in ("blend", "ease"):
        scores = reader.score(rows, [29, 2, 1], model=model)
        assert scores.shape == (2, 3) and np.isfinite(scores).all()
        assert scores[0, 1] > scores[0, 2] and scores[1, 2] > scores[1, 1]


def test_answers_are_the_same_from_many_threads(reader: Reader) -> None:
    users = [f"u{n:03d}" for n in range(40)]
    alone = [reader.recommend(user, k=10) for user in users]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda user: reader.recommend(user, k=10), users * 3)) == alone * 3


# Pseudonyms


def test_users_are_found_behind_their_pseudonyms(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = make()
    monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path))
    monkeypatch.setenv("NIGHTREEL_PSEUDONYM_KEY", "secret")
    hidden = make(key=b"secret")
    assert "u000" not in hidden.user_ids.to_pylist()
    assert hidden.recommend("u000", k=5) == plain.recommend("u000", k=5)
    assert hidden.recommend_users(["u000", "x"], 3).equals(plain.recommend_users(["u000", "x"], 3))
    monkeypatch.setenv("NIGHTREEL_PSEUDONYM_KEY", "another")
    with pytest.raises(UserError, match=r"made with another key .*Set NIGHTREEL_PSEUDONYM_KEY"):
        make(key=b"secret").recommend("u000", k=5)
    monkeypatch.delenv("NIGHTREEL_PSEUDONYM_KEY")
    keyless = make(key=b"secret")
    with pytest.raises(UserError, match=r"the key is missing\. Set NIGHTREEL_PSEUDONYM_KEY"):
        keyless.recommend("u000", k=5)
    assert len(keyless.recommend(k=5)) == len(keyless.recommend(history=["i001"], k=5)) == 5


# Opening


def test_users_are_found_one_by_one_and_in_bulk(reader: Reader) -> None:
    assert reader.user_ids.type == pa.string() and len(reader.user_ids) == 40
    asked = [f"u{n:03d}" for n in (39, 0, 40, 7)] + ["", "zzz"]
    assert reader.users.rows(asked).tolist() == [39, 0, 40, 7, 40, 40]
    assert reader.users.rows(asked * 30).tolist() == [39, 0, 40, 7, 40, 40] * 30


def test_users_out_of_order_are_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    path = tmp_path / "bundle" / "users.parquet"
    pq.write_table(pa.table({"user_id": [f"u{n:03d}" for n in reversed(range(40))]}), path)
    reseal(tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"users\.parquet: user ids are not in ascending order"):
        Reader.open_bundle(tmp_path / "bundle")

"""Wishes of a list are met by the reader, the same for a known user and for their history."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nightreel.bundle.format import BundleError
from nightreel.errors import UserError
from nightreel.reader.options import RequestOptions
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from nightreel.reader.results import Similar
from tests.support.bundles import reseal, taste, write_bundle


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Items by three creators, in three languages, of two media types; i004 is blocked."""
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    write_bundle(folder, blocked=(4,))
    table = pq.read_table(folder / "items.parquet")
    n = table.num_rows
    table = table.append_column("creators", [[[f"c{i % 3}"] for i in range(n)]])
    table = table.append_column("language", [[("en", "zh-Hant", "zh")[i % 3] for i in range(n)]])
    table = table.append_column("min_age", [[None if i % 5 == 4 else 6 * (i % 4) for i in range(n)]])
    table = table.append_column("media_type", [["music" if i % 4 == 0 else "video" for i in range(n)]])
    pq.write_table(table, folder / "items.parquet")
    reseal(folder)
    return Reader.open_bundle(folder)


def ids(reader: Reader, k: int = 10, user: str = "u000", **wishes: object) -> list[int]:
    return [int(each.item_id[1:]) for each in reader.recommend(user, k=k, options=RequestOptions(**wishes))]  # type: ignore[arg-type]


def test_filters_fill_the_list_with_what_they_permit(reader: Reader) -> None:
    assert all(i % 3 for i in ids(reader, languages=("zh",))) and len(ids(reader, languages=("zh",))) == 10
    assert {i % 3 for i in ids(reader, languages=("ZH-Hant",))} == {1}
    assert {i % 4 for i in ids(reader, k=5, media_types=("music",))} == {0}
    assert {taste(i) for i in ids(reader, genres=("sci-fi",))} == {1}
    first = ids(reader)[:2]
    left = ids(reader, exclude=(f"i{first[0]:03d}", "unknown", "i004"))
    assert first[0] not in left and first[1] in left and len(left) == 10
    assert ids(reader, genres=("Western",)) == []


def test_an_audience_sees_what_is_known_to_be_for_its_age(reader: Reader, tmp_path: Path) -> None:
    listed = ids(reader, k=30, audience_age=12)
    assert listed and all(i % 5 != 4 and 6 * (i % 4) <= 12 for i in listed)
    assert {i % 4 for i in ids(reader, k=30, audience_age=0)} == {0}
    pinned = ids(reader, k=30, audience_age=6, pinned=("i003", "i004"))
    assert not {3, 4} & set(pinned)  # a rule that pins does not lift an age limit
    write_bundle(tmp_path / "plain")
    assert ids(Reader.open_bundle(tmp_path / "plain"), audience_age=99) == []  # nothing is known of any item


def test_similar_items_and_search_mind_the_age_too(reader: Reader) -> None:
    def rows(found: list[Similar]) -> list[int]:
        return [int(each.item_id[1:]) for each in found]

    near, found = rows(reader.similar("i000", 30, audience_age=6)), rows(reader.search("story", 30, audience_age=6))
    for listed, every in ((near, reader.similar("i000", 30)), (found, reader.search("story", 30))):
        assert listed == [i for i in rows(every) if i % 5 != 4 and 6 * (i % 4) <= 6] != []
    with pytest.raises(UserError, match=r"no item has this id") as told:
        reader.explain("story", "u000", options=RequestOptions(audience_age=6))
    assert "i000" in str(told.value) and not any(name in str(told.value) for name in ("i002", "i003", "i004"))
    with pytest.raises(UserError, match="audience_age is -1"):
        reader.search("story", 3, audience_age=-1)


def test_caps(reader: Reader) -> None:
    assert sorted(i % 3 for i in ids(reader, max_per_creator=2)) == [0, 0, 1, 1, 2, 2]
    listed = ids(reader, max_per_genre=2)
    assert sorted(taste(i) for i in listed) == [0, 0, 1, 1]


def test_pinned_boosted_and_buried(reader: Reader) -> None:
    plain = ids(reader)
    seen = int(reader.users.seen[0][0][0])
    pins = ("i029", "i004", f"i{seen:03d}", f"i{plain[3]:03d}")
    assert ids(reader, pinned=pins)[:3] == [29, plain[3], plain[0]]
    assert ids(reader, boosted=(f"i{plain[8]:03d}",)).index(plain[8]) < 8
    assert plain[0] not in ids(reader, buried=(f"i{plain[0]:03d}",))
    everything = ids(reader, k=30, buried=(f"i{plain[0]:03d}",))
    assert everything[-1] == plain[0]
    rule = reader.recommend(
        history=["i000"], k=1, options=RequestOptions(genres=("Romance",), pinned=("i028",)), reasons=True
    )
    assert rule[0].item_id == "i028" and rule[0].reasons


def test_likes_and_skips_move_the_next_list_at_once(reader: Reader) -> None:
    plain = ids(reader, k=6)
    assert {taste(i) for i in plain} == {0}
    liked = ids(reader, k=6, liked=("i001", "i003", "i005", "i007", "i009", "i011"))
    assert {taste(i) for i in liked[:3]} == {1} and not {1, 3, 5, 7, 9, 11} & set(liked)
    mixed = ids(reader, k=10, user="nobody")
    assert {taste(i) for i in mixed} == {0, 1}
    away = ids(reader, k=6, user="nobody", skipped=("i001",))
    assert {taste(i) for i in away[:4]} == {0} and 1 not in away


def test_diversity_and_freshness_do_what_they_say(reader: Reader) -> None:
    def spread(listed: list[int]) -> float:
        vectors = reader.vectors[listed]
        return float(1 - (vectors @ vectors.T)[np.triu_indices(len(listed), 1)].mean())

    curve = [spread(ids(reader, k=8, diversity=each)) for each in (0.0, 0.3, 0.6, 1.0)]
    assert curve == pytest.approx(sorted(curve)) and curve[-1] > 1.05 * curve[0]
    years = reader.engine.catalogue.years
    assert years[ids(reader, k=5, freshness=0.9)].mean() > years[ids(reader, k=5)].mean()


def test_exploration_repeats_by_its_seed_and_tells_propensities(reader: Reader) -> None:
    wish = RequestOptions(explore=0.5, seed=3)
    listed = reader.recommend("u000", k=8, options=wish)
    assert listed == reader.recommend("u000", k=8, options=wish)
    assert listed != reader.recommend("u000", k=8, options=RequestOptions(explore=0.5, seed=4))
    assert {each.propensity > 0.5 for each in listed} == {True, False}
    assert all(0 < each.propensity < 1 for each in listed) and len({each.item_id for each in listed}) == 8


@pytest.fixture(scope="module")
def stored(reader: Reader, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """The same version with the users' lists in it."""
    folder = tmp_path_factory.mktemp("stored") / "bundle"
    shutil.copytree(reader.facets.path.parent, folder)
    digest = precompute(folder, reader)
    opened = Reader.open_bundle(folder)
    assert opened.digest == digest != reader.digest
    return opened


@pytest.mark.parametrize(
    "wish",
    [
        RequestOptions(),
        RequestOptions(diversity=0.5),
        RequestOptions(explore=0.3, seed=1),
        RequestOptions(genres=("Drama",)),
    ],
)
@pytest.mark.parametrize("user", ["u000", "u017", "nobody", None])
def test_stored_lists_are_those_that_would_be_computed(
    reader: Reader, stored: Reader, user: str | None, wish: RequestOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [reader.recommend(user, k=k, options=wish) for k in (1, 10, 100)]
    if not wish.filters:  # answered without a question to the models
        monkeypatch.setattr(Reader, "top", None)
        expected, ks = expected[:2], (1, 10)
    else:
        ks = (1, 10, 100)  # type: ignore[assignment]
    for k, listed in zip(ks, expected, strict=True):
        found = stored.recommend(user, k=k, options=wish)
        assert [each.item_id for each in found] == [each.item_id for each in listed]
        assert [each.score for each in found] == pytest.approx([each.score for each in listed], nan_ok=True)


def test_everybodys_lists_are_read_where_they_are_stored(
    reader: Reader, stored: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [["u017", "nobody", "u000"], 10]
    computed = reader.recommend_users(*asked), stored.recommend_users(*asked, at=1.7e9 - 10 * 86_400)  # type: ignore[arg-type]
    assert not computed[0].equals(computed[1])
    monkeypatch.setattr(Reader, "top", None)  # nothing is asked of the models
    found = stored.recommend_users(*asked)  # type: ignore[arg-type]
    assert found.drop(["score"]).equals(computed[0].drop(["score"]))
    assert found["score"].to_pylist() == pytest.approx(computed[0]["score"].to_pylist())
    with pytest.raises(BundleError, match="recommend_users failed"):
        stored.recommend_users(*asked, exclude_seen=False)  # type: ignore[arg-type]


def test_stored_neighbours_are_those_that_would_be_computed(reader: Reader, stored: Reader) -> None:
    assert stored.stored.neighbours is not None and stored.stored.neighbours.items.shape == (30, 29)
    for item in ("i000", "i007", "i029"):
        for k in (1, 10, 28, 100):  # i004 is blocked: 28 are left
            found, expected = stored.similar(item, k), reader.similar(item, k)
            assert [each.item_id for each in found] == [each.item_id for each in expected]
            assert [each.score for each in found] == pytest.approx([each.score for each in expected], abs=1e-6)


def test_stored_lists_answer_only_what_they_were_computed_for(reader: Reader, stored: Reader) -> None:
    for asked in ({"at": 1.7e9 + 86_400}, {"exclude_seen": False}, {"history": ["i001"]}):
        assert stored.recommend(k=8, **asked) == reader.recommend(k=8, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("wish", [
    RequestOptions(), RequestOptions(diversity=0.5), RequestOptions(languages=("zh",), max_per_creator=3), RequestOptions(explore=0.3, seed=1),
    RequestOptions(liked=("i001",), skipped=("i002",)),
])  # fmt: skip
def test_a_user_and_their_history_get_equal_lists(reader: Reader, wish: RequestOptions) -> None:
    """u000's last event is the last of all, which is when a history without times is taken to end."""
    history = [f"i{i:03d}" for i in reader.users.histories[0][0]]
    by_user = reader.recommend("u000", k=10, options=wish)
    by_history = reader.recommend(history=history, k=10, options=wish)
    assert [each.item_id for each in by_user] == [each.item_id for each in by_history]


@pytest.mark.parametrize(("wishes", "message"), [
    ({"diversity": 1.5}, r"diversity is 1\.5\. Give a number from 0 to 1"),
    ({"explore": -0.1}, r"explore is -0\.1"),
    ({"max_per_genre": 0}, "max_per_genre is 0. Give a whole number, 1 or more"),
    ({"audience_age": -1}, "audience_age is -1. Give a whole number, 0 or more"),
    ({"seed": -1}, "seed is -1. Give a whole number, 0 or more"),
    ({"boosted": ("x",) * 1001}, "boosted has 1,001 entries; the maximum is 1,000"),
    ({"exclude": ("x",) * 10_001}, "exclude has 10,001 entries; the maximum is 10,000"),
    ({"genres": "Sci-Fi"}, r"genres is the text 'Sci-Fi'. Give a list, even of one: \['Sci-Fi'\]"),
    ({"exclude": [257]}, r"exclude\[0\] is the number 257. Give a text. Ids are text: '257'"),
    ({"exclude": 257}, "exclude is the number 257. Give a list of texts"),
    ({"diversity": "high"}, "diversity is the text 'high'. Give a number"),
    ({"freshness": float("nan")}, "freshness is the number nan. Give a number"),
    ({"max_per_genre": True}, "max_per_genre is True. Give a whole number, 1 or more"),
])  # fmt: skip
def test_wishes_out_of_range_are_refused(wishes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RequestOptions(**wishes)  # type: ignore[arg-type]


@pytest.mark.parametrize("wishes", [
    {}, {"diversity": 0.7}, {"pinned": ("i028", "i003")}, {"max_per_genre": 2}, {"freshness": 0.5},
    {"genres": ("Sci-Fi",)}, {"explore": 0.4, "seed": 3},
])  # fmt: skip
@pytest.mark.parametrize("user", ["u001", "nobody"])
def test_pages_repeat_and_pass_over_nothing(reader: Reader, user: str, wishes: dict[str, object]) -> None:
    options = RequestOptions(**wishes)  # type: ignore[arg-type]
    pages = [reader.recommend(user, k=4, offset=at, options=options) for at in range(0, 40, 4)]
    listed = [each.item_id for page in pages for each in page]
    assert pages[0] == reader.recommend(user, k=4, options=options) and len(listed) == len(set(listed))
    if "max_per_genre" not in wishes:  # a cap holds for a page
        assert set(listed) == {each.item_id for each in reader.recommend(user, k=40, options=options)}
    if not options.reorders:
        assert listed == [each.item_id for each in reader.recommend(user, k=40, options=options)]
    assert [page[0].rank for page in pages if page] == [
        at + 1 for at, page in zip(range(0, 40, 4), pages, strict=True) if page
    ]


def test_a_page_too_deep_to_reorder_is_refused(reader: Reader) -> None:
    assert reader.recommend("u001", k=5, offset=100_000) == []
    with pytest.raises(UserError, match=r"offset is 1001\. Where options or rules change the order"):
        reader.recommend("u001", k=5, offset=1001, options=RequestOptions(diversity=0.2))


def test_ten_thousand_items_can_be_left_out(reader: Reader) -> None:
    out = [f"unknown {n}" for n in range(9_995)] + [each.item_id for each in reader.recommend("u001", k=5)]
    left = reader.recommend("u001", k=30, options=RequestOptions(exclude=tuple(out)))
    assert left and not {each.item_id for each in left} & set(out)
    table = reader.recommend_users(["u001"], 30, exclude=out)
    assert table["item_id"].to_pylist() == [each.item_id for each in left]

"""A reason names what the user liked and what lifts the item, in words that say what the user did."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nightreel import Event, Reader, RecentEvents, RequestOptions
from nightreel.data.contract.verdicts import HIGH, UNKNOWN, code_of
from nightreel.data.histories import Histories
from nightreel.reader.explain.wording import because
from nightreel.reader.results import Reason
from nightreel.reader.slates.slate import kept_out
from tests.support.bundles import reseal, write_bundle
from tests.support.rated_bundle import Rated, write_rated

USERS = [f"u{n:03d}" for n in range(60)]
FILTERS = (RequestOptions(), RequestOptions(genres=("Romance",)), RequestOptions(audience_age=12))


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Rated:
    return write_rated(tmp_path_factory.mktemp("rated"))


@pytest.fixture(scope="module")
def reader(rated: Rated) -> Reader:
    return Reader.open_bundle(rated.folder)


@cache
def told(reader: Reader, user: str, options: RequestOptions) -> tuple[tuple[str, Reason], ...]:
    """The reasons of a list and, without options, of explanations of its items."""
    found: list[tuple[str, Reason]] = []
    for each in reader.recommend(user, k=8, reasons=True, options=options):
        own = reader.explain(each.item_id, user).reasons if options == RequestOptions() else ()
        found += ((each.item_id, reason) for reason in (*each.reasons, *own))
    return tuple(found)


@cache
def ranked(reader: Reader, user: str, without: str | None, options: RequestOptions) -> dict[str, tuple[int, float]]:
    """Place and score of each item for a user's history, as the models rank it; without one item of the history."""
    row = int(reader.users.rows([user])[0])
    past, seen = reader.users.histories.take([row]), reader.users.seen.take([row])
    if without is not None:
        past = past.where(past.items != reader.items.index_of(without))
    hidden = kept_out(reader.items, reader.facets, options)
    items, scores = reader.engine.top_k(past, np.array([np.nan]), 60, exclude=seen, hidden=hidden)
    places = zip(items[0].tolist(), scores[0].tolist(), strict=True)
    return {reader.items.ids[item]: (place, score) for place, (item, score) in enumerate(places) if item >= 0}


@pytest.mark.parametrize("options", FILTERS, ids=["plain", "genre", "age"])
def test_every_named_item_was_liked_and_lifts_the_listed_one(
    rated: Rated, reader: Reader, options: RequestOptions
) -> None:
    named = reasons = 0
    for user in USERS[::4]:
        for item, reason in told(reader, user, options):
            reasons += reason.kind in ("behaviour", "content")
            for other in reason.items:
                named += 1
                assert rated.said[user, other] >= HIGH, f"{user} rated {other} {rated.said[user, other]}"
                place, score = ranked(reader, user, None, options)[item]
                placed, scored = ranked(reader, user, other, options)[item]
                assert placed >= place and scored < score, f"{other} does not lift {item} for {user}"
    assert named > reasons > 100, "a reason that names nothing would pass, too"


def test_explanations_measure_the_items_that_reasons_name(rated: Rated, reader: Reader) -> None:
    for user in USERS[:20]:
        best = reader.recommend(user, k=1)[0]
        found = reader.explain(best.item_id, user)
        drops = {each.item_id: each.drop for each in found.evidence}
        assert min(drops.values(), default=1.0) > 0
        assert all(rated.said[user, item] >= HIGH for item in drops)


def test_what_was_disliked_since_is_not_named(reader: Reader) -> None:
    user = next(user for user in USERS if any(reason.items for _, reason in told(reader, user, RequestOptions())))
    item, reason = next(pair for pair in told(reader, user, RequestOptions()) if pair[1].items)
    recent = RecentEvents(":memory:", b"a key")
    recent.add([Event(user, reason.items[0], "dislike")])
    lists = reader.recommend(user, k=8, reasons=True, recent=recent.of(user))
    skipped = reader.recommend(user, k=8, reasons=True, options=RequestOptions(skipped=reason.items[:1]))
    why = reader.explain(item, user, recent=recent.of(user))
    for own in (*(each.reasons for each in (*lists, *skipped)), why.reasons):
        assert reason.items[0] not in {named for each in own for named in each.items}
    assert reason.items[0] not in {each.item_id for each in why.evidence}


def test_a_child_is_told_of_no_film_for_adults(reader: Reader) -> None:
    ages = dict(zip(reader.items.ids, reader.facets.min_ages.tolist(), strict=True))
    plain = {named for user in USERS[::4] for _, each in told(reader, user, FILTERS[0]) for named in each.items}
    kept = {named for user in USERS[::4] for _, each in told(reader, user, FILTERS[2]) for named in each.items}
    assert max(ages[item] for item in plain) == 18 and max(ages[item] for item in kept) == 12


def test_labels_in_a_reason_are_those_of_the_item(reader: Reader) -> None:
    labels = dict(zip(reader.items.ids, reader.items.genres, strict=True))
    words = {each.words for user in USERS[:10] for item, each in told(reader, user, FILTERS[1]) if each.words}
    for user in USERS[:10]:
        for item, reason in told(reader, user, FILTERS[1]):
            assert "Romance" in labels[item]
            if reason.kind in ("genre", "popular") and reason.words != ("video",):
                assert set(reason.words) <= {*labels[item], "en"}, (item, reason)
    assert words


def test_who_liked_nothing_is_told_so(reader: Reader, rated: Rated, tmp_path: Path) -> None:
    """Someone who rated everything low: their history ranks, but no film of it is named."""
    row = int(reader.users.rows(["u003"])[0])
    past = reader.users.histories
    assert past.verdicts is not None
    grumpy = replace(past, verdicts=np.where(past.rows == row, 0, past.verdicts).astype(np.int8))
    other = replace(reader, users=replace(reader.users, histories=grumpy))
    for each in other.recommend("u003", k=8, reasons=True):
        assert each.reasons and not any(reason.items for reason in each.reasons)
        assert each.reasons[0].text.startswith(("Popular", "Often chosen by people with a history like yours", "Close"))


def test_a_reason_says_what_the_user_did(reader: Reader) -> None:
    media = [("video",)] * 20 + [("music",)] * 20 + [()] * 20
    first, second, third = (f"{reader.items.titles[i]}" for i in (0, 20, 40))

    def said(*events: tuple[int, str]) -> str:
        codes = np.array([code_of(event) if event else UNKNOWN for _, event in events], np.int8)
        rows = Histories.from_rows([([item for item, _ in events], [float(at) for at in range(len(events))])])
        named = list(dict.fromkeys(item for item, _ in events))
        return because(named, replace(rows, verdicts=codes), reader.items, media)

    assert said((0, "rating")) == f"Because you rated {first} highly"
    assert said((0, "play")) == f"Because you watched {first}"
    assert said((20, "play"), (40, "play")) == f"Because you listened to {second} and played {third}"
    assert said((40, "watch"), (20, "share")) == f"Because you watched {third} and shared {second}"
    assert said((0, "play"), (0, "like")) == f"Because you liked {first}", "a like says more than a play"
    assert said((0, "favorite"), (20, "favorite")) == f"Because you added {first} and {second} to your favourites"
    assert said((0, "")) == f"Because you have {first} in your history"


def test_versions_of_earlier_releases_say_only_what_is_known(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    (tmp_path / "bundle/histories/verdicts.npy").unlink()
    reseal(tmp_path / "bundle")
    reader = Reader.open_bundle(tmp_path / "bundle")
    reasons = [each.reasons[0] for each in reader.recommend("u001", k=5, reasons=True)]
    assert any(reason.text.startswith("Because you have Space story") for reason in reasons)


def test_an_explanation_is_of_the_list_with_its_filters(reader: Reader) -> None:
    for user in USERS[:8]:
        for options in (*FILTERS[1:], RequestOptions(liked=("i001",), skipped=("i003",))):
            listed = reader.recommend(user, k=4, options=options, reasons=True)
            told_of = [reader.explain(each.item_id, user, options=options) for each in listed]
            assert {each.left_out for each in told_of} == {None}
            if not options.skipped:  # skips move items down, which an explanation's place does not follow
                assert [each.rank for each in told_of] == [1, 2, 3, 4]
                assert [each.reasons for each in told_of] == [each.reasons for each in listed]
    assert reader.explain("i000", "u001", options=FILTERS[1]).left_out in ("filter", "seen")
    assert reader.explain("i004", "nobody", options=RequestOptions(exclude=("i004",))).left_out == "filter"

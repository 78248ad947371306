"""A user's interests: weighted by age and rarity, each traced back to its events."""

from __future__ import annotations

import json
from math import log
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from nightreel.cli.main import _register, app
from nightreel.errors import UserError
from nightreel.reader.interests import interests, profile, write_keywords
from nightreel.reader.reader import Reader
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from nightreel.store.withdrawals_file import ByHand, Withdrawals
from tests.support.bundles import DAY, UNTIL, lineage, write_bundle
from tests.support.keywords import add_keywords, dataset, write_searches


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interests") / "bundle"
    write_bundle(folder)
    add_keywords(folder, folder.parent / "derived.parquet")
    return folder


def test_a_profile_by_hand() -> None:
    parts = [("moon", 0.5, "a", "A", 2.0), ("moon", 0.25, "b", "B", 1.0), ("war", 0.25, "b", "B", 1.0)]
    moon, war = profile(parts, 5)
    assert (moon.word, moon.weight, moon.events, war.weight) == ("moon", 0.75, 2, 0.25)
    assert [(origin.item_id, origin.share) for origin in moon.origins] == [("a", 2 / 3), ("b", 1 / 3)]
    assert [each.word for each in profile(parts, 1)] == ["moon"] and profile([], 5) == []


def test_an_event_half_a_life_old_counts_half_and_each_names_its_events(bundle: Path) -> None:
    reader = Reader.open_bundle(bundle)
    past, times = reader.users.histories[1]
    found = {each.word: each for each in interests(reader, "u001", k=10, half_life=7)}
    assert set(found) <= {"rocket", "moon", "space opera"} and sum(
        each.weight for each in found.values()
    ) == pytest.approx(1)
    ages = [2 ** (-(UNTIL - time) / (7 * DAY)) for time in times]
    assert found["space opera"].weight == pytest.approx(1 / (1 + sum(ages))), "a search counts as one event"
    (searched,) = found["space opera"].origins
    assert (searched.item_id, searched.text, searched.time, searched.share) == ("", "space opera", UNTIL, 1.0)
    rocket = found["rocket"]
    assert rocket.events == 8 and [each.item_id for each in rocket.origins] == [
        reader.items.ids[i] for i in past[::-1][:5]
    ]
    assert rocket.origins[0].time == times[-1] and rocket.origins[0].text.startswith("Space story")
    slow = {each.word: each for each in interests(reader, "u001", k=10, half_life=1e6)}
    assert slow["space opera"].weight == pytest.approx(1 / 9, abs=1e-4)


def test_a_withdrawn_item_tells_what_somebody_likes_and_is_not_named(bundle: Path) -> None:
    reader = Reader.open_bundle(bundle)
    before = {each.word: each for each in interests(reader, "u001", k=10)}
    gone = before["rocket"].origins[0].item_id
    withheld = reader.under(Withdrawals(by_hand=ByHand(items={gone: {"since": 1}})))
    after = {each.word: each for each in interests(withheld, "u001", k=10)}
    assert {word: each.weight for word, each in after.items()} == {word: each.weight for word, each in before.items()}
    assert gone not in {origin.item_id for each in after.values() for origin in each.origins}
    assert after["rocket"].origins[0].item_id == before["rocket"].origins[1].item_id
    assert interests(reader.under(Withdrawals(erased=("u001",))), "u001", k=10) == []


def test_a_rare_word_of_an_item_weighs_more_than_a_common_one(bundle: Path) -> None:
    reader = Reader.open_bundle(bundle)
    moon, rocket = interests(reader, history=["i001"])
    rare, common = log(1 + 30 / 1), log(1 + 30 / 15)
    assert (moon.word, moon.weight) == ("moon", pytest.approx(rare / (rare + common)))
    assert rocket.weight == pytest.approx(common / (rare + common))
    assert interests(reader, "nobody") == interests(reader, history=[]) == []


def test_items_without_keywords_have_their_tags_or_genres(tmp_path: Path) -> None:
    items = pa.table({"tags": [[], ["Noir"], []], "genres": [["Drama"], ["Crime"], []]})
    pq.write_table(pa.Table.from_pylist([{"keywords": None, "keyword_scores": None}] * 3, pa.schema([
        ("keywords", pa.list_(pa.string())), ("keyword_scores", pa.list_(pa.float32()))])), tmp_path / "derived.parquet")  # fmt: skip
    searches = write_searches(tmp_path / "words.parquet", (0, 1.0, "noir"))
    write_keywords(tmp_path, dataset(items), tmp_path / "derived.parquet", searches)
    assert pq.read_table(tmp_path / "keywords.parquet")["words"].to_pylist() == [["drama"], ["noir"], []]
    assert pq.read_table(tmp_path / "searches.parquet")["text"].to_pylist() == ["noir"]


def test_a_version_without_keywords_says_so(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle", users=4, items=8, watched=2)
    with pytest.raises(UserError, match="has no keywords"):
        interests(Reader.open_bundle(tmp_path / "bundle"), "u001")


def test_the_command_prints_each_interest_with_its_events(bundle: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    publish(store, bundle, channel="live", champion=None, lineage=lineage("r0"))
    _register()
    shown = CliRunner().invoke(app, ["interests", "u001", "--store", store.uri], env={"COLUMNS": "200"})
    assert shown.exit_code == 0 and "search “space opera” (2023-11-14)" in shown.stdout
    told = json.loads(CliRunner().invoke(app, ["interests", "u001", "--store", store.uri, "--json"]).stdout)
    assert {each["word"] for each in told["interests"]} >= {"rocket", "space opera"}

"""Popularity by context: what a reason says of it is so, by the events themselves."""

from __future__ import annotations

import re
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.bundle import context_popularity
from nightreel.bundle.assembly import write_contexts
from nightreel.bundle.format import BundleError
from nightreel.data.histories import Histories
from nightreel.reader.options import RequestOptions
from nightreel.reader.reader import Reader
from tests.support.bundles import DAY, UNTIL, reseal, write_bundle

ITEMS = 120
LANGUAGE, MEDIUM = ("ja", "de", "en-GB"), ("video", "podcast")


def written(folder: Path, clock: str = "time") -> Reader:
    """The usual bundle with languages and media types, and what is popular in them."""
    write_bundle(folder, users=60, items=ITEMS, clock=clock)
    table = pq.read_table(folder / "items.parquet")
    table = table.append_column("language", pa.array([LANGUAGE[i // 2 % 3] for i in range(ITEMS)]))
    table = table.append_column("media_type", pa.array([MEDIUM[i // 6 % 2] for i in range(ITEMS)]))
    pq.write_table(table, folder / "items.parquet")
    write_contexts(folder, Reader.open_bundle(folder, check=False).histories, clock == "time")
    reseal(folder)
    return Reader.open_bundle(folder)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return written(tmp_path_factory.mktemp("contexts") / "bundle")


def last_week(reader: Reader) -> np.ndarray:
    """[n] events of each item; all of them where there is no clock."""
    late = reader.histories.times > UNTIL - 7 * DAY if reader.config["clock"] == "time" else slice(None)
    return np.bincount(reader.histories.items[late], minlength=ITEMS)


def having(reader: Reader, where: str, recent: list[int]) -> list[int]:
    """The items that a reason's words mean."""
    language = {"Japanese": "ja", "German": "de", "English": "en"}
    if where == "your language":
        told = [reader.facets.languages[i][-1] for i in recent]
        where = max(set(told), key=told.count)
        assert told.count(where) > len(told) / 2
        language[where] = where
    if where in language:
        return [i for i in range(ITEMS) if language[where] in reader.facets.languages[i]]
    medium = {"videos": "video", "podcasts": "podcast"}.get(where)
    if medium:
        return [i for i in range(ITEMS) if medium in reader.facets.media_types[i]]
    return [i for i in range(ITEMS) if where in reader.items.genres[i]]


@pytest.mark.parametrize("clock", ["time", "order"])
def test_what_a_reason_says_is_so(reader: Reader, clock: str, tmp_path: Path) -> None:
    asked = reader if clock == "time" else written(tmp_path / "bundle", clock)
    when, said = " this week" if clock == "time" else "", dict[str, int]()
    counted = asked.engine.members["popularity"].score(Histories.from_rows([((), ())]), np.array([UNTIL]))[0]
    week = last_week(asked)
    for user in [None, *(f"u{n:03d}" for n in range(60))]:
        row = int(asked.users.rows([user or "nobody"])[0])
        recent = asked.histories[row][0][-10:].tolist()
        for wish in (RequestOptions(), RequestOptions(languages=("ja",)))[: 1 + (clock == "time")]:
            for each in asked.recommend(user, k=8, reasons=True, options=wish):
                item = asked.items.require(each.item_id)
                for reason in (r for r in each.reasons if r.kind == "popular"):
                    said[reason.text] = said.get(reason.text, 0) + 1
                    if reason.text in ("Popular now", "Popular") and (clock == "time") == reason.text.endswith("now"):
                        continue
                    found = re.fullmatch(rf"Popular( in (?P<where>.+?))?{when}", reason.text)
                    assert found, reason.text
                    told = reason.text, each.item_id, user
                    rows = having(asked, found["where"], recent) if found["where"] else list(range(ITEMS))
                    assert item in rows and week[item] > 0 and counted[item] > 0, told
                    assert (week[rows] > week[item]).sum() < min(20, ceil(0.1 * len(rows))), told
    expected = {f"Popular{when}", f"Popular in your language{when}", f"Popular in Sci-Fi{when}"}
    named = {f"Popular in {language}{when}" for language in ("Japanese", "German", "English")}
    assert expected <= set(said) and named & set(said), said


def test_somebody_unknown_gets_what_is_popular_inside_their_wish(reader: Reader) -> None:
    listed = reader.recommend("nobody", k=12, options=RequestOptions(languages=("de",)))
    rows = [reader.items.require(each.item_id) for each in listed]
    counted = reader.engine.members["popularity"].score(Histories.from_rows([((), ())]), np.array([np.nan]))[0]
    german = [i for i in range(ITEMS) if "de" in reader.facets.languages[i]]
    assert rows == sorted(german, key=lambda i: (-counted[i], i))[:12]


def test_the_tables_are_the_last_weeks_and_leave_out_what_says_nothing(tmp_path: Path) -> None:
    """Item 0 was taken most, but before the last week; label `few` has 9 items, `all` has nine tenths of them."""
    labels = [
        (*(["few"] if i < 9 else []), *(["all"] if i < 18 else []), *(["half"] if i % 2 else [])) for i in range(20)
    ]
    past = Histories.from_rows([
        ([0, 1, 3, 3], [UNTIL - 8 * DAY, UNTIL - 6 * DAY, UNTIL - DAY, UNTIL]),
        ([0, 2], [UNTIL - 7 * DAY, UNTIL]),
    ])  # fmt: skip
    nothing = [()] * 20
    context_popularity.write(tmp_path, past, {"languages": nothing, "genres": labels, "media_types": nothing}, True)
    items, events = (np.load(tmp_path / f"popular/{name}.npy") for name in ("items", "events"))
    assert (items[:, :4].tolist(), events[:, :4].tolist()) == (
        [[3, 1, 2, -1], [3, 1, -1, -1]], [[2, 1, 1, 0], [2, 1, 0, 0]],
    )  # fmt: skip
    found = context_popularity.Contexts.read(tmp_path)
    assert found and found.popular == {("", ""): {3, 1}, ("genres", "half"): {3}}
    assert context_popularity.Contexts.read(tmp_path / "none") is None


@pytest.mark.parametrize(
    "content",
    [
        '{"days": 7, "contexts": [[{}, "", 20]]}',
        '{"days": 7, "contexts": [["", 20]]}',
        '{"days": 7, "contexts": [["", "", "many"]]}',
        '{"days": [], "contexts": [["", "", 20]]}',
        '{"contexts": []}',
        "[]",
        "{",
    ],
)
def test_a_list_of_contexts_of_another_form_is_named(tmp_path: Path, content: str) -> None:
    nothing = [()] * 20
    past = Histories.from_rows([([0, 1], [UNTIL - DAY, UNTIL])])
    context_popularity.write(tmp_path, past, dict.fromkeys(context_popularity.FACETS, nothing), True)
    file = tmp_path / "popular" / "contexts.json"
    file.write_text(content)
    with pytest.raises(BundleError, match=r"contexts\.json: is no list of contexts .*Use another version\."):
        context_popularity.Contexts.read(tmp_path)

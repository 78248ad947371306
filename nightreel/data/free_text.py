"""What users write (searches, comments) is not stored: events keep numbers in its place.

    text_number  which of this user's texts about this item it is, so that two comments are no duplicate
    tone         sentiment of a comment in English, from -1 to 1

The words of searches are kept only if `snapshot.searches` asks for it, and only those that the catalogue's titles,
labels and creators use or that WIDELY users searched for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.schema import SNAPSHOT_SEARCHES

WIDELY = 20
"""Users who must have searched for a word that the catalogue does not use."""
LONGEST = 80
"""Maximum characters of the words of one search."""
WORD = re.compile(r"\w+")
Tones = Callable[[Sequence[str]], Sequence[float | None]]


def without_texts(events: pa.Table, tones: Tones) -> pa.Table:
    """Events with the columns text_number and tone in place of `text`; unchanged if there is no such column.

    Args:
        events: Typed events, with pseudonyms.
        tones: Returns the sentiment of each of some distinct comments, None for one that can't be judged.
    """
    if "text" not in events.column_names:
        return events
    text = pc.if_else(pc.equal(pc.utf8_trim_whitespace(events["text"]), ""), None, events["text"]).combine_chunks()
    comment = pc.and_(pc.equal(events["event"], "comment"), text.is_valid())
    coded = pc.if_else(comment, text, None).combine_chunks().dictionary_encode()
    known = pa.array(list(tones(coded.dictionary.to_pylist())), pa.float32())
    own = [events[name] for name in ("user_id", "item_id", "event")]
    at = events.column_names.index("text")
    events = events.set_column(at, "text_number", _numbers(own, text))
    return events.add_column(at + 1, "tone", known.take(coded.indices))


def _codes(cells: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    whole = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    codes: npt.NDArray[np.int64] = whole.dictionary_encode(null_encoding="encode").indices.to_numpy().astype(np.int64)
    return codes


def _numbers(keys: Sequence[pa.ChunkedArray], text: pa.Array) -> pa.Array:
    """[n] number of each text among those with the same keys, in the order in which they appear; null without one."""
    at = np.flatnonzero(text.is_valid().to_numpy(zero_copy_only=False))
    group = np.zeros(len(at), np.int64)
    for cells in keys:
        codes = _codes(cells.take(pa.array(at)))
        group = np.unique(group * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1]
    codes = _codes(text.take(pa.array(at)))
    pairs, first, place = np.unique(
        group * (int(codes.max(initial=0)) + 1) + codes, return_index=True, return_inverse=True
    )
    order = np.lexsort((first, group[first]))
    ordered = group[first][order]
    number = np.empty(len(pairs), np.int64)
    number[order] = np.arange(len(pairs)) - np.searchsorted(ordered, ordered)
    numbers = np.zeros(len(text), np.int32)
    numbers[at] = number[place]
    return pa.array(numbers, mask=~text.is_valid().to_numpy(zero_copy_only=False))


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, in order."""
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def searches(events: pa.Table, items: pa.Table, erased: Collection[str]) -> pa.Table:
    """The words of searches that may be stored, as SNAPSHOT_SEARCHES.

    Args:
        events: Typed events with their texts.
        items: Typed items.
        erased: Users whose searches don't count.
    """
    if "text" not in events.column_names:
        return SNAPSHOT_SEARCHES.empty_table()
    own = events.filter(pc.and_(pc.equal(events["event"], "search"), pc.is_valid(events["text"])))
    own = own.filter(pc.invert(pc.is_in(own["user_id"], pa.array(sorted(erased), pa.string()))))
    rows = own.select(["user_id", "timestamp", "text"]).to_pylist()
    said = [words_of(row["text"]) for row in rows]
    users: dict[str, set[str]] = {}
    for row, words in zip(rows, said, strict=True):
        for word in words:
            users.setdefault(word, set()).add(row["user_id"])
    known = _catalogue_words(items) | {word for word, who in users.items() if len(who) >= WIDELY}
    kept = []
    for row, words in zip(rows, said, strict=True):
        text = " ".join(word for word in words if word in known)[:LONGEST].strip()
        if text:
            kept.append(row | {"text": text})
    return pa.Table.from_pylist(kept, SNAPSHOT_SEARCHES)


def _catalogue_words(items: pa.Table) -> set[str]:
    """Words of titles, labels and creators; of descriptions there would be any word."""
    columns: list[Iterable[str]] = [items["title"].drop_null().to_pylist()]
    columns += [pc.list_flatten(items[name]).to_pylist() for name in ("genres", "tags", "creators")]
    return {word for texts in columns for text in texts for word in words_of(text)}

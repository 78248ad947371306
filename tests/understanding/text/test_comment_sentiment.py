"""The tone of comments: block by block, in English, from enough of them, and only anew where something was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.contract.schema import COMMENTS_SCHEMA
from nightreel.errors import UserError
from nightreel.settings.sentiment import Sentiment
from nightreel.understanding.schema import Understood
from nightreel.understanding.text.comment_sentiment import FEW, Comments
from nightreel.understanding.text.comment_tones import comment_tones
from nightreel.understanding.text.sentiment_model import Lexicon

LIKED = ["I loved every minute of it!", "A wonderful, moving film.", "Great acting and a happy ending."]
HATED = ["A terrible, boring mess.", "What a waste of time, I hated it.", "Awful story and bad acting."]
GERMAN = ["Ein wunderbarer Film!", "Das war sehr langweilig.", "Ich habe sehr gelacht."]


def told(folder: Path, own: dict[int, list[str]], reads: int = 8) -> tuple[list[Understood], dict[str, Any]]:
    """Six items in blocks of three."""
    rows = [
        {"item": item, "tone": tone}
        for item, texts in own.items()
        for tone in comment_tones(texts, reads, folder / "cache")
    ]
    pq.write_table(pa.Table.from_pylist(rows, COMMENTS_SCHEMA), folder / "comments.parquet")
    blocks = [Understood([f"i{at}" for at in range(start, start + 3)]) for start in (0, 3)]
    comments = Comments(folder / "comments.parquet", Sentiment(reads=reads, probability=0.7))
    for at, block in enumerate(blocks):
        comments.give(3 * at, 3, block)
    return blocks, comments.quality()


def test_the_mean_of_enough_comments_in_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {1: [*GERMAN, *LIKED], 2: HATED[:2], 3: HATED, 5: [*LIKED, *HATED]}
    blocks, facts = told(tmp_path, own)
    fields = [row for block in blocks for row in block.fields]
    assert [row.get("comments_read") for row in fields] == [None, 3, None, 3, None, 6]
    liked, hated, mixed = (fields[at]["comment_tone"] for at in (1, 3, 5))
    assert liked > 0.6 and hated < -0.6 and mixed == pytest.approx((liked + hated) / 2, abs=1e-3)
    (few,), (note,) = blocks[0].provenance[2], blocks[1].provenance[0]
    assert few["skipped"] == FEW and (note["field"], note["score"], len(note["input"])) == ("comment_tone", hated, 64)
    assert {name: facts["comments"][name] for name in ("items", "given", "read")} == {
        "items": 4,
        "given": 3,
        "read": 14,
    }
    assert blocks[0].cards["comments"]["model"] == "vaderSentiment"

    read: list[str] = []
    scores = Lexicon.scores
    monkeypatch.setattr(Lexicon, "scores", lambda self, text, reads: read.append(text) or scores(self, text, reads))
    less = {**own, 5: [*LIKED, *HATED[:2]]}
    after = told(tmp_path, less)[0][1].fields[2]
    assert after["comments_read"] == 5 and after["comment_tone"] > mixed, "what an erased user wrote counts no more"
    assert read == [], "a comment is scored once"
    told(tmp_path, {1: ["A splendid surprise."]})
    assert read == ["A splendid surprise."]


def test_without_comments_nothing_is_opened(tmp_path: Path) -> None:
    assert told(tmp_path, {})[1] == {} and not (tmp_path / "cache").exists()
    assert told(tmp_path, {1: LIKED}, reads=0)[1] == {}, "no tone is told"


def test_a_torn_file_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item": [1]}), tmp_path / "comments.parquet")
    with pytest.raises(UserError, match="column `tone` is missing"):
        Comments(tmp_path / "comments.parquet", Sentiment(reads=8, probability=0.7))

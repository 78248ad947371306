"""What is told of the items that have prose: keywords, summary, sentiment and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.content.item_cache import encode_cached
from tasks.content.text_encoder import TextEncoder, Vectors, open_encoder
from tasks.settings import Settings
from tasks.stage import say, state_directory
from tasks.understanding.fields import Understood
from tasks.understanding.prose import Prose
from tasks.understanding.sentiment import give_sentiment
from tasks.understanding.tagging import Tagger, labels_of, learn, lesson
from tasks.understanding.text_fields import describe

Row = dict[str, Any]


def read_prose(
    told: Sequence[int], texts: Sequence[Prose], rows: Sequence[Row], settings: Settings, found: Understood
) -> tuple[Row, Row]:
    """Keywords, summary, sentiment and tags of the items that have prose; returns what was measured of the last two,
    and counts for the log."""
    state, prose = state_directory(), [texts[at] for at in told]
    encoder = open_encoder(settings.embed)
    vectors, tally = encode_cached(encoder, [text.whole for text in prose], state / "cache")
    say(tally.line())
    fields, fresh = describe(encoder, prose, vectors, settings.understand, state / "understand" / "text")
    say(f"keywords and summaries: {fresh:,} of {len(told):,} items; {len(told) - fresh:,} from cache")
    found.cards["text"] = encoder.card() | {"method": "maximal marginal relevance; sentence centrality"}
    for at, text, own in zip(told, prose, fields, strict=True):
        if own.keywords:
            words = {"keywords": list(own.keywords), "keyword_scores": list(own.scores)}
            found.put(at, "keywords", "text", text.digest, words, own.scores[0])
        if own.summary:
            found.put(at, "summary", "text", text.digest, {"summary": own.summary})
    quality = {
        "sentiment": give_sentiment(
            told, prose, vectors, encoder, settings.understand.sentiment, found, state / "understand" / "sentiment"
        ),
        "tags": give_tags(told, prose, vectors, encoder, [rows[at] for at in told], settings, found),
    }
    return quality, {**vars(tally), "described": fresh}


def give_tags(
    told: Sequence[int], prose: Sequence[Prose], vectors: Vectors, encoder: TextEncoder, rows: Sequence[Row],
    settings: Settings, found: Understood,
) -> Row:  # fmt: skip
    """Tags learned from the catalogue's labels; returns what was measured of them."""
    wanted, rng = settings.understand.tags, np.random.default_rng(settings.understand.seed)
    labels = [labels_of(row, wanted.taxonomy) for row in rows]
    task = lesson(vectors, labels, wanted, rng)
    if task is None:
        say(f"tags: fewer than two labels have {wanted.least_items} items with prose: none are learned")
        return {"given": False}
    tagger, quality = learn(task, encoder, wanted, rng)
    told_of = {name: f"{quality[name]['precision@1']:.3f}" for name in ("learned", "commonest", "label_names")}
    say(f"tags: {len(task.names)} labels learned from {len(task.flags):,} items; cross-validated precision@1 "
        f"{told_of['learned']} (always the commonest {told_of['commonest']}, nearest label name "
        f"{told_of['label_names']})")  # fmt: skip
    if tagger is None:
        say("tags: the learned ones are no better than these: none are given")
        return quality | {"given": False}
    _put_tags(told, prose, vectors, tagger, encoder, quality, found)
    return quality | {"given": True}


def _put_tags(
    told: Sequence[int], prose: Sequence[Prose], vectors: Vectors, tagger: Tagger, encoder: TextEncoder, quality: Row,
    found: Understood,
) -> None:  # fmt: skip
    found.cards["tags"] = encoder.card() | {
        "method": "logistic regression, one against the rest, Platt scaling out of fold", "head": tagger.digest(),
        "labels": list(tagger.names), "cross_validated": quality["learned"],
    }  # fmt: skip
    for at, text, (tags, scores) in zip(told, prose, tagger.tags(vectors), strict=True):
        if tags:
            found.put(at, "tags", "tags", text.digest, {"tags": tags, "tag_scores": scores}, scores[0])

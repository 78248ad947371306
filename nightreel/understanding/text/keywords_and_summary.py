"""Keywords and summary of each item that has text, from the encoder's vectors of its phrases and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.content.encoders.base import Report, TextEncoder, Vectors
from nightreel.settings.understand import Understand
from nightreel.understanding.field_cache import FieldCache, code_of, fingerprint
from nightreel.understanding.text.candidate_phrases import phrases_of
from nightreel.understanding.text.extractive import central, relevant_and_different, without_overlap
from nightreel.understanding.text.item_prose import Prose
from nightreel.understanding.text.sentences import sentences_of

BLOCK = 512
"""Items that are encoded together: a phrase that several of them have is encoded once."""
CODE = ("candidate_phrases", "cjk", "extractive", "keywords_and_summary", "sentences", "stopwords")


@dataclass(frozen=True)
class TextFields:
    """keywords with their cosine to the text, best first; summary: empty if the text is about as short itself."""

    keywords: tuple[str, ...]
    scores: tuple[float, ...]
    summary: str


def producer(encoder: TextEncoder, settings: Understand) -> str:
    """Fingerprint of everything that the fields depend on besides the text."""
    code = code_of(*(Path(__file__).with_name(f"{name}.py") for name in CODE))
    return fingerprint(encoder.fingerprint(), settings.keywords.model_dump(), settings.summary.model_dump(), code)


def describe(
    encoder: TextEncoder,
    texts: Sequence[Prose],
    vectors: Vectors,
    settings: Understand,
    cache: FieldCache,
    report: Report,
) -> tuple[list[TextFields], int]:
    """Fields of each text (vectors: [n, dim], of `text.whole`), and the number of texts not in the cache; report:
    progress of these."""
    keys = [text.digest for text in texts]
    known = cache.find(keys)
    todo = [row for row, key in enumerate(keys) if key not in known]
    for start in range(0, len(todo), BLOCK):
        rows = todo[start : start + BLOCK]
        block = _block(encoder, [texts[row] for row in rows], vectors[rows], settings)
        for row, value in zip(rows, block, strict=True):
            known[keys[row]] = value
            cache.put(keys[row], value)
        report(start + len(rows), (start + len(rows)) / len(todo))
    found = [known[key] for key in keys]
    return [TextFields(tuple(each["keywords"]), tuple(each["scores"]), each["summary"]) for each in found], len(todo)


def _block(
    encoder: TextEncoder, texts: Sequence[Prose], vectors: Vectors, settings: Understand
) -> Iterator[dict[str, Any]]:
    phrases = [phrases_of(text.body, text.language, settings.keywords.candidates) for text in texts]
    sentences = [_worth_choosing(text.body, settings) for text in texts]
    distinct = sorted({part for parts in (*phrases, *sentences) for part in parts})
    at = {part: row for row, part in enumerate(distinct)}
    encoded = encoder.encode(distinct)
    for about, words, lines in zip(vectors, phrases, sentences, strict=True):
        chosen, scores = _keywords(about, words, encoded[[at[word] for word in words]], settings)
        best = central(encoded[[at[line] for line in lines]], settings.summary.sentences) if lines else []
        yield {"keywords": chosen, "scores": scores, "summary": " ".join(lines[row] for row in best)}


def _worth_choosing(body: str, settings: Understand) -> list[str]:
    """Sentences to select from; none if the summary would be nearly the whole text."""
    sentences = sentences_of(body)[: settings.summary.reads]
    return sentences if settings.summary.sentences and len(sentences) > settings.summary.sentences + 1 else []


def _keywords(
    about: Vectors, phrases: list[str], vectors: Vectors, settings: Understand
) -> tuple[list[str], list[float]]:
    wanted = settings.keywords.count
    rows = relevant_and_different(about, vectors, 2 * wanted, settings.keywords.diversity) if wanted else []
    kept = without_overlap([phrases[row] for row in rows])[:wanted]
    cosine = {phrases[row]: round(float(vectors[row] @ about), 4) for row in rows}
    return kept, [cosine[phrase] for phrase in kept]

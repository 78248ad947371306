"""Summaries and themes written by a language model, checked; what fails the check goes to a table for review."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.content.progress import Progress
from tasks.settings.understand import Writer
from tasks.stage import say
from tasks.understanding.evidence import SCHEMA, Unfit, check
from tasks.understanding.field_cache import FieldCache, fingerprint
from tasks.understanding.fields import Understood
from tasks.understanding.language import LanguageIdentifier
from tasks.understanding.language_model import LanguageModel
from tasks.understanding.prose import Prose

SYSTEM = (
    "You describe items of a media catalogue. Use only what the text says; leave out what you are not told. "
    "Write the summary in the text's own language, in one or two sentences. "
    "Each theme has a quote: words copied exactly from the text."
)
READ = 6000
"""Characters of a text that the model is shown."""


def prompt_of(prose: Prose) -> str:
    """What the model is asked about an item."""
    language = f"Language: {prose.language}\n" if prose.language else ""
    return f"Title: {prose.title}\n{language}Text:\n{prose.body[:READ]}"


def write_fields(
    told: Sequence[int], texts: Sequence[Prose], model: LanguageModel, identifier: LanguageIdentifier,
    settings: Writer, found: Understood, root: Path,
) -> dict[str, int]:  # fmt: skip
    """Fill `written_summary` and `themes` of the items at `told`; returns counts and tokens.

    An item gets what passes the check; what fails it is a row in `found.review`. When this run's tokens are
    spent, the others wait for the next run: what was answered is kept below root.
    """
    card, spent, asked, fit = model.card(), 0, 0, 0
    progress, last = Progress("written", len(told)), 0.0
    with FieldCache(root, fingerprint(card)) as cache:
        for done, at in enumerate(told, start=1):
            prompt = prompt_of(texts[at])
            key = fingerprint(SYSTEM, prompt, SCHEMA)
            if key not in cache:
                if spent >= settings.budget_tokens:
                    found.skip(at, "written_summary", "writer", key, "this run's tokens were spent")
                    continue
                time.sleep(max(0.0, last + 60 / settings.per_minute - time.monotonic()) if asked else 0.0)
                last = time.monotonic()
                answer = model.answer(SYSTEM, prompt, SCHEMA)
                spent, asked = spent + answer.tokens, asked + 1
                cache.put(key, answer.text)
            fit += _put(found, at, key, cache[key], texts[at], identifier, card)
            progress(done, done / len(told))
    say(f"language model: asked {asked:,} times, {spent:,} tokens; {fit:,} of {len(told):,} answers are fit to use")
    return {"asked": asked, "tokens": spent}


def _put(
    found: Understood, at: int, key: str, answer: str, prose: Prose, identifier: LanguageIdentifier,
    card: dict[str, Any],
) -> bool:  # fmt: skip
    try:
        summary, themes, doubts = check(answer, prose, identifier)
    except Unfit as unfit:
        found.skip(at, "written_summary", "writer", key, f"not used: {unfit}")
        _review(found, at, key, str(unfit), answer)
        return False
    if doubts:
        found.skip(at, "themes", "writer", key, f"not used: {'; '.join(doubts)}")
        _review(found, at, key, "; ".join(doubts), answer)
    found.cards["writer"] = card | {"system": fingerprint(SYSTEM, SCHEMA)}
    found.put(at, "written_summary", "writer", key, {"written_summary": summary, "themes": themes})
    return True


def _review(found: Understood, at: int, key: str, reason: str, answer: str) -> None:
    found.review.append({"item_id": found.item_ids[at], "prompt": key, "reason": reason, "answer": answer})

"""Summaries and themes written by a language model, checked; what fails the check goes to a table for review."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nightreel.content.progress import Progress
from nightreel.settings.understand import Writer
from nightreel.stage import log_progress
from nightreel.understanding.field_cache import FieldCache, fingerprint
from nightreel.understanding.llm.client import LanguageModel
from nightreel.understanding.llm.grounding import SCHEMA, Unfit, check
from nightreel.understanding.schema import Understood
from nightreel.understanding.text.item_prose import Prose
from nightreel.understanding.text.language import LanguageIdentifier

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


class Writing:
    """Writes about block after block of the catalogue; use it in a `with`, which closes its cache below root.

    When this run's tokens are spent, the others wait for the next run: what was answered is kept.
    """

    def __init__(self, model: LanguageModel, identifier: LanguageIdentifier, settings: Writer, root: Path) -> None:
        self.model, self.identifier, self.settings, self.card = model, identifier, settings, model.card()
        self.cache = FieldCache(root, fingerprint(self.card))
        self.told = self.fit = self.spent = self.asked = 0
        self.last = 0.0

    def write(self, told: Sequence[int], texts: Sequence[Prose], found: Understood) -> None:
        """Fill `written_summary` and `themes` of the items at `told` that pass the check; what fails it is a row in
        `found.review`."""
        progress = Progress("written", len(told))
        for done, at in enumerate(told, start=1):
            prompt = prompt_of(texts[at])
            key = fingerprint(SYSTEM, prompt, SCHEMA)
            self.told += 1
            if (answer := self._answer(key, prompt)) is None:
                found.skip(at, "written_summary", "writer", key, "this run's token budget was used up")
            else:
                self.fit += _put(found, at, key, answer, texts[at], self.identifier, self.card)
            progress(done, done / len(told))

    def counts(self) -> dict[str, int]:
        """For the log."""
        return {"asked": self.asked, "tokens": self.spent}

    def _answer(self, key: str, prompt: str) -> str | None:
        """From the cache or the model; None where there are no more tokens for it."""
        if known := self.cache.find([key]):
            return str(known[key])
        if self.spent >= self.settings.budget_tokens:
            return None
        time.sleep(max(0.0, self.last + 60 / self.settings.per_minute - time.monotonic()) if self.asked else 0.0)
        self.last = time.monotonic()
        answer = self.model.answer(SYSTEM, prompt, SCHEMA)
        self.spent, self.asked = self.spent + answer.tokens, self.asked + 1
        self.cache.put(key, answer.text)
        return answer.text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cache.__exit__(kind, error, trace)
        if error is None:
            log_progress(
                f"language model: {self.asked:,} requests, {self.spent:,} tokens; {self.fit:,} of {self.told:,} "
                "responses passed the checks"
            )


def _put(
    found: Understood,
    at: int,
    key: str,
    answer: str,
    prose: Prose,
    identifier: LanguageIdentifier,
    card: dict[str, Any],
) -> bool:
    try:
        summary, themes, doubts = check(answer, prose, identifier)
    except Unfit as unfit:
        found.skip(at, "written_summary", "writer", key, f"rejected: {unfit}")
        _review(found, at, key, str(unfit), answer)
        return False
    if doubts:
        found.skip(at, "themes", "writer", key, f"rejected: {'; '.join(doubts)}")
        _review(found, at, key, "; ".join(doubts), answer)
    found.cards["writer"] = card | {"system": fingerprint(SYSTEM, SCHEMA)}
    found.put(at, "written_summary", "writer", key, {"written_summary": summary, "themes": themes})
    return True


def _review(found: Understood, at: int, key: str, reason: str, answer: str) -> None:
    found.review.append({"item_id": found.item_ids[at], "prompt": key, "reason": reason, "answer": answer})

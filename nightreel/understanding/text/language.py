"""Language identification: kana and hangul are decisive, py3langid decides all other text.

Source: Lui and Baldwin, "langid.py: an off-the-shelf language identification tool" (2012): naive Bayes over bytes.
Memory: 40 MB. Throughput: about 6,000 descriptions per second and core.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nightreel.content.packaged_models import LANGID
from nightreel.understanding.field_cache import FieldCache, code_of, fingerprint
from nightreel.understanding.text.item_prose import Prose

READ = 2000
"""Maximum characters that are read; more change nothing."""
MODEL = "model.npz.xz"
KANA = ("HIRAGANA", "KATAKANA")
SCRIPT_SHARE = 0.2
"""Minimum share of the letters for a script to count: a foreign name in a text is not its language."""


@dataclass(frozen=True)
class Guess:
    """A language (BCP-47) and its probability; the language is empty if the text gives no hint."""

    language: str
    score: float


class LanguageIdentifier:
    """Loads its model (0.7 s) on first use, for a text whose script is not decisive."""

    def identify(self, text: str) -> Guess:
        """The likeliest of the languages that have a two-letter code."""
        read = text[:READ]
        letters = [c for c in read if c.isalpha()]
        if not letters:
            return Guess("", 0.0)
        if not read.isascii():  # the letters are Latin
            scripts = [unicodedata.name(c, "").split(" ")[0] for c in letters]
            if sum(script in KANA for script in scripts) >= SCRIPT_SHARE * len(letters):
                return Guess("ja", 1.0)
            if sum(script == "HANGUL" for script in scripts) >= SCRIPT_SHARE * len(letters):
                return Guess("ko", 1.0)
        language, score = self._model.classify(read)
        return Guess(str(language), round(float(score), 4))

    def card(self) -> dict[str, Any]:
        """Description of the method, for provenance."""
        return {
            "model": "py3langid",
            "revision": LANGID.revision,
            "weights": LANGID.files[MODEL],
            "licence": "BSD-3-Clause",
        }

    @cached_property
    def _model(self) -> Any:
        from py3langid.langid import LanguageIdentifier as NaiveBayes

        folder = LANGID.locate("understand: language identification")
        model = NaiveBayes.from_model_file(folder / MODEL, norm_probs=True)
        # Some of its 140 dialects take probability from related languages, such as Wu from Chinese.
        model.set_languages([label for label in model.labels if len(label) == 2])
        return model


class Languages:
    """Languages of texts, cached in `root`: each text is identified once. Close its `cache`."""

    def __init__(self, identifier: LanguageIdentifier, root: Path) -> None:
        self.identifier = identifier
        self.cache = FieldCache(root, fingerprint(version("py3langid"), code_of(Path(__file__))))

    def of(self, texts: Sequence[Prose]) -> list[Guess]:
        """The language of each text."""
        known = self.cache.find([text.digest for text in texts])
        for text in texts:
            if text.digest not in known:
                guess = self.identifier.identify(text.whole)
                known[text.digest] = [guess.language, guess.score]
                self.cache.put(text.digest, known[text.digest])
        return [Guess(*known[text.digest]) for text in texts]

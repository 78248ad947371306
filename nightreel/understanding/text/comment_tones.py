"""Sentiment of single comments, at the door: what somebody wrote is scored when the source is read, and not stored."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from nightreel.understanding.field_cache import FieldCache, code_of, fingerprint
from nightreel.understanding.text.language import LanguageIdentifier
from nightreel.understanding.text.sentiment import LANGUAGE
from nightreel.understanding.text.sentiment_model import LEXICON, Lexicon, learned

CODE = ("comment_tones", "language", "sentences", "sentiment_model")


def comment_tones(texts: Sequence[str], reads: int, root: Path) -> list[float | None]:
    """The sentiment of each comment, from -1 to 1; None for one that is not in English.

    Args:
        texts: Distinct comments.
        reads: Sentences of a comment that are read; 0: none is judged.
        root: Folder of the cache, which has a score by the hash of a comment.
    """
    if not texts or not reads:
        return [None] * len(texts)
    tone, lexicon, identifier = learned(""), Lexicon(), LanguageIdentifier()
    code = code_of(*(Path(__file__).with_name(f"{name}.py") for name in CODE))
    with FieldCache(root, fingerprint(version(LEXICON), reads, tone.told(), code)) as cache:
        keys = [fingerprint(text) for text in texts]
        known = cache.find(keys)
        for key, text in zip(keys, texts, strict=True):
            if key not in known:
                spoken = identifier.identify(text).language == LANGUAGE
                known[key] = tone.mean([lexicon.scores(text, reads)]) if spoken else None
                cache.put(key, known[key])
        return [known[key] for key in keys]

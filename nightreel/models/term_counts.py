"""Word counts of the items' texts as a sparse matrix, from which TF-IDF is computed.

Words are runs of letters and digits in any script, case-folded. Scripts written without spaces between words (Chinese,
Japanese, Thai and similar) and Korean, which attaches endings to words, are split into character bigrams. A name of
several words counts as one more word wherever a text has it: the words of "Silver Pilots" are those of many artists,
the name is not.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set

import numpy as np
import scipy.sparse as sp

# Thai to Lao, Khmer, kana, Chinese (with its extensions), hangul.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
# Combining accents and vowel signs are not matched by \w; without them, words would be split.
_MARKS = "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u1000-\u109f"
_RUNS = re.compile(f"([{_UNSPACED}]+)|((?:(?![{_UNSPACED}_])[\\w{_MARKS}])+)")
LONGEST_NAME = 5  # words; a longer name is told by its words alone
LEAST_ITEMS = 2  # a word that occurs in one item only makes it similar to no other


def words_of(text: str) -> Iterator[str]:
    """The words of a text in order, after NFKC normalisation, which unifies full-width and composed forms."""
    for unspaced, word in _RUNS.findall(unicodedata.normalize("NFKC", text).casefold()):
        if word:
            yield word
        elif len(unspaced) == 1:
            yield unspaced
        else:
            yield from (unspaced[at : at + 2] for at in range(len(unspaced) - 1))


def _terms(text: str, names: Set[tuple[str, ...]]) -> Iterator[str]:
    """The words of a text, and those names that are in it."""
    words = list(words_of(text))
    yield from words
    for start in range(len(words) if names else 0):
        for end in range(start + 2, min(start + LONGEST_NAME, len(words)) + 1):
            if (name := tuple(words[start:end])) in names:
                yield " ".join(name)


def word_counts(texts: Sequence[Iterable[str]], names: Iterable[str] = ()) -> sp.csr_matrix:
    """Count the words, and the names of several words, that occur in at least LEAST_ITEMS items.

    Args:
        texts: Texts of each of n items.
        names: Such as those of all creators.

    Returns:
        float32 [n, words]. Columns are in alphabetical order of the words, so that the result is deterministic.
    """
    known = {words for words in (tuple(words_of(name)) for name in names) if 1 < len(words) <= LONGEST_NAME}
    counts = [Counter(term for part in parts for term in _terms(part, known)) for parts in texts]
    items = Counter(word for row in counts for word in row)
    index = {word: at for at, word in enumerate(sorted(word for word, n in items.items() if n >= LEAST_ITEMS))}
    kept = [{index[word]: n for word, n in row.items() if word in index} for row in counts]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in kept])]).astype(np.int64)
    indices = np.fromiter((at for row in kept for at in row), np.int32, indptr[-1])
    values = np.fromiter((n for row in kept for n in row.values()), np.float32, indptr[-1])
    matrix = sp.csr_matrix((values, indices, indptr), shape=(len(texts), len(index)))
    matrix.sort_indices()
    return matrix

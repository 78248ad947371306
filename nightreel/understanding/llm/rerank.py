"""Re-rank a list with a language model: it is given titles; the list stays unchanged if it returns no permutation.

Source: Sun et al., "Is ChatGPT Good at Search? Investigating Large Language Models as Re-Ranking Agents", EMNLP 2023
(permutation generation, here in one window). Off by default: its benefit depends on the model, and
`python -m benchmarks.models.rerank` measures it against the blend. SmolLM2-135M-Instruct gave no permutation of 50 in
18 answers, so the blend's order stayed. Cost: one answer of about four tokens per candidate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nightreel.understanding.llm.client import LanguageModel
from nightreel.understanding.llm.grounding import Unfit

SYSTEM = (
    "You order the items of a media catalogue for one person, from what that person liked. "
    "Answer with the numbers of all candidates, each exactly once, the one that suits best first."
)
TOKENS = 6  # output tokens per candidate, including separators
READ = 20
"""History items in the prompt: the newest ones."""


@dataclass(frozen=True)
class Reranked:
    """order: positions in the given list, best first; fault: why the model's output was rejected, else empty;
    tokens: read and written."""

    order: tuple[int, ...]
    fault: str
    tokens: int


def schema_of(count: int) -> dict[str, Any]:
    """Schema of the output for this number of candidates."""
    number = {"type": "integer", "minimum": 1, "maximum": count}
    order = {"type": "array", "items": number, "minItems": count, "maxItems": count}
    return {"type": "object", "additionalProperties": False, "required": ["order"], "properties": {"order": order}}


def prompt_of(history: Sequence[str], candidates: Sequence[str]) -> str:
    """The history's newest items, oldest first, and the numbered candidates."""
    liked = "\n".join(f"- {line}" for line in history[-READ:]) or "- nothing yet"
    listed = "\n".join(f"{number}. {line}" for number, line in enumerate(candidates, 1))
    return f"Liked, oldest first:\n{liked}\n\nCandidates:\n{listed}"


def permutation(answer: str, count: int) -> tuple[int, ...]:
    """Positions from 0, best first, of an output that names each candidate once; raises Unfit otherwise."""
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    try:
        value = json.loads(found[0]) if found else None
    except ValueError:
        value = None
    order = value.get("order") if isinstance(value, dict) and value.keys() == {"order"} else None
    if not isinstance(order, list) or not all(type(number) is int for number in order):
        raise Unfit("is not JSON of the schema")
    if sorted(order) != list(range(1, count + 1)):
        named = len({number for number in order if 1 <= number <= count})
        raise Unfit(f"is no permutation: {len(order)} numbers, which name {named} of {count} candidates")
    return tuple(number - 1 for number in order)


def rerank(model: LanguageModel, history: Sequence[str], candidates: Sequence[str]) -> Reranked:
    """Re-rank the candidates (lines that describe each) for a history, oldest first.

    Output that can't be used leaves the order unchanged. Raises TemporaryError, SettingsError.
    """
    count = len(candidates)
    if count < 2:
        return Reranked(tuple(range(count)), "", 0)
    answer = model.answer(SYSTEM, prompt_of(history, candidates), schema_of(count))
    try:
        return Reranked(permutation(answer.text, count), "", answer.tokens)
    except Unfit as unfit:
        return Reranked(tuple(range(count)), str(unfit), answer.tokens)

"""A transformers model as the token writer of `constrained_json`: greedy, keeps its key-value cache between calls."""

from __future__ import annotations

import re
from typing import Any

from nightreel.understanding.text.sentences import sentences_of

SENTENCES = 2
"""Maximum sentences of a string, as in generated_fields.SYSTEM: small models don't know when to stop."""


class TokenWriter:
    """One output. tokens: number read and written so far; most: maximum number written."""

    def __init__(self, tokenizer: Any, model: Any, most: int) -> None:
        self.tokenizer, self.model, self.most = tokenizer, model, most
        self.tokens = self.written = 0
        self._ids: list[int] = []
        self._state: Any = None

    def until_quote(self, text: str, most: int) -> str:
        """Continuation of `text` up to its first quote or line end."""
        ids, found = self._encoded(text), ""
        while len(found) < most and self.written < self.most:
            token = int(self._scores(ids).argmax())
            if token == self.tokenizer.eos_token_id:
                break
            ids = [*ids, token]
            self.written += 1
            found = str(self.tokenizer.decode(ids[len(self._start) :], skip_special_tokens=True))
            if end := re.search(r'["\n]', found):
                return found[: end.start()].rstrip("\\")
            if len(sentences := sentences_of(found)) > SENTENCES:
                return " ".join(sentences[:SENTENCES])
        return found[:most]

    def likelier(self, text: str, choices: tuple[str, ...]) -> str:
        """By the first token of each choice."""
        scores = self._scores(self._encoded(text))
        first = [self.tokenizer(choice, add_special_tokens=False)["input_ids"][0] for choice in choices]
        return choices[int(scores[first].argmax())]

    def _encoded(self, text: str) -> list[int]:
        self._start: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return list(self._start)

    def _scores(self, ids: list[int]) -> Any:
        """Scores of the next token; tokens of the last call are not processed again."""
        import torch

        shared = next(
            (at for at, (old, new) in enumerate(zip(self._ids, ids, strict=False)) if old != new),
            min(len(self._ids), len(ids)),
        )
        shared = min(shared, len(ids) - 1)
        if self._state is not None and shared < len(self._ids):
            self._state.crop(shared - len(self._ids))  # negative: how many are removed
        given = torch.tensor([ids[shared:]])
        with torch.inference_mode():
            out = self.model(input_ids=given, past_key_values=self._state, use_cache=True)
        self._state, self._ids = out.past_key_values, list(ids)
        self.tokens += len(ids) - shared
        return out.logits[0, -1]

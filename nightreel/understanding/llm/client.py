"""Language models behind one interface: a transformers model on this machine, or an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from nightreel.errors import TemporaryError
from nightreel.settings.section import SettingsError
from nightreel.settings.understand import Writer
from nightreel.understanding.llm.constrained_json import fill
from nightreel.understanding.llm.gguf import PACKAGED, folder_of, packaged
from nightreel.understanding.llm.token_sampler import TokenWriter

KEY = "NIGHTREEL_LLM_KEY"
"""Environment variable with the endpoint's API key; never in params.yaml, logs or outputs."""
TRIES = 4
PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
"""HTTP status codes for which a retry may help."""


EVERY = {401, 402, 403, 404, 405}
"""HTTP status codes that concern the address, the key or the model, not one request."""
SAID = 500
"""Bytes of the server's words in a message."""


@dataclass(frozen=True)
class GeneratedText:
    """Generated text with the numbers of tokens read and written."""

    text: str
    tokens: int


class LanguageModel(Protocol):
    """Generates text from a prompt, as deterministically as the model permits (greedy, temperature 0)."""

    def card(self) -> dict[str, Any]:
        """Description of the model for provenance and the cache."""
        ...

    def answer(self, system: str, prompt: str, schema: dict[str, Any]) -> GeneratedText:
        """Generate text that should be JSON of the schema; the caller must check it. Raises TemporaryError."""
        ...


class Refused(SettingsError):
    """The endpoint refused a request. all_alike: whether it would refuse every other one, too."""

    def __init__(self, code: int, reason: str, said: str) -> None:
        super().__init__(
            f"understand.writer: the endpoint answered {code} ({reason}){f': {said}' if said else ''}. Check endpoint, "
            f"model, understand.writer.request and the key in {KEY}."
        )
        self.all_alike = code in EVERY


def _said(error: urllib.error.HTTPError) -> str:
    """The server's own words, on one line and without the key."""
    try:
        words = error.read(SAID).decode("utf-8", "replace")
    except OSError:
        return ""
    key = os.environ.get(KEY)
    return " ".join((words.replace(key, "…") if key else words).split())


def open_model(settings: Writer) -> LanguageModel:
    """Open the model that the settings name; raises SettingsError."""
    return Endpoint(settings) if settings.endpoint else Local(settings)


class Endpoint:
    """A server with OpenAI's chat completions API."""

    def __init__(self, settings: Writer) -> None:
        if not settings.endpoint.startswith(("http://", "https://")):
            raise SettingsError(
                f"understand.writer.endpoint: {settings.endpoint} is not an http:// or https:// address. Give the "
                "address to which /chat/completions is appended, such as http://localhost:8000/v1."
            )
        self.settings = settings
        self.pause_s = 1.0

    def card(self) -> dict[str, Any]:
        """Without the address: the same model elsewhere is the same model."""
        facts = {"model": self.settings.model, "by": "endpoint", "max_tokens": self.settings.max_tokens}
        return facts | ({"request": self.settings.request} if self.settings.request else {})

    def answer(self, system: str, prompt: str, schema: dict[str, Any]) -> GeneratedText:
        """Send a request; retried with growing pauses if the server is busy or unreachable."""
        body = {
            "model": self.settings.model,
            "temperature": 0,
            "seed": 0,
            "max_tokens": self.settings.max_tokens,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": prompt}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
            **self.settings.request,
        }
        body = {name: value for name, value in body.items() if value is not None}
        for tried in range(TRIES):
            try:
                return self._post(body)
            except urllib.error.HTTPError as error:
                if error.code not in PASSING:
                    raise Refused(error.code, error.reason, _said(error)) from None
                last = f"it answered {error.code}"
            except (OSError, ValueError, LookupError, TypeError) as error:
                last = f"{type(error).__name__}"
            if tried < TRIES - 1:
                time.sleep(self.pause_s * 2**tried)
        raise TemporaryError(
            f"understand.writer: the endpoint did not answer in {TRIES} attempts ({last}). Run again when it is up: "
            "all results so far are kept."
        )

    def _post(self, body: dict[str, Any]) -> GeneratedText:
        address = f"{self.settings.endpoint.rstrip('/')}/chat/completions"
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=self.settings.timeout_s) as response:
            found = json.load(response)
        text = str(found["choices"][0]["message"]["content"])
        used = found.get("usage", {}).get("total_tokens")
        return GeneratedText(text, int(used) if used is not None else len(json.dumps(body) + text) // 4)


class Local:
    """A causal language model from a folder in transformers' format or a GGUF file, on the CPU, greedy."""

    def __init__(self, settings: Writer) -> None:
        self.settings = settings
        self.folder = packaged(settings.model) or Path(settings.model).expanduser()
        if self.folder.suffix == ".gguf" and self.folder.is_file():
            self.folder = folder_of(self.folder)
        if not (self.folder / "config.json").is_file():
            raise SettingsError(
                f"understand.writer.model: {settings.model} holds no config.json. Name a folder in transformers' "
                f"format, a .gguf file, or {', '.join(PACKAGED)}, or set understand.writer.endpoint to a server that "
                "has the model."
            )

    def card(self) -> dict[str, Any]:
        """Name and digest of the files."""
        from nightreel.content.encoders.model_source import ModelSource

        digest = ModelSource(self.folder, self.folder.name, "").digest()
        return {
            "model": self.folder.resolve().name,
            "by": "transformers",
            "weights": digest,
            "form": "given by the schema",
            "max_tokens": self.settings.max_tokens,
        }

    def answer(self, system: str, prompt: str, schema: dict[str, Any]) -> GeneratedText:
        """The schema is in the prompt; where it leaves no choice, its text is inserted."""
        tokenizer, model = self._parts
        instructions = f"{system}\nAnswer with JSON of this schema alone: {json.dumps(schema)}"
        if tokenizer.chat_template:
            turns = [{"role": "system", "content": instructions}, {"role": "user", "content": prompt}]
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        else:
            text = f"{instructions}\n\n{prompt}\n\nJSON: "
        writer = TokenWriter(tokenizer, model, self.settings.max_tokens)
        return GeneratedText(fill(schema, writer, text), writer.tokens)

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        torch.manual_seed(0)
        own: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, **own)
            model = AutoModelForCausalLM.from_pretrained(self.folder, use_safetensors=True, dtype=torch.float32, **own)
        except Exception as error:  # transformers raises a dozen types for a folder that it can't read
            raise SettingsError(
                f"understand.writer.model: {self.folder.name} can't be loaded ({type(error).__name__}). It needs "
                "config.json, a tokenizer and weights as safetensors, of an architecture that transformers knows."
            ) from error
        return tokenizer, model.eval()

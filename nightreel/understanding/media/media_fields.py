"""Fields from media files: transcript, sound and pictures of each item that has a file, or the reason why not."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from nightreel.content.packaged_models import SILERO_VAD
from nightreel.content.progress import Progress
from nightreel.data.ingest.media_files import Pins, Root, at_hand
from nightreel.errors import UserError
from nightreel.settings.understand import Media
from nightreel.stage import file_sha256, log_progress
from nightreel.understanding.field_cache import FieldCache, code_of, fingerprint
from nightreel.understanding.media import audio_features
from nightreel.understanding.media.decoding import Decoded, decode, missing
from nightreel.understanding.media.image_features import MODULES, Pictures
from nightreel.understanding.media.speech_to_text import PACKAGED, Speech
from nightreel.understanding.media.thumbnails import thumbnails
from nightreel.understanding.schema import Understood

Row = Mapping[str, Any]
Values = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """One extractor for decoded files. field: its name in provenance; wants: which items need it; key: of a row
    besides its file; look: returns values as JSON, or `skipped`; put: the values as fields of the item."""

    name: str
    field: str
    card: Values
    look: Callable[[Decoded, Row], Values]
    fields: Callable[[Values], Values]
    wants: Callable[[Row], bool] = lambda row: True
    key: Callable[[Row], str] = lambda row: ""


class MediaFiles:
    """Processes the media files of block after block of the catalogue; a context manager, which closes its caches.

    named: number of items that name a file. Earlier results are cached below `state`.
    """

    def __init__(self, pins: Pins, root: Root, settings: Media, state: Path, named: int) -> None:
        self.pins, self.root, self.settings, self.state = pins, root, settings, state
        self.told, self.named, self.seen, self.there, self.decoded = Progress("media files", named), named, 0, 0, 0
        self.stack, self.warned = ExitStack(), False

    def read(self, rows: Sequence[Row], found: Understood) -> None:
        """Set the fields of every item of the block with a media file."""
        for at, row in enumerate(rows):
            if not (uri := row["media_uri"]):
                continue
            self.seen += 1
            pin = self.pins.get(uri, {"skipped": "was missing when the source was read"})
            if "skipped" in pin:
                found.skip(at, "media", "source", None, pin["skipped"])
            else:
                self.there += 1
                self._look(row, at, pin["sha256"], found)
            self.told(self.seen, self.seen / self.named)

    def counts(self) -> dict[str, int]:
        """A line for the log."""
        return {"media": self.seen, "decoded": self.decoded}

    def _look(self, row: Row, at: int, digest: str, found: Understood) -> None:
        for field, name, reason in self._ways[1]:
            found.skip(at, field, name, digest, reason)
        wanted = [look for look in self._ways[0] if look.wants(row)]
        keys = {look.name: fingerprint(digest, look.key(row)) for look in wanted}
        # What a limit ended is tried again when the file or the limit changes.
        limited = {
            name: fingerprint(key, self.settings.decode_seconds, self.settings.memory_mb) for name, key in keys.items()
        }
        kept = {name: self._caches[name].find([key, limited[name]]) for name, key in keys.items()}
        values = {name: next(iter(own.values())) for name, own in kept.items() if own}
        if todo := [look for look in wanted if look.name not in values]:
            with at_hand(row["media_uri"], self.root) as (path, reason):
                if path is None or file_sha256(path) != digest:
                    fault = reason or "changed during the run"
                    raise UserError(f"media file {row['media_uri']}: {fault}. Run again to read the source anew.")
                content = decode(path, self.settings)
            self.decoded += 1
            self._say(content.network)
            values |= {look.name: look.look(content, row) for look in todo}
            for look in todo if content.repeatable else ():
                kept_as = keys if content.lasting else limited
                self._caches[look.name].put(kept_as[look.name], values[look.name])
        for look in wanted:
            _put(found, at, look, digest, values[look.name])

    def _say(self, network: str) -> None:
        """Say once that the decoder could not be kept from the network."""
        if network and not self.warned:
            self.warned = True
            log_progress(f"media: this system can't take the network from the decoder ({network}); formats are limited")

    @cached_property
    def _ways(self) -> tuple[list[Look], list[tuple[str, str, str]]]:
        return _looks(self.settings)

    @cached_property
    def _caches(self) -> dict[str, FieldCache]:
        opened = {look.name: FieldCache(self.state / look.name, _producer(look)) for look in self._ways[0]}
        return {name: self.stack.enter_context(cache) for name, cache in opened.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()
        if error is None:
            log_progress(
                f"media: {self.decoded:,} of {self.there:,} files decoded; the files of {self.seen - self.there:,} "
                "items can't be read"
            )


def _put(found: Understood, at: int, look: Look, digest: str, values: Values) -> None:
    if "skipped" in values:
        found.skip(at, look.field, look.name, digest, values["skipped"])
        return
    found.cards[look.name] = look.card
    found.put(at, look.field, look.name, digest, look.fields(values), values.get("score"))


def _producer(look: Look) -> str:
    code = code_of(
        *(
            Path(__file__).with_name(f"{name}.py")
            for name in ("audio_features", "decode_child", "image_features", "speech_to_text", "thumbnails")
        )
    )
    return fingerprint(look.name, look.card, code)


def _looks(settings: Media) -> tuple[list[Look], list[tuple[str, str, str]]]:
    """The requested extractors that are installed; and field, name and reason of the others."""
    limits = {"frames": settings.frames, "seconds": settings.most_seconds, "megapixels": settings.most_megapixels}
    offers: tuple[tuple[str, str, bool, tuple[str, ...], Callable[[], Look]], ...] = (
        ("sound", "sound", True, ("av", "faster_whisper"), lambda: _sound(limits)),
        ("speech", "transcript", bool(settings.speech), _speech_modules(settings), lambda: _speech(settings, limits)),
        ("pictures", "pictures", bool(settings.pictures), ("av", *MODULES), lambda: _pictures(limits)),
    )
    looks, absent = [], []
    for name, field, requested, modules, make in offers:
        if requested and (reason := missing(*modules)):
            log_progress(f"{name}: {reason}")
            absent.append((field, name, reason))
        elif requested:
            looks.append(make())
    return looks, absent


def _sound(limits: Values) -> Look:
    from importlib.metadata import version

    SILERO_VAD.locate("understand.media: the voice detector")

    def look(content: Decoded, row: Row) -> Values:
        return {"skipped": content.sound_reason} if content.sound is None else audio_features.listen(content.sound)

    card = {
        "method": "log mel and spectral statistics; Silero's voice detector",
        "dim": audio_features.DIM,
        **limits,
        "engine": f"faster-whisper {version('faster-whisper')}",
    }
    return Look(
        "sound",
        "sound",
        card,
        look,
        lambda v: {
            "sound": v["vector"],
            "speech_share": v["speech"],
            "music_share": v["music"],
            "silence_share": v["silence"],
        },
    )


def _speech_modules(settings: Media) -> tuple[str, ...]:
    package = PACKAGED.get(settings.speech)
    return ("av", "faster_whisper", *((package.module,) if package else ()))


def _speech(settings: Media, limits: Values) -> Look:
    model = Speech.locate(settings.speech, settings.credible)

    def look(content: Decoded, row: Row) -> Values:
        if content.sound is None:
            return {"skipped": content.sound_reason}
        return model.transcribe(content.sound, row["language"] or "")

    return Look(
        "speech",
        "transcript",
        model.card() | limits,
        look,
        lambda v: {
            "transcript": v["text"],
            "segments": [{"start_s": start, "end_s": end, "text": text} for start, end, text in v["segments"]],
        },
        wants=lambda row: not row["transcript"],
        key=lambda row: row["language"] or "",
    )


def _pictures(limits: Values) -> Look:
    model = Pictures()

    def look(content: Decoded, row: Row) -> Values:
        if content.frames is None:
            return {"skipped": content.frames_reason}
        vectors = model.encode(content.frames).astype("<f4")
        small = [base64.b64encode(jpeg).decode() for jpeg in thumbnails(content.frames, content.aspect)]
        return {"times": list(content.times), "vectors": base64.b64encode(vectors.tobytes()).decode(), "jpegs": small}

    def fields(values: Values) -> Values:
        vectors = np.frombuffer(base64.b64decode(values["vectors"]), "<f4").reshape(len(values["times"]), -1)
        mean = vectors.mean(0)
        whole = mean / max(float(np.linalg.norm(mean)), 1e-12)
        jpegs = map(base64.b64decode, values["jpegs"])
        frames = list(zip(values["times"], vectors.tolist(), jpegs, strict=True))
        return {"picture": whole.tolist(), "frames": frames}

    return Look("pictures", "pictures", model.card() | limits, look, fields)

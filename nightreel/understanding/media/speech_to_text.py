"""Speech to text, with the start time of each segment.

Source: Radford et al., "Robust speech recognition via large-scale weak supervision" (Whisper, 2022), through
faster-whisper. Memory: 0.3 GB for tiny.en. Throughput: about 10 times real time on one core, so an hour of video takes
six minutes; once per file.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.content.packaged_models import SILERO_VAD, WHISPER_TINY
from nightreel.settings.section import SettingsError
from nightreel.stage import file_sha256

PACKAGED = {"tiny.en": WHISPER_TINY}
COMPRESSION, NO_SPEECH = 2.4, 0.6
"""Whisper's own limits: text that compresses better repeats itself; above this probability nobody speaks."""
REPEATED = 4
"""Times that a whole segment may occur less one."""
KEPT_SHARE = 0.5
"""Share of the time of all segments that the credible ones must have."""
SURE, VERY_SURE = 0.5, 0.8
"""Probability of a detected language at which it counts, and at which it overrules the catalogue."""


def _credible(heard: list[Any]) -> tuple[list[Any], str]:
    """The segments that were heard and not invented; none, and why, if those are less than half of the time.

    A model that hears no words of its language goes on fluently: it repeats a phrase, or takes leave of viewers.
    """
    times: Counter[str] = Counter(_plain(piece.text) for piece in heard)
    kept, lost = list[Any](), dict[str, float]()
    for piece in heard:
        reason = ""
        if piece.compression_ratio > COMPRESSION or times[_plain(piece.text)] >= REPEATED:
            reason = "it repeats itself"
        elif piece.no_speech_prob > NO_SPEECH:
            reason = "probably nobody speaks"
        if reason:
            lost[reason] = lost.get(reason, 0.0) + _seconds(piece)
        else:
            kept.append(piece)
    whole = sum(map(_seconds, heard))
    if lost and sum(map(_seconds, kept)) < KEPT_SHARE * whole:
        return [], max(lost, key=lost.__getitem__)
    return kept, ""


def _seconds(piece: Any) -> float:
    return max(1e-3, float(piece.end - piece.start))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


@dataclass(frozen=True)
class Speech:
    """A Whisper model in CTranslate2's format; credible: minimum mean log probability of an accepted transcript."""

    name: str
    folder: Path
    credible: float

    @classmethod
    def locate(cls, name: str, credible: float) -> Speech:
        """Locate the model's folder; raises SettingsError if there is none, or if its files are not the package's."""
        if name in PACKAGED:
            return cls(name, PACKAGED[name].locate(f"understand.media.speech: {name}"), credible)
        folder = Path(name).expanduser()
        if not (folder / "model.bin").is_file():
            raise SettingsError(
                f"understand.media.speech: {name} holds no model.bin. Choose a folder with a Whisper model in "
                f"CTranslate2's format, or {', '.join(PACKAGED)}, or leave it empty."
            )
        return cls(folder.resolve().name, folder, credible)

    def card(self) -> dict[str, Any]:
        """Description of the model, for provenance."""
        package = PACKAGED.get(self.name)
        return {
            "model": f"whisper {self.name}",
            "revision": package.revision if package else "",
            "weights": package.files["model.bin"] if package else file_sha256(self.folder / "model.bin"),
            "engine": f"faster-whisper {version('faster-whisper')}",
            "compute": "int8",
            "credible": self.credible,
        }

    def transcribe(self, sound: npt.NDArray[np.int16], language: str) -> dict[str, Any]:
        """`text`, `segments` [[start s, end s, text]], `language` and `score` (mean log probability), or `skipped`.

        language: by the catalogue, empty if unknown.
        """
        spoken = language.partition("-")[0].casefold()
        known = self._model.supported_languages
        if spoken and spoken not in known:
            few = ", ".join(known) if len(known) < 5 else f"{len(known)} others"
            return {"skipped": f"whisper {self.name} supports {few}, not {spoken}"}
        wave = sound.astype(np.float32) / np.float32(32768)
        if spoken and len(known) > 1 and (other := self._other_language(wave, spoken)):
            return {"skipped": f"transcript rejected: {other}"}
        found, info = self._model.transcribe(
            wave,
            language=spoken or None,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            vad_filter=True,
        )
        heard = list(found)
        if not heard:
            return {"skipped": "no speech found"}
        if len(known) > 1 and not spoken and info.language_probability < SURE:
            return {"skipped": f"transcript rejected: its language is unsure ({info.language_probability:.2f})"}
        pieces, reason = _credible(heard)
        if not pieces:
            return {"skipped": f"transcript rejected: {reason}"}
        weights = [_seconds(piece) for piece in pieces]
        score = round(float(np.average([piece.avg_logprob for piece in pieces], weights=weights)), 4)
        if score < self.credible:
            return {"skipped": f"transcript rejected: low confidence (mean log probability {score:.2f})"}
        segments = [[round(p.start, 2), round(p.end, 2), p.text.strip()] for p in pieces]
        text = " ".join(piece[2] for piece in segments)
        return {"text": text, "segments": segments, "language": info.language, "score": score}

    def _other_language(self, wave: npt.NDArray[np.float32], stated: str) -> str:
        """Why the sound is not in the stated language; empty if it may be."""
        language, probability, _ = self._model.detect_language(wave)
        sure = language != stated and probability >= VERY_SURE
        return f"it is in {language} ({probability:.2f}), the catalogue says {stated}" if sure else ""

    @cached_property
    def _model(self) -> Any:
        from faster_whisper import WhisperModel

        SILERO_VAD.locate("understand.media.speech: its voice detector")
        # One thread: the bytes must not depend on the number of cores.
        return WhisperModel(str(self.folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)

"""Find an encoder's files: in a Python package, a local folder, or on a hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nightreel.content.packaged_models import MINILM, UNIVERSAL_MULTILINGUAL
from nightreel.settings.embed import Embed
from nightreel.settings.section import SettingsError
from nightreel.stage import file_sha256, log_progress, state_directory

ENGLISH, UNIVERSAL = "all-MiniLM-L6-v2", "universal-sentence-encoder-multilingual"
PACKAGED = {ENGLISH: MINILM, UNIVERSAL: UNIVERSAL_MULTILINGUAL}
"""Names of encoders that need no network."""
NEEDED = ["*.json", "*.txt", "*.model", "*.safetensors", "README.md"]
"""Files of a hub repository that are downloaded: weights only as safetensors, never pickles, never code."""


@dataclass(frozen=True)
class ModelSource:
    """An encoder's files on this machine. name and revision: as published (for a folder its last part, no path);
    checked: name → SHA-256 of files that were compared with it already."""

    folder: Path
    name: str
    revision: str
    checked: Mapping[str, str] = field(default_factory=dict)

    @property
    def licence(self) -> str:
        """The licence in the model card's header; empty if there is none."""
        card = self.folder / "README.md"
        lines = card.read_text("utf-8", errors="replace").splitlines() if card.is_file() else []
        header = lines[1 : lines.index("---", 1)] if lines[:1] == ["---"] and "---" in lines[1:] else []
        stated = (line.partition(":")[2].strip() for line in header if line.startswith("license:"))
        return next(stated, "")

    def digest(self) -> str:
        """sha256 over the names and contents of the files that determine a vector: all except the model card."""
        files = {p.relative_to(self.folder).as_posix(): p for p in self.folder.rglob("*") if _counts(self.folder, p)}
        sums = {name: self.checked.get(name) or file_sha256(files[name]) for name in sorted(files)}
        return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


def _counts(folder: Path, path: Path) -> bool:
    inner = path.relative_to(folder)
    kept = path.suffix in {".json", ".txt", ".model", ".safetensors", ".npz"}
    return kept and path.is_file() and not any(part.startswith(".") for part in inner.parts)


@dataclass(frozen=True)
class ModelRequest:
    """The requested model, and the fields of params.yaml that name it."""

    name: str
    revision: str
    field: str = "embed.encoder"
    revision_field: str = "embed.revision"


def locate(wanted: ModelRequest | Embed) -> ModelSource:
    """Locate a model's files; a hub model is downloaded if it is not on this machine. Raises SettingsError with the
    remedy."""
    request = ModelRequest(wanted.encoder, wanted.revision) if isinstance(wanted, Embed) else wanted
    name = request.name
    if name in PACKAGED:
        folder = PACKAGED[name].locate(f"{request.field}: {name}")
        return ModelSource(folder, name, "", PACKAGED[name].files)
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return ModelSource(folder, folder.resolve().name, "")
    if folder.is_dir():
        raise SettingsError(f"{request.field}: {name} holds no config.json. Name a folder in transformers' format.")
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise SettingsError(f"{request.field}: folder {name} not found. Correct the path, or give a hub id.")
    return _from_hub(request)


def _from_hub(request: ModelRequest) -> ModelSource:
    """Download a snapshot to the state directory; uses HF_TOKEN as the token."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, revision = request.name, request.revision
    if not revision:
        raise SettingsError(
            f"{request.revision_field}: {name} is a hub id and needs a revision, because a branch can move and equal "
            "parameters must give equal vectors. Give the commit from its hub page (Files, History)."
        )
    cache = state_directory() / "downloads" / "hub"
    try:
        log_progress(f"{name} at {revision}: downloading from the hub (cached for later runs)")
        found = Path(snapshot_download(name, revision=revision, cache_dir=cache, allow_patterns=NEEDED))
    except GatedRepoError:
        raise SettingsError(
            f"{request.field}: {name} is gated. Accept its terms on its hub page and set HF_TOKEN to a token of yours."
        ) from None
    except RevisionNotFoundError:
        raise SettingsError(
            f"{request.revision_field}: {name} has no revision {revision}. Give a commit from its hub page "
            "(Files, History)."
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise SettingsError(
            f"{request.field}: the hub has no {name} (or it is private: then set HF_TOKEN). Correct the id, name a "
            f"local folder, or use one of {', '.join(PACKAGED)}, which need no network."
        ) from None
    except (LocalEntryNotFoundError, OSError) as error:
        raise SettingsError(
            f"{request.field}: {name} is not on this machine and the hub can't be reached ({type(error).__name__}). "
            f"Connect once, name a local folder, or use one of {', '.join(PACKAGED)}, which need no network."
        ) from None
    return ModelSource(found, name, found.name)

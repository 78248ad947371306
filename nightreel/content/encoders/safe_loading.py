"""Load models with transformers safely: quietly, from local files, without remote code and pickles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nightreel.settings.section import SettingsError


@contextmanager
def loading(folder: Path, field: str, needs: str) -> Iterator[None]:
    """Convert any exception into a SettingsError that names the field of params.yaml and what the folder needs."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except SettingsError:
        raise
    except Exception as error:  # transformers raises a dozen types for a folder that it can't read
        what = str(error).strip() or "no message"
        raise SettingsError(
            f"{field}: {folder.name} can't be loaded ({type(error).__name__}: {what.splitlines()[0][:200]}). It needs "
            f"{needs}, of an architecture that transformers knows without remote code."
        ) from error


def read_model(folder: Path, field: str, **options: Any) -> Any:
    """Load a model in float32 on the CPU, for inference; options: of `from_pretrained`. Raises SettingsError if
    required weights are missing."""
    import torch
    from transformers import AutoModel

    model, facts = AutoModel.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
        **options,
    )
    lacking = sorted(key for key in facts["missing_keys"] if "pooler" not in key)
    if lacking:
        raise SettingsError(
            f"{field}: {folder.name} lacks {len(lacking)} weights, such as {lacking[0]}. Choose another model."
        )
    return model.eval()

"""Language models in GGUF files: from a package, and converted to transformers' format once, in the state directory."""

from __future__ import annotations

from contextlib import redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

from nightreel.content.packaged_models import SMOLLM2
from nightreel.settings.section import SettingsError
from nightreel.stage import file_sha256, log_progress, staged_output, state_directory

PACKAGED = {"SmolLM2-135M-Instruct": SMOLLM2}
"""Names of language models whose file comes in a package. The package is installed with --no-deps: the engine that it
asks for is not needed."""


def packaged(name: str) -> Path | None:
    """The checked file of a model that comes in a package; None if the name is not such a model's. Raises
    SettingsError."""
    model = PACKAGED.get(name)
    return model.locate(f"understand.writer.model: {name}") / next(iter(model.files)) if model else None


def folder_of(file: Path) -> Path:
    """Convert to safetensors with config and tokenizer, in a folder named by the file's hash. Raises SettingsError."""
    digest = file_sha256(file)
    folder = state_directory() / "downloads" / "gguf" / digest[:32] / file.stem
    if (folder / "config.json").is_file():
        return folder
    if find_spec("gguf") is None:
        raise SettingsError("understand.writer.model: a .gguf file needs gguf. Run `pip install 'nightreel[gguf]'`.")
    log_progress(f"language model: converting {file.name}, once (about a minute)")
    _convert(file, folder)
    return folder


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    place = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    try:
        with redirect_stderr(StringIO()):  # a progress bar per tensor
            tokenizer = AutoTokenizer.from_pretrained(file.parent, **place)
            read = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **place)
    except Exception as error:  # transformers and gguf raise a dozen types for a file that they can't read
        raise SettingsError(
            f"understand.writer.model: {file.name} can't be read ({type(error).__name__}). It must be a complete GGUF "
            "file of an architecture that transformers knows."
        ) from error
    # A model that was read from GGUF can't be saved; its plain weights in a new network can.
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = type(read)(config)
    model.load_state_dict(read.state_dict())
    with staged_output(folder) as working:
        tokenizer.save_pretrained(working)
        model.save_pretrained(working)

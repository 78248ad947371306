"""The understand stage in a folder with params.yaml and data/validate."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nightreel.data.contract.schema import COMMENTS_SCHEMA, ITEMS_SCHEMA
from nightreel.settings import yaml_values
from nightreel.stage import stage_main
from nightreel.understanding.schema import FIELDS_SCHEMA, PROVENANCE_SCHEMA
from tasks.understand import main
from tests.support.datasets import items_table
from tests.understanding.chat_server import chat_server

pytestmark = pytest.mark.end_to_end

ROOT = Path(__file__).parents[2]
LONG = (
    "A retired astronaut tends a garden on the far side of the moon. Every night a radio signal arrives from a ship "
    "that was lost forty years ago. The astronaut builds a small rocket from old machines. Her neighbours think that she "
    "has gone mad. In the end the lost ship answers her radio."
)
TONES = (0.8, None, 0.7, 0.8)
GERMAN = "Ein alter Uhrmacher sucht in den Straßen von Prag nach seinem verschwundenen Sohn."


def catalogue(n: int = 48) -> pa.Table:
    """Planted items in validate's form; item 0 has a long description, 3 has it twice, 1 a German one without a
    language, 2 none."""
    given = items_table([f"i{at}" for at in range(n)])
    rows = given.to_pylist()
    rows[0]["description"] = LONG
    rows[1] |= {"description": GERMAN, "language": None, "genres": []}
    rows[2] |= {"description": None, "language": None, "title": "Alien"}
    rows[3]["description"] = f"{LONG} {LONG}"
    empty = {"blocked": False, "creators": []}
    return pa.Table.from_pylist([empty | row for row in rows], ITEMS_SCHEMA)


def write(project: Path, table: pa.Table, *, writer: str = "", **changes: object) -> None:
    values = yaml_values.read((ROOT / "params.yaml").read_text())
    values["understand"]["writer"] |= {"endpoint": writer, "model": "a-model" if writer else "", "per_minute": 1e6}
    values["understand"]["tags"] |= {"least_items": 10, **changes}
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    (project / "data" / "validate").mkdir(parents=True, exist_ok=True)
    pq.write_table(table, project / "data" / "validate" / "items.parquet")
    comments = pa.Table.from_pylist([{"item": 2, "tone": tone} for tone in TONES], COMMENTS_SCHEMA)
    pq.write_table(comments, project / "data" / "validate" / "comments.parquet")


def understand(project: Path) -> str:
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(project), contextlib.redirect_stdout(out):
        patch.setenv("NIGHTREEL_STATE", str(project / "state"))
        stage_main(main)
    return out.getvalue()


def outputs(project: Path) -> dict[str, bytes]:
    paths = [*(project / "data" / "understand").iterdir(), project / "metrics" / "understand.json"]
    return {path.name: path.read_bytes() for path in paths}


def test_text_fields_with_provenance_and_only_what_changed_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, catalogue())
    said = understand(tmp_path)
    assert "keywords and summaries of 47 items with a text: 47 new, 0 from cache" in said
    items = pq.read_table(tmp_path / "data/understand/items.parquet")
    notes = pq.read_table(tmp_path / "data/understand/provenance.parquet")
    assert items.schema == FIELDS_SCHEMA and notes.schema == PROVENANCE_SCHEMA
    rows = items.to_pylist()
    assert [row["item_id"] for row in rows] == [f"i{at}" for at in range(48)]
    astronaut, german, bare = rows[:3]
    assert "astronaut" in " ".join(astronaut["keywords"]).casefold() and len(astronaut["keywords"]) == 8
    assert all(word.casefold() in LONG.casefold() for word in astronaut["keywords"])
    assert astronaut["summary"].count(".") == 2 and all(s in LONG for s in astronaut["summary"].split(". "))
    assert rows[3]["summary"] == astronaut["summary"], "a sentence that is said twice is chosen once"
    assert astronaut["language"] is None, "the catalogue's own language is not derived"
    assert (german["language"], german["summary"]) == ("de", None)
    assert bare.keys() == set(FIELDS_SCHEMA.names)
    assert [value for value in bare.values() if value] == ["i2", bare["comment_tone"], 3] and bare["comment_tone"] > 0.5
    assert rows[4]["tags"][:2] and set(rows[4]["tags"]) <= {"Sci-Fi", "Action"}

    cards = json.loads((tmp_path / "data/understand/understand.json").read_text())
    told = {(note["item_id"], note["field"]): note for note in notes.to_pylist()}
    assert (
        set(cards)
        == {"language", "text", "sentiment", "tags", "comments"}
        >= {note["producer"] for note in told.values()}
    )
    assert cards["text"]["encoder"] == "all-MiniLM-L6-v2" and cards["tags"]["labels"] == [
        "Action",
        "Drama",
        "Romance",
        "Sci-Fi",
    ]
    assert told["i1", "language"]["score"] > 0.9 and len(told["i1", "language"]["input"]) == 64
    assert ("i2", "keywords") not in told and told["i0", "summary"]["producer"] == "text"
    assert told["i1", "sentiment"]["skipped"] == "the item is not in English" and german["sentiment_score"] is None
    assert -1 <= astronaut["sentiment_score"] <= 1 and ("i0", "sentiment_score") in told
    metrics = json.loads((tmp_path / "metrics/understand.json").read_text())
    assert metrics["sentiment"]["read"] == sum(row["sentiment_score"] is not None for row in rows)
    assert metrics["with_prose"] == 47 and metrics["tags"]["given"] and metrics["tags"]["learned"]["precision@1"] > 0.9

    before = outputs(tmp_path)
    shutil.rmtree(tmp_path / "data/understand")
    assert "keywords and summaries of 47 items with a text: 0 new, 47 from cache" in understand(tmp_path)
    assert outputs(tmp_path) == before

    whole = {name: pq.read_table(tmp_path / f"data/understand/{name}.parquet") for name in ("items", "provenance")}
    for size in ("pipeline.BLOCK", "pipeline.MOST_ITEMS", "vector_spool.BLOCK"):
        monkeypatch.setattr(f"nightreel.understanding.{size}", 5 if size != "vector_spool.BLOCK" else 2)
    understand(tmp_path)
    for name, table in whole.items():
        path = tmp_path / f"data/understand/{name}.parquet"
        assert pq.read_metadata(path).num_row_groups == 10 and pq.read_table(path).equals(table)
    assert {path.name for path in (tmp_path / "data/understand").iterdir()} <= before.keys()
    monkeypatch.undo()

    changed = catalogue().to_pylist()
    changed[5]["description"] = "A chess player travels through the desert with a camel."
    write(tmp_path, pa.Table.from_pylist(changed, ITEMS_SCHEMA))
    assert "keywords and summaries of 47 items with a text: 1 new, 46 from cache" in understand(tmp_path)
    shutil.rmtree(tmp_path / "state")
    after = outputs(tmp_path)
    understand(tmp_path)
    assert outputs(tmp_path) == after, "the cache holds what looking at everything at once gives"


def test_titles_alone_load_no_encoder(tmp_path: Path) -> None:
    rows = [row | {"description": None} for row in catalogue().to_pylist()]
    write(tmp_path, pa.Table.from_pylist(rows, ITEMS_SCHEMA))
    code = (
        "import sys; from tasks.understand import main; main(); print(sorted({'torch', 'sklearn'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(tmp_path / "state")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "no item has a description or a transcript" in done.stdout and done.stdout.endswith("[]\n")
    assert json.loads((tmp_path / "metrics/understand.json").read_text())["with_prose"] == 0
    assert pq.read_table(tmp_path / "data/understand/items.parquet").num_rows == 48


def test_few_labels_are_not_learned(tmp_path: Path) -> None:
    write(tmp_path, catalogue(), least_items=1000)
    assert "fewer than two labels have 1000 items" in understand(tmp_path)
    assert not any(row["tags"] for row in pq.read_table(tmp_path / "data/understand/items.parquet").to_pylist())


def test_a_language_model_writes_and_its_failures_are_kept_for_review(tmp_path: Path) -> None:
    rows = [row | {"description": None} for row in catalogue(4).to_pylist()]
    rows[0]["description"], rows[3]["description"] = LONG, "A pirate digs for gold on a small island."
    with chat_server() as server:
        write(tmp_path, pa.Table.from_pylist(rows, ITEMS_SCHEMA), writer=server.address)
        assert "language model: 2 requests, 200 tokens; 2 of 2 responses passed the checks" in understand(tmp_path)
    first, *others = pq.read_table(tmp_path / "data/understand/items.parquet").to_pylist()
    assert first["written_summary"] in LONG and first["themes"] == ["signal"]
    assert others[2]["written_summary"] == "A pirate digs for gold on a small island." and not any(
        row["themes"] for row in others
    )
    (row,) = pq.read_table(tmp_path / "data/understand/review.parquet").to_pylist()
    assert row["item_id"] == "i3" and row["reason"] == "the quote for 'signal' is not in the text"
    assert json.loads((tmp_path / "data/understand/understand.json").read_text())["writer"]["model"] == "a-model"

"""The stage graph is dvc.yaml's."""

from pathlib import Path

import pytest

from nightreel.errors import UserError
from nightreel.orchestration.dvc import pipeline


def test_stages_come_in_an_order_that_respects_their_edges(toy: Path) -> None:
    stages = pipeline.read(toy)
    assert [stage.name for stage in stages] == ["fetch", "learn", "score", "send", "note"]
    assert {stage.name: stage.upstream for stage in stages} == {
        "fetch": (), "learn": ("fetch",), "score": ("learn",), "send": ("score",), "note": ("send",),
    }  # fmt: skip
    assert [stage.name for stage in stages if stage.outside] == ["fetch", "send", "note"]
    assert {out for stage in stages for out in stage.uncached} == {"metrics/score.json"}
    assert [stage.cached for stage in stages if stage.name == "score"] == [("data/score",)]
    assert pipeline.closure(stages, "score") == {"fetch", "learn", "score"}


def test_a_dep_inside_an_out_and_an_out_inside_a_dep_are_edges(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n"
        "  c: {cmd: x, deps: [data], outs: [c]}\n"
        "  b: {cmd: x, deps: [data/a/file], outs: [data/b]}\n"
        "  a: {cmd: x, outs: [data/a]}\n"
        "  d: {cmd: x, deps: [data/another], outs: [d]}\n"
    )
    found = {stage.name: stage.upstream for stage in pipeline.read(tmp_path)}
    assert found == {"a": (), "b": ("a",), "c": ("b", "a"), "d": ()}
    assert pipeline.shown(pipeline.read(tmp_path)) == {"a": (), "b": ("a",), "c": ("b",), "d": ()}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stages: [", "Restore it from version control"),
        ("vars: []", "Restore it from version control"),
        ("stages:\n  a: {cmd: x, deps: [b], outs: [a]}\n  b: {cmd: x, deps: [a], outs: [b]}\n", "form a cycle"),
        (None, "Restore it from version control"),
    ],
)
def test_a_broken_list_is_one_message_that_names_the_file(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        pipeline.read(tmp_path)
    assert str(tmp_path / "dvc.yaml") in str(caught.value)

"""Objects of DVC's cache that were cut short are found and made again by their stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.orchestration.dvc import cache_repair
from nightreel.orchestration.dvc.stage_run import StageEnvironment, reproduce
from nightreel.orchestration.project import Project
from nightreel.orchestration.worktree import worktree

NAMES = ("fetch", "learn", "score")


def night(here: Project) -> dict[str, str]:
    """What became of each stage."""
    place = StageEnvironment(here.root, here.environment())
    return {name: reproduce(name, place, lambda line: None).how for name in NAMES}


def cut(cache: Path, content: bytes) -> Path:
    """Cut the object that holds this short, as a power loss does."""
    (found,) = (path for path in (cache / "files").rglob("*") if path.is_file() and path.read_bytes() == content)
    found.chmod(0o644)
    found.write_bytes(content[:3])
    found.chmod(0o444)
    return found


@pytest.mark.end_to_end
def test_a_night_heals_what_a_power_loss_cut(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Project(toy, toy / ".nightreel")
    with worktree(home, {"finetune.seed": 7}) as copy:
        night(copy)
        good = (copy.root / "data" / "learn" / "words.txt").read_bytes()
    with worktree(home, {"finetune.seed": 7}) as copy:
        assert night(copy)["learn"] == "unchanged" and capsys.readouterr().err == ""
    damaged = cut(toy / ".dvc" / "cache", good)
    with worktree(home, {"finetune.seed": 7}) as copy:
        assert "data/learn: its copy in DVC's cache was damaged" in capsys.readouterr().err
        found = night(copy)
        assert found == {"fetch": "ran", "learn": "ran", "score": "unchanged"}
        assert (copy.root / "data" / "learn" / "words.txt").read_bytes() == good == damaged.read_bytes()


@pytest.mark.end_to_end
@pytest.mark.parametrize("what", ["the words", "their list"])
def test_what_dvc_takes_from_an_earlier_run_is_looked_at_too(toy: Path, what: str) -> None:
    home = Project(toy, toy / ".nightreel")
    cache = toy / ".dvc" / "cache"
    with worktree(home, {"finetune.trees.num_leaves": 7}) as copy:
        night(copy)
        good = (copy.root / "data" / "score" / "words.txt").read_bytes()
        (lists,) = (path for path in (cache / "files").rglob("*.dir") if of(path, copy.root))
        listed = lists.read_bytes()
    with worktree(home, {"finetune.trees.num_leaves": 9}) as copy:
        night(copy)  # the newest dvc.lock no longer names what the first night made
    cut(cache, good if what == "the words" else listed)
    with worktree(home, {"finetune.trees.num_leaves": 7}) as copy:
        said: list[str] = []
        place = StageEnvironment(copy.root, copy.environment())
        found = {name: reproduce(name, place, said.append).how for name in NAMES}
        assert found == {"fetch": "ran", "learn": "cached", "score": "ran"}
        assert (copy.root / "data" / "score" / "words.txt").read_bytes() == good
        assert "data/score: its copy in DVC's cache was damaged" in "\n".join(said)
    with worktree(home, {"finetune.trees.num_leaves": 7}) as copy:
        assert night(copy)["score"] == "unchanged"


@pytest.mark.end_to_end
def test_in_the_checkout_too_and_of_a_folders_list(toy: Path) -> None:
    home = Project(toy, toy / ".nightreel")
    night(home)
    cache = toy / ".dvc" / "cache"
    assert cache_repair.remove_damaged(toy, cache, home.state) == []
    (listed,) = (path for path in (cache / "files").rglob("*.dir") if b"words" in path.read_bytes() and of(path, toy))
    cut(cache, listed.read_bytes())
    assert cache_repair.remove_damaged(toy, cache, home.state) == ["data/score"]
    assert not (toy / "data" / "score").exists()
    assert night(home) == {"fetch": "ran", "learn": "unchanged", "score": "ran"}


def of(listed: Path, root: Path) -> bool:
    """Whether it is the list of data/score."""
    return (listed.parent.name + listed.name) in (root / "dvc.lock").read_text().split("- path: data/score\n")[1]


def test_without_a_lock_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert cache_repair.remove_damaged(tmp_path, tmp_path / "cache", tmp_path / "state") == []
    (tmp_path / "dvc.lock").write_text("stages: [")
    assert cache_repair.remove_damaged(tmp_path, tmp_path / "cache", tmp_path / "state") == []


def test_what_was_hashed_is_not_hashed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    name = hashlib.md5(b"content").hexdigest()
    place = tmp_path / "cache" / "files" / "md5" / name[:2] / name[2:]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"content")
    (tmp_path / "dvc.lock").write_text(f"stages: {{a: {{outs: [{{path: out, md5: {name}}}]}}}}")
    check = (tmp_path, tmp_path / "cache", tmp_path / "state")
    assert cache_repair.remove_damaged(*check) == []
    monkeypatch.setattr(cache_repair, "_md5", lambda _: pytest.fail("hashed again"))
    assert cache_repair.remove_damaged(*check) == []

"""A night's commit: what is in it, and that nothing else of the repository changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nightreel.monitoring import history
from nightreel.orchestration.nights import commits
from nightreel.orchestration.nights.branch_log import BRANCH, commit_of, committed
from tests.orchestration.nights.written import night
from tests.support import toy as project


@pytest.fixture
def ran(toy: Path) -> Path:
    """The project with what a night leaves, changed code, and files that are none of the night's business."""
    (toy / "dvc.lock").write_text("schema: '2.0'\n")
    (toy / "metrics").mkdir(exist_ok=True)
    (toy / "metrics" / "score.json").write_text('{"words": 3}')
    (toy / "tasks" / "own.py").write_text("OWN = 1\n")
    (toy / "tasks" / "dump.csv").write_text("user_id\nann\n")
    (toy / "params.yaml").write_text((toy / "params.yaml").read_text("utf-8") + "# changed\n", "utf-8")
    (toy / "films").mkdir()
    (toy / "films" / "events.csv").write_text("user_id,item_id\nann,alien\n")
    return toy


def git(folder: Path, *words: str) -> str:
    return project.call(folder, "git", *words)


def test_the_commit_has_what_the_night_ran_with_and_no_data(ran: Path) -> None:
    commit = commits.keep(ran, ran / ".nightreel", night(1), ran)
    assert commit == git(ran, "rev-parse", BRANCH).strip()
    names = git(ran, "ls-tree", "-r", "--name-only", str(commit)).splitlines()
    assert {"dvc.lock", "metrics/score.json", "tasks/own.py", "dvc.yaml", "nightreel/cli/main.py"} <= set(names)
    assert not [name for name in names if name.startswith(("films", ".nightreel", "data/")) or name.endswith(".csv")]
    assert git(ran, "show", f"{commit}:params.yaml").endswith("# changed\n")


def test_the_message_says_what_came_of_it_and_where_else_it_is(ran: Path) -> None:
    commits.keep(ran, ran / ".nightreel", night(1, recipe="r1", flow_run="f1"), ran)
    assert git(ran, "log", "-1", "--format=%an|%ad|%B", "--date=unix", BRANCH).strip() == (
        "Nightreel|1000|1970-01-01 00:16 UTC promoted abababababab\n\nNDCG@10 +3%.\n\n"
        f"Night: n1\nVersion: {'ab' * 32}\nRecipe: r1\nFlow-run: f1"
    )


def test_the_checkout_stays_as_it_is_and_no_hook_runs(ran: Path) -> None:
    before = [git(ran, "status", "--porcelain"), git(ran, "rev-parse", "HEAD"), (ran / ".git" / "index").read_bytes()]
    for hook in ("pre-commit", "post-commit", "reference-transaction", "commit-msg"):
        path = ran / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {ran / 'hooked'}\nexit 1\n")
        path.chmod(0o755)
    git(ran, "config", "commit.gpgSign", "true")
    index = (ran / ".git" / "index").read_bytes()
    first, second = (commits.keep(ran, ran / ".nightreel", night(number), ran) for number in (1, 2))
    assert (ran / ".git" / "index").read_bytes() == index
    assert [git(ran, "status", "--porcelain"), git(ran, "rev-parse", "HEAD")] == before[:2]
    assert not (ran / "hooked").exists()
    assert git(ran, "rev-parse", f"{second}^").strip() == first


def test_without_git_the_files_stand_in_the_state_directory(tmp_path: Path) -> None:
    root = project.build(tmp_path / "toy", git=False)
    (root / "dvc.lock").write_text("schema: '2.0'\n")
    state = tmp_path / "state"
    assert commits.keep(root, state, night(1), root) is None
    kept = state / "nights" / "files" / "n1"
    assert sorted(path.name for path in kept.iterdir()) == ["dvc.lock", "dvc.yaml", "params.yaml"]
    history.write(state, night(1))
    assert [each.id for each in history.nights(state)] == ["n1"]


def test_two_nights_at_once_both_stand_in_the_branch(ran: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nightreel.monitoring.night import Night\n"
        "from nightreel.orchestration.nights import commits\n"
        "night = Night(id=sys.argv[1], began=1.0, ended=2.0, trigger='form', outcome='held')\n"
        "commits.keep(Path.cwd(), Path.cwd() / '.nightreel', night, Path.cwd())\n"
    )
    both = [
        subprocess.Popen(["python", "-c", code, name], cwd=ran, env=project.environment())
        for name in ("n1", "n2", "n3")
    ]
    assert [each.wait() for each in both] == [0, 0, 0]
    assert sorted(git(ran, "log", "--format=%(trailers:key=Night,valueonly)", BRANCH).split()) == [
        "n1",
        "n2",
        "n3",
    ]


def test_the_nights_of_a_clone_are_found_by_their_versions(ran: Path, tmp_path: Path) -> None:
    first, second, third = (
        commits.keep(ran, ran / ".nightreel", night(number, version=version), ran)
        for number, version in ((1, None), (2, "cd" * 32), (3, "cd" * 32))
    )
    rows = [(each.commit, each.night, each.version) for each in committed(ran)]
    assert rows == [(first, "n1", None), (second, "n2", "cd" * 32), (third, "n3", "cd" * 32)]
    project.call(tmp_path, "git", "clone", "-q", str(ran), "clone")
    assert committed(tmp_path / "clone") == committed(ran)
    assert commit_of(tmp_path / "clone", "cd" * 32) == second and commit_of(ran, "ef" * 32) is None

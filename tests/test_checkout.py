"""Where the state lies: beside dvc.yaml, in every layout of git and without git, and hidden from git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nightreel import checkout
from nightreel.errors import UserError
from nightreel.orchestration import project
from nightreel.stage import prepare_state, state_directory

WHO = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NIGHTREEL_STATE", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)


def git(folder: Path, *words: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["git", *WHO, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(root: Path) -> Path:
    """The two things by which a checkout is known."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "docs").mkdir()
    (root / "docs" / "index.md").write_text("x\n")
    return root


def repository(root: Path) -> Path:
    git(files(root), "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Begin")
    return root


def state_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return state_directory()


def test_plain_subfolder_and_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for root in (repository(tmp_path / "with"), files(tmp_path / "without")):
        assert state_from(root, monkeypatch) == state_from(root / "docs", monkeypatch) == root / ".nightreel"


def test_inside_another_repository_git_sees_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = tmp_path / "outer"
    git(outer, "init", "-q")
    roots = [files(outer / name) for name in ("reco", "other")]
    git(outer, "add", "-A")
    git(outer, "commit", "-qm", "one")
    for root in roots:
        state = state_from(root / "docs", monkeypatch)
        assert state == root / ".nightreel"
        prepare_state(state)
        (state / "pseudonym.key").write_text("secret")
    assert git(outer, "status", "--porcelain") == "" and git(outer, "add", "-A", "-n", ".") == ""


def test_a_submodule_is_a_checkout_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, outer = repository(tmp_path / "inner"), tmp_path / "outer"
    git(outer, "init", "-q")
    git(outer, "submodule", "add", "-q", str(inner), "reco")
    state = state_from(outer / "reco", monkeypatch)
    assert state == outer / "reco" / ".nightreel"
    prepare_state(state)
    assert git(outer / "reco", "status", "--porcelain") == ""


def test_a_linked_worktree_shares_the_main_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository(tmp_path / "main")
    git(root, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    assert state_from(tmp_path / "linked" / "docs", monkeypatch) == root / ".nightreel"


def test_a_worktree_of_a_bare_repository_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository(tmp_path / "origin")), "bare.git")
    git(tmp_path / "bare.git", "worktree", "add", "-q", "--detach", str(tmp_path / "work"))
    assert state_from(tmp_path / "work", monkeypatch) == tmp_path / "work" / ".nightreel"


def test_with_its_git_directory_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = files(tmp_path / "root")
    git(root, "init", "-q", f"--separate-git-dir={tmp_path / 'elsewhere.git'}")
    assert state_from(root, monkeypatch) == root / ".nightreel"


def test_a_runs_own_copy_has_that_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = files(files(tmp_path / "root") / ".nightreel" / "runs" / "20260101-000000-1")
    assert state_from(copy, monkeypatch) == tmp_path / "root" / ".nightreel"


def test_outside_a_checkout_one_above_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app" / "web").mkdir(parents=True)
    assert state_from(tmp_path / "app" / "web", monkeypatch) == tmp_path / "app" / "web" / ".nightreel"
    prepare_state(tmp_path / "app" / ".nightreel")
    assert state_from(tmp_path / "app" / "web", monkeypatch) == tmp_path / "app" / ".nightreel"
    monkeypatch.setattr("os.getuid", lambda: 12345)
    assert state_from(tmp_path / "app" / "web", monkeypatch) == tmp_path / "app" / "web" / ".nightreel"


def test_the_state_of_an_earlier_release_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = tmp_path / "outer"
    git(outer, "init", "-q")
    root = files(outer / "reco")
    (outer / ".nightreel").mkdir()
    monkeypatch.chdir(root)
    with pytest.raises(UserError, match=r"outer/.nightreel: is the state directory of an earlier release.*mv "):
        project.find()
    (outer / ".nightreel").rename(root / ".nightreel")
    assert project.find().state == root / ".nightreel" and checkout.former_state(root) is None


def test_what_dvc_keeps_for_itself_is_private(tmp_path: Path) -> None:
    """DVC itself makes its folder, and those above, writable by everybody if they are missing."""
    ours = tmp_path / "state" / "dvc" / "repo"
    before = os.umask(0)
    ours.mkdir(parents=True)
    os.umask(before)
    (ours / "hashes.db").touch()
    planted = tmp_path / "state" / "dvc" / "theirs"
    (planted / "deep").mkdir(parents=True)
    if os.getuid() == 0:
        os.chown(planted / "deep", 12345, 12345)
    prepare_state(tmp_path / "state")
    modes = [(tmp_path / "state" / name).stat().st_mode & 0o777 for name in (".", "dvc")]
    assert modes == [0o775, 0o700] and (ours / "hashes.db").exists()
    assert planted.exists() == (os.getuid() != 0)
    here = project.Project(tmp_path, tmp_path / "state")
    assert here.environment()["DVC_SITE_CACHE_DIR"] == str(tmp_path / "state" / "dvc")


def test_a_state_that_cant_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file.*: can't be written .*NIGHTREEL_STATE"):
        prepare_state(tmp_path / "file" / "state")

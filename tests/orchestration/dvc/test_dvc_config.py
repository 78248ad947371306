"""DVC's configuration: the store is its remote, unless the user has another one, in the checkout and in its copies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nightreel.orchestration.dvc import dvc_config
from nightreel.orchestration.project import Project
from nightreel.orchestration.worktree import worktree
from nightreel.store.open import open_store
from tests.support import toy as project

pytestmark = pytest.mark.end_to_end


def dvc(home: Project, *words: str) -> str:
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(
        command, cwd=home.root, env=home.environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def config(root: Path) -> str:
    return (root / ".dvc" / "config.local").read_text("utf-8")


@pytest.fixture
def home(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("NIGHTREEL_STORE", str(tmp_path / "the store, #1"))
    return Project(toy, toy / ".nightreel")


@pytest.fixture(params=["a folder", "S3"])
def store(request: pytest.FixtureRequest, home: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store that is the remote; on S3, in a bucket that does not exist before the first night publishes."""
    if request.param == "S3":
        for name, value in request.getfixturevalue("seaweed").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NIGHTREEL_STORE", "s3://films/the index")


@pytest.mark.usefixtures("store")
def test_what_one_checkout_pushes_to_the_store_another_one_pulls(home: Project, tmp_path: Path) -> None:
    dvc_config.settle(home)
    dvc(home, "repro")
    open_store().put("channels/any.json", b"{}")  # as a night does
    dvc(home, "push")
    assert "Everything is up to date" in dvc(home, "push")
    project.call(home.root, "git", "add", "dvc.lock")
    project.call(home.root, "git", "commit", "-q", "-m", "A night")
    project.call(tmp_path, "git", "clone", "-q", str(home.root), "clone")
    other = Project(tmp_path / "clone", tmp_path / "clone" / ".nightreel")
    dvc_config.settle(other)
    dvc(other, "pull")
    words = Path("data") / "score" / "words.txt"
    assert (other.root / words).read_text() == (home.root / words).read_text()


def test_a_remote_of_the_user_stays_and_worktrees_have_it(home: Project, tmp_path: Path) -> None:
    dvc(home, "remote", "add", "--local", "--default", "mine", "../backup")
    before = config(home.root)
    dvc_config.settle(home)
    assert "nightreel" not in config(home.root).replace(str(home.state), "")
    assert set(before.splitlines()) <= set(config(home.root).splitlines())
    with worktree(home, {}) as copy:
        dvc(copy, "repro")
        dvc(copy, "push")
        assert str(tmp_path / "backup") in config(copy.root) and (tmp_path / "backup" / "files").is_dir()
    shutil.rmtree(tmp_path / "backup")


def test_a_default_that_is_committed_stays_too(home: Project) -> None:
    dvc(home, "remote", "add", "--default", "ours", "s3://bucket/dvc")
    dvc_config.settle(home)
    assert "remote" not in config(home.root)
    with worktree(home, {}) as copy:
        assert dvc(copy, "remote", "list").split()[:2] == ["ours", "s3://bucket/dvc"]


def test_settling_twice_writes_once_and_follows_the_store(home: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    dvc_config.settle(home)
    path = home.root / ".dvc" / "config.local"
    before = path.stat().st_mtime_ns
    dvc_config.settle(home)
    assert path.stat().st_mtime_ns == before
    monkeypatch.setenv("NIGHTREEL_STORE", "s3://films/index")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    dvc_config.settle(home)
    assert "url = s3://films/index/dvc" in config(home.root) and "endpointurl = http://127.0.0.1:9000" in config(
        home.root
    )

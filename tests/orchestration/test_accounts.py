"""Any account: one without a name, another than the first, one that may not write the checkout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.testing

from nightreel.cli.main import app
from nightreel.errors import UserError, not_permitted
from nightreel.orchestration import lock, worktree
from nightreel.orchestration.dvc import stale_stages
from nightreel.orchestration.project import Project, settings_of_children
from nightreel.store import channels
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.local import LocalStore

STRANGER = 54321


@pytest.fixture
def stranger() -> Iterator[None]:
    """The rest of the test runs as a user without rights or a name; needs root."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    os.seteuid(STRANGER)
    yield
    os.seteuid(0)


def test_a_user_without_a_name_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "USER" not in settings_of_children(tmp_path)
    monkeypatch.setattr("os.getuid", lambda: STRANGER)
    monkeypatch.delenv("USER", raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    found = settings_of_children(tmp_path)
    assert found["USER"] == f"uid-{STRANGER}" and found["HOME"] == str(tmp_path / "home")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings_of_children(tmp_path)["HOME"] == str(tmp_path)


def test_a_file_of_another_user_is_named_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    path.touch()
    os.chown(path, os.getuid(), os.getgid())
    said = not_permitted(PermissionError(13, "Permission denied", str(path)))
    assert f"{path}: Permission denied; it belongs to " in said and "NIGHTREEL_STATE" in said
    assert "lacks a permission" in not_permitted(PermissionError("no"))


def test_what_may_not_be_read_is_no_empty_store(tmp_path: Path, stranger: None) -> None:
    store = LocalStore(tmp_path / "store")
    for ask in (lambda: channels.channels(store), lambda: channels.live(store), lambda: store.exists("a/b")):
        with pytest.raises(StoreError, match=r"Permission denied"):
            ask()


def test_a_missing_store_is_an_empty_one(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    assert store.list("channels/") == {} and not store.exists("channels/live.json")
    (tmp_path / "file").touch()
    assert not LocalStore(tmp_path / "file").exists("a/b")


def test_a_checkout_that_cant_be_written_is_run_elsewhere(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writable = os.access
    monkeypatch.setattr(
        "os.access", lambda path, mode: (mode != os.W_OK or not Path(path).is_relative_to(toy)) and writable(path, mode)
    )
    with worktree.worktree(Project(toy, tmp_path / "state"), {}) as copy:
        assert copy.root.is_relative_to(tmp_path / "state") and not (copy.root / ".git").exists()
        assert str(tmp_path / "state" / "dvc-cache") in (copy.root / ".dvc" / "config.local").read_text()


def test_a_lock_says_since_when_with_the_date(tmp_path: Path) -> None:
    path, dated = tmp_path / "run.lock", r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    with lock.exclusive(path, "a run"), pytest.raises(UserError, match=dated), lock.exclusive(path, "a run"):
        pass


def test_dvcs_whole_message_is_shown() -> None:
    said = "ERROR: unexpected error - [Errno 13]\n  Permission denied: '/x'\n\nHaving any troubles? dvc.org/support\n"
    assert stale_stages._message(said) == "ERROR: unexpected error - [Errno 13] Permission denied: '/x'"


@pytest.mark.parametrize("option", ["--port", "--mlflow-port", "--store-port"])
def test_a_port_that_is_none_is_refused(option: str) -> None:
    for port in ("80000", "0", "-1"):
        done = typer.testing.CliRunner().invoke(app, ["up", option, port])
        assert done.exit_code == 2

"""Runs with changes happen elsewhere, on what the user sees."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nightreel.errors import UserError
from nightreel.orchestration.dvc import dvc_config
from nightreel.orchestration.dvc.stage_run import SIGNS
from nightreel.orchestration.project import Project, find
from nightreel.orchestration.worktree import KEPT, worktree
from nightreel.settings import yaml_values
from nightreel.stage import prepare_state
from tests.support import toy as project

pytestmark = pytest.mark.end_to_end


def run_all(here: Project) -> dict[str, str]:
    """Reproduce everything at once; what became of each stage."""
    command = [sys.executable, "-m", "dvc", "repro"]
    done = subprocess.run(command, cwd=here.root, env=here.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {
        name: how for line in done.stdout.splitlines() for sign, how in SIGNS if sign in line
        for name in re.findall(r"'(\w+)'", line)
    }  # fmt: skip


def test_it_holds_what_the_user_sees_and_leaves_the_checkout_alone(toy: Path) -> None:
    (toy / "source.txt").write_text("changed, not committed\n")
    (toy / "new file é.txt").write_text("not even added")
    (toy / "prefect.yaml").unlink()
    before = project.call(toy, "git", "status", "--porcelain")
    home = Project(toy, toy / ".nightreel")
    with worktree(home, {"finetune.seed": 7}) as copy:
        assert (copy.root / "source.txt").read_text() == "changed, not committed\n"
        assert (copy.root / "new file é.txt").exists() and not (copy.root / "prefect.yaml").exists()
        assert yaml_values.read((copy.root / "params.yaml").read_text())["finetune"]["seed"] == 7
        assert run_all(copy) == dict.fromkeys(["fetch", "learn", "score", "send", "note"], "ran")
        assert copy.root.is_relative_to(home.state) and copy.state == home.state
    assert project.call(toy, "git", "status", "--porcelain") == before
    assert not (toy / "dvc.lock").exists() and not (toy / "data").exists()

    with worktree(home, {"finetune.seed": 7}) as again:  # starts where the last one ended
        found = run_all(again)
        assert (found["learn"], found["score"]) == ("unchanged", "unchanged")
        assert (again.root / "metrics" / "score.json").exists()


def test_the_cache_is_shared_with_the_checkout(toy: Path) -> None:
    home = Project(toy, toy / ".nightreel")
    run_all(home)
    before = (toy / "dvc.lock").read_bytes()
    with worktree(home, {}) as copy:
        assert run_all(copy)["learn"] == "unchanged"
        assert (copy.root / "dvc.lock").read_bytes() == before


def test_without_git_it_is_a_copy(toy: Path) -> None:
    shutil.rmtree(toy / ".git")
    (toy / "data").mkdir()
    (toy / "data" / "big").write_text("an out")
    (toy / ".venv").mkdir()
    with worktree(Project(toy, toy / ".nightreel"), {"finetune.seed": 7}) as copy:
        assert run_all(copy)["note"] == "ran"
        assert not (copy.root / ".venv").exists() and not (copy.root / ".nightreel").exists()
    assert not (toy / "dvc.lock").exists()


@pytest.mark.parametrize("name", ["Acme, Inc", "a #1", "50% 'q'", "[b]=; $ x"])
def test_any_path_will_do(toy: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_SITE_CACHE_DIR", raising=False)
    root = tmp_path / name / "nr"
    root.parent.mkdir()
    shutil.move(toy, root)
    monkeypatch.chdir(root)
    home = Project(root, root / ".nightreel")
    dvc_config.settle(home)
    plain = {name: value for name, value in home.environment().items() if name != "DVC_SITE_CACHE_DIR"}
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, env=plain, capture_output=True, check=True)
    assert (root / ".nightreel" / "dvc" / "repo").is_dir()
    with worktree(home, {}) as copy:
        assert run_all(copy)["learn"] == "unchanged"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert [path.name for path in root.parent.iterdir()] == ["nr"]


def test_a_submodule_runs_elsewhere_too(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    project.call(outer, "git", "init", "-q")
    project.call(outer, "git", "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(toy), "reco")
    monkeypatch.chdir(outer / "reco")
    home = find()
    assert home == Project(outer / "reco", outer / "reco" / ".nightreel")
    prepare_state(home.state)
    with worktree(home, {"finetune.seed": 7}) as copy:
        assert run_all(copy)["note"] == "ran"
    assert project.call(outer / "reco", "git", "status", "--porcelain") == ""


def test_a_few_are_kept_and_git_forgets_the_others(toy: Path) -> None:
    home, made = Project(toy, toy / ".nightreel"), list[Path]()
    for number in range(KEPT + 2):
        with worktree(home, {}) as copy:
            target = copy.root.with_name(f"2020010{number}-000000-1")
            project.call(toy, "git", "worktree", "move", str(copy.root), str(target))
            made.append(target)
    left = [path for path in made if path.exists()]
    assert left == made[-KEPT:]
    assert project.call(toy, "git", "worktree", "list").count("\n") == 1 + KEPT


def test_a_faulty_change_makes_no_worktree(toy: Path) -> None:
    home = Project(toy, toy / ".nightreel")
    with pytest.raises(UserError, match="no such setting"), worktree(home, {"finetune.sed": 7}):
        pass
    assert not (home.state / "runs").exists()


@pytest.mark.parametrize("with_git", [True, False])
def test_a_full_disk_is_named_while_the_copy_is_made(toy: Path, tmp_path: Path, with_git: bool) -> None:
    """In a file system of 64 kB that is the test's own."""
    if not with_git:
        shutil.rmtree(toy / ".git")
    (toy / "large.bin").write_bytes(bytes(200_000))
    state = tmp_path / "state"
    state.mkdir()
    code = (
        "from pathlib import Path; from nightreel.orchestration.project import Project\n"
        "from nightreel.orchestration.worktree import worktree\n"
        f"with worktree(Project(Path({str(toy)!r}), Path({str(state)!r})), {{}}): pass"
    )
    shell = f'mount -t tmpfs -o size=64k none {shlex.quote(str(state))} && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", shell, "sh", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert "UserError: " in last and "no space left on the device. Free some space" in last and str(state) in last

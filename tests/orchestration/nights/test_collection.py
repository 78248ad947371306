"""Garbage collection of nights, over a toy project whose stages DVC really ran: what stays can be had again."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from nightreel.monitoring import history
from nightreel.orchestration.dvc import dvc_config
from nightreel.orchestration.dvc.cache_sweep import files_of, names_in, place_of
from nightreel.orchestration.dvc.remote_sweep import OBJECTS
from nightreel.orchestration.lock import exclusive
from nightreel.orchestration.nights import commits
from nightreel.orchestration.nights.branch_log import BRANCH, committed
from nightreel.orchestration.nights.collection import collect_nights
from nightreel.orchestration.project import Project
from nightreel.settings import yaml_values
from nightreel.store.backends.local import LocalStore
from nightreel.store.fence import run_lock
from nightreel.store.retention import Keep
from nightreel.store.withdrawals_file import Withdrawals
from tests.orchestration.nights.written import erase, night, published, write_snapshot
from tests.support import toy as project

pytestmark = pytest.mark.end_to_end
LATEST = Keep(versions=1, days=0, grace_hours=0)


def git(folder: Path, *words: str) -> str:
    return project.call(folder, "git", *words)


def dvc(home: Project, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", *words]
    return subprocess.run(
        command, cwd=cwd or home.root, env=home.environment(), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def template(toy_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nights of different sources, each of which left its own objects in DVC's cache."""
    root = project.copy(toy_template, tmp_path_factory.mktemp("nights") / "toy")
    home = Project(root, root / ".nightreel")
    for number in (1, 2, 3):
        (root / "source.txt").write_text(f"night {number}\n" * number)
        done = dvc(home, "repro")
        assert done.returncode == 0, done.stderr
        commits.keep_with(root, home.state, night(number, version=f"{number}" * 64), root)
    return root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Project:
    """A copy of them, whose files are older than the clock's resolution."""
    root = Path(shutil.copytree(template, tmp_path / "toy", symlinks=True))
    time.sleep(0.05)
    return Project(root, root / ".nightreel")


def lock(home: Project, ref: str) -> frozenset[str]:
    return names_in(git(home.root, "show", f"{ref}:dvc.lock"))


def there(home: Project, names: Collection[str]) -> set[str]:
    return {name for name in names if place_of(home.root / ".dvc" / "cache", name).exists()}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_dvc_compares_nights(home: Project) -> None:
    (diff,) = json.loads(dvc(home, "metrics", "diff", f"{BRANCH}~1", BRANCH, "--json").stdout).values()
    assert diff["words"]["diff"] == len("night 3\n" * 3) - len("night 2\n" * 2)
    shown = dvc(home, "exp", "show", "--rev", BRANCH, "-n", "3", "--csv", "--no-pager")
    rows = [row for row in csv.DictReader(io.StringIO(shown.stdout)) if row["rev"] != "workspace"]
    words = [float(row["words"]) for row in rows]
    assert len(rows) == 3 and words[0] > words[1] > words[2] and "finetune.seed" in rows[0]


def test_a_kept_version_s_night_stays_whole_and_the_others_are_freed(home: Project, store: LocalStore) -> None:
    first, second, third = (lock(home, f"{BRANCH}~{back}") for back in (2, 1, 0))
    own = there(home, second - first - third)
    assert len(own) >= 3
    before = git(home.root, "show", "-s", "--format=%T%an%ad%cd%B", f"{BRANCH}~2", f"{BRANCH}")
    collected = collect_nights(home, store, LATEST, {"1" * 64})
    assert collected.dropped == ["n2"] and set(collected.kept) == {"n1", "n3"}
    assert "made 111111111111" in collected.kept["n1"] and collected.freed.objects >= len(own)
    assert not there(home, own) and there(home, first) and there(home, third)
    assert git(home.root, "show", "-s", "--format=%T%an%ad%cd%B", f"{BRANCH}~1", f"{BRANCH}") == before
    assert {each.id: each.commit for each in history.nights(home.state)} == {
        "n1": git(home.root, "rev-parse", f"{BRANCH}~1").strip(),
        "n2": None,
        "n3": git(home.root, "rev-parse", BRANCH).strip(),
    }
    made = home.root.parent / "made"
    git(home.root, "worktree", "add", "--detach", str(made), f"{BRANCH}~1")
    (made / ".dvc" / "config.local").write_text(f"[cache]\ndir = {home.root / '.dvc' / 'cache'}\n")
    assert dvc(home, "checkout", cwd=made).returncode == 0
    assert (made / "data" / "fetch" / "words.txt").read_text() == "night 1\nfetch\n"
    assert dvc(home, "status").returncode == 0


def test_the_command_collects_the_nights_of_its_checkout(home: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.root)
    for options, verb in (["--dry-run"], "would be removed from"), ([], "removed from"):
        done = project.typed("gc", "--versions", "1", "--days", "0", *options)
        assert done.returncode == 0, done.stderr
        assert f"2 of 3 nights {verb} the branch nightreel/nights" in done.stdout
        assert f"0 objects {verb} DVC's cache" in done.stdout  # young: publish.grace_hours
    assert [each.night for each in committed(home.root)] == ["n3"]
    told = json.loads(project.typed("gc", "--json").stdout)
    assert told["nights"]["kept"] == {"n3": "among the newest 10"} and told["removed"] == []
    with exclusive(run_lock(home.state), "a run"):
        refused = project.typed("gc")
    assert refused.returncode == 1 and "a run is already in progress" in refused.stderr


def test_a_dry_run_says_the_same_and_removes_nothing(home: Project, store: LocalStore) -> None:
    before = git(home.root, "rev-parse", BRANCH), sorted((home.root / ".dvc" / "cache").rglob("*"))
    planned = collect_nights(home, store, LATEST, set(), dry_run=True)
    assert (git(home.root, "rev-parse", BRANCH), sorted((home.root / ".dvc" / "cache").rglob("*"))) == before
    assert collect_nights(home, store, LATEST, set()) == planned
    assert planned.dropped == ["n1", "n2"] and planned.freed.objects > 0
    assert collect_nights(home, store, LATEST, set()).freed.objects == 0


def test_what_the_user_s_own_commits_stashes_and_worktrees_name_stays(home: Project, store: LocalStore) -> None:
    first, second = lock(home, f"{BRANCH}~2"), lock(home, f"{BRANCH}~1")
    git(home.root, "checkout", "-q", "-b", "mine")
    shutil.copyfile(home.root / "dvc.lock", home.root / "dvc.lock.kept")
    (home.root / "dvc.lock").write_text(git(home.root, "show", f"{BRANCH}~2:dvc.lock"))
    git(home.root, "add", "-f", "dvc.lock")
    git(home.root, "commit", "-q", "-m", "A run of mine")
    git(home.root, "checkout", "-q", "main")
    shutil.move(home.root / "dvc.lock.kept", home.root / "dvc.lock")
    other = home.root.parent / "elsewhere"
    git(home.root, "worktree", "add", "-q", "--detach", str(other), "main")
    (other / "dvc.lock").write_text(git(home.root, "show", f"{BRANCH}~1:dvc.lock"))
    held = there(home, first | second)
    collected = collect_nights(home, store, LATEST, set())
    assert collected.dropped == ["n1", "n2"] and there(home, first | second) == held


def test_as_a_submodule_what_its_commits_name_stays(template: Path, store: LocalStore, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(template), "reco")
    root = outer / "reco"
    shutil.copytree(template / ".dvc" / "cache", root / ".dvc" / "cache")
    home = Project(root, root / ".nightreel")
    (root / "dvc.lock").write_text((template / "dvc.lock").read_text())
    git(root, "add", "-f", "dvc.lock")
    git(root, "commit", "-q", "-m", "A run of mine")
    (root / "dvc.lock").unlink()
    git(root, "update-ref", "-d", f"refs/remotes/origin/{BRANCH}")  # what a remote's nights name stays, too
    named = names_in(git(root, "show", "HEAD:dvc.lock"))
    before = there(home, named)
    time.sleep(0.05)
    collected = collect_nights(home, store, LATEST, set())
    assert before and there(home, named) == before and collected.freed.objects > 0 and collected.kept == {}


def test_young_nights_and_objects_stay_and_those_of_another_state_directory(home: Project, store: LocalStore) -> None:
    young = time.time() - night(2).began + 10
    assert collect_nights(home, store, Keep(0, young / 86_400, 0), set(), dry_run=True).dropped == ["n1"]
    assert collect_nights(home, store, Keep(1, 0, 1), set(), dry_run=True).freed.objects == 0
    history.path(home.state, night(1)).unlink()
    assert collect_nights(home, store, LATEST, set(), dry_run=True).dropped == ["n2"]


def test_a_cache_that_other_projects_may_use_is_left_alone(home: Project, store: LocalStore) -> None:
    shared = home.root.parent / "shared-cache"
    shutil.move(home.root / ".dvc" / "cache", shared)
    (home.root / ".dvc" / "config.local").write_text(f"[cache]\ndir = {shared}\n")
    before = sorted(shared.rglob("*"))
    collected = collect_nights(home, store, LATEST, set())
    assert collected.shared == shared and sorted(shared.rglob("*")) == before and collected.dropped == ["n1", "n2"]


def test_all_nights_gone_leave_no_branch_and_the_next_begins_anew(home: Project, store: LocalStore) -> None:
    assert len(collect_nights(home, store, Keep(0, 0, 0), set()).dropped) == 3
    assert committed(home.root) == [] and there(home, names_in((home.root / "dvc.lock").read_text()))
    commits.keep_with(home.root, home.state, night(4), home.root)
    assert [each.night for each in committed(home.root)] == ["n4"]


def push(home: Project, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Everything into the store's folder, as a user does; returns the names of what is there."""
    monkeypatch.setenv("NIGHTREEL_STORE", store.uri)
    dvc_config.settle(home)
    done = dvc(home, "push", "--all-commits")
    assert done.returncode == 0, done.stderr
    time.sleep(0.05)
    return pushed(store)


def pushed(store: LocalStore) -> set[str]:
    return {key.removeprefix(OBJECTS).replace("/", "") for key in store.list(OBJECTS)}


def test_the_remote_in_the_store_is_freed_too_and_a_kept_night_can_be_pulled(
    home: Project, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (lock(home, f"{BRANCH}~{back}") for back in (2, 1, 0))
    before = push(home, store, monkeypatch)
    own = before & second - first - third
    assert len(own) >= 3
    made = {"1" * 64}
    tried = collect_nights(home, store, LATEST, made, dry_run=True)
    assert tried.pushed is not None and tried.pushed.objects >= len(own) and pushed(store) == before
    of_others = collect_nights(home, store, LATEST, made | {"f" * 64})
    assert of_others.others and of_others.pushed is not None and of_others.pushed.objects == 0
    assert pushed(store) == before and "which may need them" in " ".join(of_others.lines("removed from"))
    collected = collect_nights(home, store, LATEST, made)
    assert collected.pushed == tried.pushed and "objects removed from DVC's remote" in " ".join(
        collected.lines("removed from")
    )
    assert not own & pushed(store) and before & (first | third) <= pushed(store)
    shutil.rmtree(home.root / ".dvc" / "cache")
    git(home.root, "checkout", "-q", "--force", f"{BRANCH}~1")
    assert dvc(home, "pull", "--force").returncode == 0
    assert (home.root / "data" / "fetch" / "words.txt").read_text() == "night 1\nfetch\n"


def test_a_remote_of_the_user_s_own_is_left_alone(
    home: Project, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = push(home, store, monkeypatch)
    assert dvc(home, "remote", "add", "--local", "--default", "mine", "../backup").returncode == 0
    assert collect_nights(home, store, LATEST, set()).pushed is None and pushed(store) == before


def test_the_data_of_a_night_with_an_erased_user_go_and_its_commit_stays(
    home: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, store = home.root, published(tmp_path)
    stage = '\n  snapshot:\n    cmd: "true"\n    outs: [{data/snapshot: {persist: true}}]\n'
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text() + stage)
    for number, users in ((4, ["ann", "ben"]), (5, ["ben"])):
        shutil.rmtree(root / "data" / "snapshot", ignore_errors=True)
        write_snapshot(root / "data" / "snapshot", [users], erased=[])
        done = dvc(home, "repro", "--force", "snapshot")
        assert done.returncode == 0, done.stderr
        commits.keep_with(root, home.state, night(number, version=f"{number}" * 64), root)
    before = push(home, store, monkeypatch)
    erase(store, "live", Withdrawals(erased=("ann",)))
    fourth, fifth = (there(home, snapshot_files(home, ref)) for ref in (f"{BRANCH}~1", BRANCH))
    assert fourth - fifth and fourth | fifth <= before
    collected = collect_nights(home, store, Keep(9, 0, 0), {"f" * 64})  # a version of another checkout
    assert collected.others and before - pushed(store) == fourth - fifth
    assert collected.erased == ["n4"] and collected.dropped == []
    assert not there(home, fourth - fifth) and there(home, fifth) == fifth
    assert [each.night for each in committed(root)] == ["n1", "n2", "n3", "n4", "n5"]


def snapshot_files(home: Project, ref: str) -> frozenset[str]:
    """The objects of the snapshot that a night's dvc.lock names."""
    outs = yaml_values.read(git(home.root, "show", f"{ref}:dvc.lock"))["stages"]["snapshot"]["outs"]
    name = outs[0]["md5"]
    return frozenset({name, *files_of(home.root / ".dvc" / "cache", name).values()})

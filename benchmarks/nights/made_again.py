"""Ten nights of a growing log, and each of their versions made again by a stranger: are they the same, byte for byte?

    python -m benchmarks.nights.made_again                     # ten nights in a temporary folder
    python -m benchmarks.nights.made_again --folder FOLDER     # where its files are kept; again, to go on after a kill

A copy of this checkout runs the nights of `NIGHTS`: each has a day more than the one before, and most have something
else of their own. They are pushed to a DVC remote (`dvc push --all-commits`), and the checkout's cache is hidden. Then
another clone, with an empty state directory, reproduces every version from the commits, the remote and the store alone.
Exits with status 1 if one differs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.nights import drifting_log
from benchmarks.nights.__main__ import SETTINGS

HERE = Path(__file__).resolve().parents[2]
FIRST_DAY = 16
USERS, ITEMS = 240, 120
NIGHTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the first", ()),
    ("a day more", ()),
    ("another seed", ("finetune.seed=7",)),
    ("a day more", ()),
    ("three members", ("finetune.members=[popularity, ease, item_knn]",)),
    ("another channel", ("snapshot.channel=canary",)),
    ("two cuts in time", ("validate.cuts=2",)),
    ("plain ids", ("snapshot.pseudonymise='off'", "snapshot.channel=plain")),
    ("more trees", ("finetune.trees.num_trees=[80]", "snapshot.channel=trees")),
    ("another margin", ("evaluate.margin=0.5",)),
)
"""What is different on each night, and the settings for it."""


def main() -> int:
    """Run and print; returns the exit status."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.nights.made_again",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, help="where all files are kept; default: a temporary folder")
    given = parser.parse_args()
    if given.folder is not None:
        return _run(given.folder.resolve())
    with tempfile.TemporaryDirectory(prefix="made-again-") as folder:
        return _run(Path(folder))


def _run(folder: Path) -> int:
    home, stranger = folder / "home", folder / "stranger"
    versions = [_night(folder, home, number) for number in range(1, len(NIGHTS) + 1)]
    if not stranger.exists():
        _call(home, "dvc", "remote", "add", "--local", "--default", "backup", str(folder / "remote"))
        _call(home, "dvc", "push", "--all-commits")
        (home / ".dvc" / "cache").rename(folder / "hidden-cache")
        _call(folder, "git", "clone", "--quiet", str(home), str(stranger))
        _call(stranger, "dvc", "remote", "add", "--local", "--default", "backup", str(folder / "remote"))
    same = [_made_again(folder, stranger, *row) for row in zip(NIGHTS, versions, strict=True)]
    print(f"{sum(same)} of {len(same)} were made again, byte for byte; {len(set(versions))} versions are different")
    return int(not all(same))


def _night(folder: Path, home: Path, number: int) -> str:
    """Let a night happen, unless it has; returns its version."""
    kept = folder / f"night-{number}.json"
    if not kept.exists():
        if not home.exists():
            _copy_checkout(home)
        _deliver(folder / "log", FIRST_DAY + number)
        began = time.monotonic()
        chosen = [word for each in (*SETTINGS, *NIGHTS[number - 1][1]) for word in ("--set", each)]
        _call(home, *_nightreel("run", "--data", str(folder / "log"), "--json", *chosen))
        night = json.loads(_call(home, *_nightreel("nights", "--json")))[0]
        kept.write_text(json.dumps(night | {"seconds": time.monotonic() - began}))
    night = json.loads(kept.read_text())
    print(f"night {number}: {night['outcome']:<9} {night['version'][:12]}  {night['seconds']:4.0f} s", flush=True)
    return str(night["version"])


def _made_again(folder: Path, stranger: Path, night: tuple[str, tuple[str, ...]], version: str) -> bool:
    """Make a version again, unless that was done before the last kill."""
    kept, began = folder / f"made-{version[:12]}.json", time.monotonic()
    if not kept.exists():
        words = _nightreel("reproduce", version, "--store", str(folder / "home" / ".nightreel" / "store"), "--json")
        done = subprocess.run(words, cwd=stranger, env=_environment(), capture_output=True, text=True, check=False)
        failed = {"same": False, "made": "nothing", "differs_at": done.stderr[-600:]}
        result: dict[str, Any] = json.loads(done.stdout) if done.stdout else failed
        kept.write_text(json.dumps(result | {"seconds": time.monotonic() - began}))
    found = json.loads(kept.read_text())
    said = "the same" if found["same"] else f"{found['made'][:12]} differs at {found['differs_at']}"
    print(f"{version[:12]}  {night[0]:<17} {said}  {found['seconds']:4.0f} s", flush=True)
    return bool(found["same"])


def _copy_checkout(home: Path) -> None:
    """A repository of its own with this checkout's files."""
    for name in filter(None, _call(HERE, "git", "ls-files", "-coz", "--exclude-standard").split("\0")):
        if (HERE / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, home / name)
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Begin"]):
        _call(home, "git", *words)


def _deliver(folder: Path, days: int) -> None:
    """Write the log as of so many days: what a night finds."""
    with tempfile.TemporaryDirectory() as whole:
        drifting_log.write(Path(whole), users=USERS, items=ITEMS, days=FIRST_DAY + len(NIGHTS) + 1)
        end = drifting_log.START + dt.timedelta(days=days)
        events = pq.read_table(Path(whole) / "events.parquet", filters=[("timestamp", "<", end)])
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(events, folder / "events.parquet")
        for name in ("items.parquet", "terms.txt"):
            shutil.copy2(Path(whole) / name, folder / name)


def _nightreel(*words: str) -> list[str]:
    return [sys.executable, "-c", "from nightreel.cli.main import main; main()", *words]


def _call(folder: Path, *command: str) -> str:
    words = [sys.executable, "-m", *command] if command[0] == "dvc" else list(command)
    done = subprocess.run(words, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def _environment() -> dict[str, str]:
    """This process's, with the copy's own code, no state directory of somebody else, and an identity for git."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "NIGHTREEL_"))}
    who = {f"GIT_{role}_{what}": f"nights{at}" for role in ("AUTHOR", "COMMITTER") for what, at in
           (("NAME", ""), ("EMAIL", "@example.org"))}  # fmt: skip
    path = os.pathsep.join([str(Path(sys.executable).parent), ours.get("PATH", os.defpath)])
    return ours | who | {"PYTHONPATH": ".", "PATH": path}


if __name__ == "__main__":
    sys.exit(main())

"""A fresh checkout of what is in the working tree, over a small planted data set."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nightreel.settings import yaml_values
from tests.support import datasets, toy

Checkout = Callable[[str], Path]

# A run of seconds: few rounds, small text blocks; everything else is as it ships.
SMALL = {"evaluate": {"bootstrap_replicates": 200}, "finetune": {"encoder_steps": 2, "encoder_pairs": 8}}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> datasets.Planted:
    """The data."""
    return datasets.write_dataset(tmp_path_factory.mktemp("source"), users=80, items=60, events=1600)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory, source: datasets.Planted) -> Checkout:
    """Makes a checkout by name, committed, with params.yaml pointing at the data."""
    folder = tmp_path_factory.mktemp("checkouts")

    def make(name: str) -> Path:
        root = folder / name
        listed = toy.call(toy.HERE, "git", "ls-files", "-coz", "--exclude-standard")
        for path in filter(None, listed.split("\0")):
            if (toy.HERE / path).is_file():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(toy.HERE / path, root / path)
        params = yaml_values.read((root / "params.yaml").read_text("utf-8"))
        params["snapshot"]["source"] = str(source.folder)
        for section, fields in SMALL.items():
            params[section] |= fields
        (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
        for lock in (root / "dvc.lock", *(root / "metrics").glob("*.json")):
            lock.unlink(missing_ok=True)
        for words in (["init", "-b", "main"], ["add", "-A"], ["commit", "-m", "Begin"]):
            toy.call(root, "git", *words)
        # One key everywhere, as in a team: pseudonyms are in the recipe.
        (root / ".nightreel").mkdir()
        (root / ".nightreel" / "pseudonym.key").write_text("ab" * 32 + "\n")
        (root / ".nightreel" / "pseudonym.key").chmod(0o600)
        return root

    return make


def run(root: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`nightreel WORDS` there; a failing one fails the test with what it said."""
    done = toy.nightreel(root, *words, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def wait_for_file(path: Path, process: subprocess.Popen[bytes], seconds: float = 900.0) -> None:
    """Wait until a process has written a file."""
    deadline = time.monotonic() + seconds
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None, "the replay ended before"
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.2)

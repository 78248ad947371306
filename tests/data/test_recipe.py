"""What changes the recipe, and what must not."""

from __future__ import annotations

import copy
import platform
from pathlib import Path
from typing import Any

import pytest
import yaml

from nightreel.data import environment, recipe
from nightreel.errors import UserError

PARAMS: dict[str, Any] = {
    "snapshot": {"source": "a", "clock": "auto"},
    "finetune": {"seed": 1},
    "publish": {"dry_run": False},
    "record": {"experiment": "x"},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with a stage, what it imports, and a page that no stage imports."""
    for name in ("nightreel/data/read.py", "nightreel/models/fit.py", "nightreel/report/page.py", "tasks/learn.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a = 1\n")
    stage = {"cmd": "python -m tasks.learn", "deps": ["nightreel/models", "tasks/learn.py", "data/snapshot"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"learn": stage}}))
    (tmp_path / "lock").write_text("numpy==2.4.0\n")
    return tmp_path


def made(root: Path, changes: dict[str, Any] | None = None, source: str = "s", device: str = "cpu") -> str:
    params = copy.deepcopy(PARAMS)
    for name, value in (changes or {}).items():
        section, key = name.split(".")
        params[section][key] = value
    code = recipe.code_digest(root, recipe.computing_code(root))
    return str(recipe.make_recipe(source, params, code, root / "lock", {"device": device})["recipe"])


def test_where_results_go_and_where_data_lie_are_no_part_of_it(root: Path) -> None:
    first = made(root)
    assert made(root, {"publish.dry_run": True}) == made(root, {"record.experiment": "y"}) == first
    assert made(root, {"snapshot.source": "another folder with the same files"}) == first
    (root / "nightreel/models/__pycache__").mkdir()
    (root / "nightreel/models/__pycache__/a.cpython-311.pyc").write_bytes(b"compiled")
    assert made(root) == first


def test_what_only_shows_results_is_no_part_of_it(root: Path) -> None:
    """A letter in the report's style made another recipe, and so lifted the block of a rollback."""
    first = made(root)
    (root / "nightreel/report/page.py").write_text("a = 2\n")
    assert made(root) == first


def test_source_params_code_lock_and_environment_are(root: Path) -> None:
    found = {
        made(root),
        made(root, source="t"),
        made(root, device="cuda"),
        made(root, {"finetune.seed": 2}),
        made(root, {"snapshot.clock": "order"}),
    }
    for name in ("nightreel/data/read.py", "nightreel/models/fit.py", "tasks/learn.py"):
        (root / name).write_text("a = 2\n")
        found.add(made(root))
    (root / "nightreel/models/fit.py").rename(root / "nightreel/models/train.py")
    found.add(made(root))
    (root / "lock").write_text("numpy==2.4.1\n")
    found.add(made(root))
    (root / "nightreel/models/learned.json").write_text("[1]\n")
    found.add(made(root))
    assert len(found) == 11


def test_a_broken_list_of_stages_is_named(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages: [")
    with pytest.raises(UserError, match=r"(?s)dvc.yaml: can't be read as a list of stages.*Restore it"):
        made(root)


def test_the_code_of_this_checkout_is_there() -> None:
    here = Path(__file__).parents[2]
    paths = recipe.computing_code(here)
    assert {"nightreel/data", "tasks/snapshot.py", "tasks/finetune.py"} <= set(paths)
    assert [path for path in paths if not (here / path).exists()] == []
    assert not any(path.startswith(("nightreel/report", "nightreel/cli", "nightreel/service")) for path in paths)


def test_a_missing_lock_is_named(root: Path) -> None:
    (root / "lock").unlink()
    with pytest.raises(UserError, match=r"lock: not found; .*Restore it"):
        made(root)


def test_the_environment_is_described_the_same_twice() -> None:
    facts = environment.describe()
    assert facts == environment.describe() and facts["python"] == platform.python_version()
    assert facts["device"] in ("cpu", "cuda", "mps") and facts["threads"] >= 1


@pytest.mark.parametrize(("text", "features"), [
    ("processor: 0\nflags\t\t: fpu avx2 fma amx_bf16 sse\n\nflags : other\n", ["amx_bf16", "avx2", "fma"]),
    ("Features\t: fp asimd bf16 i8mm\n", ["asimd", "bf16", "i8mm"]),
    ("nothing of use\n", []),
])  # fmt: skip
def test_cpu_features_are_the_telling_ones(tmp_path: Path, text: str, features: list[str]) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert environment.cpu_features(tmp_path / "cpuinfo") == features
    assert environment.cpu_features(tmp_path / "absent") == []


def test_threads_follow_the_limit_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environment.describe()["threads"] == 3

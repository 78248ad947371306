"""What changes the recipe, and what must not."""

from __future__ import annotations

import copy
import platform
from pathlib import Path
from typing import Any

import pytest

from nightreel.data import environment, recipe
from nightreel.errors import UserError

PARAMS: dict[str, Any] = {
    "snapshot": {"source": "a", "clock": "auto"},
    "finetune": {"seed": 1},
    "publish": {"dry_run": False},
    "record": {"experiment": "x"},
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "code/inner").mkdir(parents=True)
    (tmp_path / "code/inner/a.py").write_text("a = 1\n")
    (tmp_path / "lock").write_text("numpy==2.4.0\n")
    return tmp_path / "code"


def made(package: Path, changes: dict[str, Any] | None = None, source: str = "s", device: str = "cpu") -> str:
    params = copy.deepcopy(PARAMS)
    for name, value in (changes or {}).items():
        section, key = name.split(".")
        params[section][key] = value
    return str(recipe.make_recipe(source, params, package, package.parent / "lock", {"device": device})["recipe"])


def test_where_results_go_and_where_data_lie_are_no_part_of_it(package: Path) -> None:
    first = made(package)
    assert made(package, {"publish.dry_run": True}) == made(package, {"record.experiment": "y"}) == first
    assert made(package, {"snapshot.source": "another folder with the same files"}) == first
    (package / "inner/__pycache__").mkdir()
    (package / "inner/__pycache__/a.cpython-311.pyc").write_bytes(b"compiled")
    assert made(package) == first


def test_source_params_code_lock_and_environment_are(package: Path) -> None:
    found = {
        made(package),
        made(package, source="t"),
        made(package, device="cuda"),
        made(package, {"finetune.seed": 2}),
        made(package, {"snapshot.clock": "order"}),
    }
    (package / "inner/a.py").write_text("a = 2\n")
    found.add(made(package))
    (package / "inner/a.py").rename(package / "inner/b.py")
    found.add(made(package))
    (package.parent / "lock").write_text("numpy==2.4.1\n")
    found.add(made(package))
    (package / "inner/learned.json").write_text("[1]\n")
    found.add(made(package))
    assert len(found) == 9


def test_a_missing_lock_is_named(package: Path) -> None:
    (package.parent / "lock").unlink()
    with pytest.raises(UserError, match=r"lock: not found; .*Restore it"):
        made(package)


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

"""The two lists of what is installed: exact versions, and the same with the hashes of their files."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s\\]+)(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})*)$", re.MULTILINE
)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, tuple[str, int]]:
    """Package → version and number of hashes; fails if a line is anything else."""
    text = (ROOT / file).read_text("utf-8")
    assert not PIN.sub("", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).strip()
    return {normal(pin["name"]): (pin["version"], pin["hashes"].count("sha256:")) for pin in PIN.finditer(text)}


def test_every_version_has_hashes_but_that_of_torch() -> None:
    locked, hashed = pins("requirements.lock"), pins("requirements-hashed.txt")
    assert {name: version for name, (version, _) in locked.items() if name != "torch"} == {
        name: version for name, (version, _) in hashed.items()
    }
    assert all(count > 0 for _, count in hashed.values())
    assert "setuptools" in hashed, "what is built is built with it"


def test_what_is_installed_has_the_listed_versions() -> None:
    locked = pins("requirements.lock")
    installed = {normal(each.metadata["Name"]): each.version.partition("+")[0] for each in distributions()}
    shared = installed.keys() & locked.keys()
    assert "numpy" in shared
    assert {name: installed[name] for name in shared} == {name: locked[name][0] for name in shared}

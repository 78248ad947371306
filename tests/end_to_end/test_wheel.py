"""The wheel: one package, which lives beside a service's own `tasks`, `flows` and `serving`."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nightreel.store.open import open_store
from nightreel.store.publisher import publish
from tests.support.bundles import lineage, write_bundle

pytestmark = pytest.mark.end_to_end
ROOT = Path(__file__).parents[2]
SERVICE = """
import flows, serving, tasks
import nightreel
from nightreel import LiveReader, Reader, RequestOptions, UserError

def titles(store: str, k: int) -> list[str]:
    reader: Reader = Reader.open(store)
    return [found.title for found in reader.recommend("u000", k=k)]

if __name__ == "__main__":
    print(nightreel.__file__, tasks.MINE, len(titles("STORE", 3)))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if name.startswith(("nightreel/", "tasks/", "flows/")) or "/" not in name:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("nightreel-*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "site")
    return folder / "site"


def test_nothing_but_the_package_is_in_it(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"nightreel"} and (installed / "nightreel/py.typed").exists()
    assert (installed / "nightreel/service/explorer/page/explorer.html").exists()


def test_a_service_with_modules_of_the_same_names_reads_a_version(installed: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    store = tmp_path / "store"
    publish(open_store(str(store)), tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    service = tmp_path / "service"
    (service / "flows").mkdir(parents=True)
    for name in ("tasks.py", "serving.py", "flows/__init__.py"):
        (service / name).write_text("MINE = True\n")
    (service / "main.py").write_text(SERVICE.replace("STORE", str(store)))
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=service, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(installed / "nightreel/__init__.py"), "True", "3"]
    typed = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent", "main.py"],
        cwd=service,
        env={**os.environ, "MYPYPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert typed.returncode == 0, typed.stdout

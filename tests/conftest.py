"""Fixtures that several folders of tests share: a small project with a real dvc.yaml, and a Prefect API."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed.free_ports import free_ports
from nightreel.orchestration.prefect import credentials
from nightreel.orchestration.prefect.run_server import HOST, free_port
from nightreel.store.backends.seaweedfs import ObjectStore
from tests.support.postgres import Postgres
from tests.support.webhook import Webhook

# The tests start about two hundred processes. Where none may keep its bytecode, as in many containers, each compiles
# everything that it imports, which took more time than the tests themselves.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell lets what it starts in the background ignore Ctrl-C, and so would the nights that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What collecting the tests imports stays to the end. The garbage collector would go through it again and again: that
# was a third of the time that collecting takes, and a part of every test's.
gc.disable()

# Prefect reads its settings once, when it is imported: so they are set before any test module is.
PREFECT = Path(tempfile.mkdtemp(prefix="nightreel-prefect-"))
API_PORT = free_port()
MEMORY_BYTES = 6 * 2**30
"""Free bytes of a file system in memory from which on the fast suite writes there. It holds less than a tenth."""
os.environ.update(
    {
        "PREFECT_HOME": str(PREFECT),
        "PREFECT_API_URL": f"http://{HOST}:{API_PORT}/api",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "DO_NOT_TRACK": "1",
    }
)
credentials.prepare(PREFECT)
os.environ.update(credentials.of_client(PREFECT))


def pytest_configure(config: pytest.Config) -> None:
    """The fast suite writes ten thousands of small files, for seconds: into memory, where there is plenty. What is
    end-to-end has a real disk."""
    memory = Path("/dev/shm")
    if (
        not hasattr(config, "workerinput")
        and "not end_to_end" in config.option.markexpr
        and memory.is_dir()
        and shutil.disk_usage(memory).free > MEMORY_BYTES
    ):
        folder = tempfile.mkdtemp(prefix="nightreel-tests-", dir=memory)
        os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.tempdir = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_finish() -> None:
    """From here on, garbage is collected among what tests make."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files that use one server run on one worker."""
    from tests.support.by_server import scheduler

    return scheduler(config, log)


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(PREFECT, ignore_errors=True)


@pytest.fixture(scope="session")
def toy_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project, built once. No test may have changed it through a file that its copy shares."""
    from tests.support import toy

    built = toy.build(tmp_path_factory.mktemp("template") / "toy")
    yield built
    assert toy.call(built, "git", "status", "--porcelain") == ""


@pytest.fixture
def toy(toy_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of the project, made the working directory."""
    from tests.support import toy

    folder = toy.copy(toy_template, tmp_path / "toy")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", ".")
    for name in ("NIGHTREEL_STATE", "NIGHTREEL_STORE", "GIT_DIR", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """A Prefect API for the whole session, with its own home."""
    from nightreel.orchestration.prefect.run_server import serve, wait
    from nightreel.orchestration.project import Project

    with serve(Project(PREFECT, PREFECT), API_PORT) as child:
        wait(os.environ["PREFECT_API_URL"], child)
        yield os.environ["PREFECT_API_URL"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server on loopback."""
    from tests.support import postgres as support

    found = support.binaries()
    if found is None:
        pytest.skip("PostgreSQL is not installed: run ./check, or apt-get install postgresql")
    with support.running(found) as server:
        yield server


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a real S3 server on loopback."""
    server = ObjectStore(tmp_path_factory.mktemp("seaweed") / "object-store", free_ports(8))
    environment = server.start()
    yield environment
    server.stop()


@pytest.fixture(scope="session")
def moto() -> Iterator[dict[str, str]]:
    """The environment of a fake S3 server on loopback: quick, but it takes any secret."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    server.stop()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A receiver of notifications."""
    found = Webhook()
    yield found
    found.close()

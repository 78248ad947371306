"""Which tests share a worker: those of a file, and all files that use the same server, so that it starts once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

SERVERS = ("prefect_api", "seaweed", "postgres")
"""Fixtures of a server that takes seconds to start, and more while it waits."""


class ByServer(LoadFileScheduling):  # type: ignore[misc]
    """As `--dist loadfile`, with one unit of work for the files in which a server's fixture is named."""

    def _split_scope(self, nodeid: str) -> str:
        path: str = super()._split_scope(nodeid)
        return _server(self.config.rootpath / path) or path


@cache
def _server(path: Path) -> str | None:
    text = path.read_text("utf-8")
    return next((name for name in SERVERS if re.search(rf"\b{name}\b", text)), None)


def scheduler(config: Any, log: Any) -> ByServer | None:
    """The scheduler of a run with `--dist loadfile`; another `--dist` is as xdist has it."""
    return ByServer(config, log) if config.getvalue("dist") == "loadfile" else None

"""Copies of a version with editorial rules beside it."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa

from nightreel.bundle import editorial_rules
from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.reader.reader import Reader
from tests.support.bundles import reseal


def open_ruled(bundle: Path, among: Path, *rules: dict[str, Any], now: dt.datetime) -> Reader:
    """Copy a version into a new folder among others, write rules into it, and open it as of a moment."""
    folder = among / f"ruled{len(list(among.iterdir()))}"
    shutil.copytree(bundle, folder)
    editorial_rules.write(folder, pa.Table.from_pylist(list(rules), RULES_SCHEMA))
    reseal(folder)
    return Reader.open_bundle(folder, now=now.timestamp)

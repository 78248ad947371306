"""Thirty nights in which nearly everything goes wrong that can: what ran, what was published, what readers saw.

    python -m benchmarks.nights                        # a made-up log of 2,000 users and 1,000 items, 30 nights
    python -m benchmarks.nights --folder FOLDER        # where its files are kept; again, to go on after a kill
    python -m benchmarks.nights --nights 3 --users 300 --items 150 --script FILE --set finetune.members=[popularity]

The log is `drifting_log`, the trouble and what is expected of each night stand in troubles.yaml. `nightreel replay`
runs the nights in this checkout, and notifications go to a webhook of this process. Printed are the nights, and two
counts that must be 0. *Silent*: nights that published nothing, or lost rows, of which neither `nightreel status` nor a
notification told within 15 minutes of replayed time. *Lost*: delivered rows that are neither clean nor quarantined nor
erased, taken-down items in lists or erased users that are known, published versions that are gone. Exits with status 1
if a count is not 0, or a night is not as expected.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.nights import drifting_log, table
from benchmarks.nights.webhook import Webhook

HERE = Path(__file__).parent
DAYS_BEFORE, DAYS_AFTER = 14, 1
"""Days of the log before the first night, and after the last."""
SETTINGS = (
    "finetune.members=[popularity, ease]",
    "finetune.encoder_steps=0",
    "finetune.time_cuts=2",
    "finetune.trees.num_trees=[40]",
    "evaluate.bootstrap_replicates=500",
)
"""Two members that are fitted in seconds, no tuning of the encoder, one size of the ranker; all else is as it ships."""


def main() -> int:
    """Run the nights and print."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.nights", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where all files are kept; default: a temporary folder")
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--script", type=Path, default=HERE / "troubles.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.FIELD=VALUE", dest="settings")
    given = parser.parse_args()
    if given.folder is not None:
        return run(given.folder.resolve(), given)
    with tempfile.TemporaryDirectory(prefix="nights-") as folder:
        return run(Path(folder), given)


def run(folder: Path, given: argparse.Namespace) -> int:
    """Run what is left of the nights in a folder, and print; returns the exit status."""
    log, state = folder / "log", folder / "replay" / "state"
    if not (log / "terms.txt").exists():
        days = DAYS_BEFORE + given.nights + DAYS_AFTER
        drifting_log.write(log, users=given.users, items=given.items, days=days)
    state.mkdir(parents=True, exist_ok=True)
    with Webhook(folder / "notifications.jsonl") as webhook:
        (state / "notify.txt").touch(0o600)
        (state / "notify.txt").write_text(webhook.address + "\n", "utf-8")
        found = _replay(log, folder / "replay", given)
        if found is None:
            return 1
        return table.show(found, webhook.messages())


def _replay(log: Path, folder: Path, given: argparse.Namespace) -> dict[str, Any] | None:
    """The replay's result; None if it ended with an error, which it has printed."""
    chosen = [word for each in (*SETTINGS, *given.settings) for word in ("--set", each)]
    command = [
        *(sys.executable, "-m", "nightreel", "replay", str(log), "--nights", str(given.nights)),
        *("--state", str(folder), "--script", str(given.script.resolve()), "--json", *chosen),
    ]
    done = subprocess.run(command, cwd=HERE.parents[1], env=os.environ, stdout=subprocess.PIPE, text=True, check=False)
    return dict(json.loads(done.stdout)) if done.stdout else None


if __name__ == "__main__":
    sys.exit(main())

"""Stage publish: upload the final bundle to the store and point the channel at it; idempotent.

Reads data/refit, data/evaluate/decision.json, what snapshot pinned and withdraw's table; writes
data/publish/receipt.json. Apart from `withdraw` and `record`, no other stage changes anything outside the workspace.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nightreel.bundle.format import read_manifest
from nightreel.settings.params_file import Settings, load
from nightreel.stage import log_progress, read_json, save_run_note, stage_main, staged_output, write_json
from nightreel.store.backends.base import Store
from nightreel.store.fence import of_this_run
from nightreel.store.open import open_store
from nightreel.store.publisher import Published, publish
from nightreel.store.withdrawals_file import NightlyTables

DATA = Path("data")
BUNDLE = DATA / "refit" / "bundle"
HELD = DATA / "refit" / "held.json"
WITHDRAWN = DATA / "withdraw" / "withdrawals.json"


def main() -> None:
    """Run the stage."""
    settings = load()
    decision = read_json(DATA / "evaluate" / "decision.json")
    receipt = {"channel": settings.snapshot.channel, "decision": decision["decision"], "dry_run": False}
    if HELD.exists():
        reason = read_json(HELD)["empty"]
        log_progress(f"nothing to publish: {reason}")
        receipt |= {"digest": None, "published": False, "reason": reason}
    else:
        receipt |= _publish(settings, decision, open_store())
    # Without time, host or number of uploads, so that the receipt is the same if the version was live already.
    with staged_output(DATA / "publish") as out:
        write_json(out / "receipt.json", receipt)


def _publish(settings: Settings, decision: dict[str, Any], store: Store) -> dict[str, Any]:
    """The bundle's part of the receipt."""
    dry_run, channel = settings.publish.dry_run, settings.snapshot.channel
    champion = read_json(DATA / "snapshot" / "champion.json")["digest"]
    done = publish(
        store,
        BUNDLE,
        channel=channel,
        champion=champion,
        lineage=_lineage(settings, decision),
        dry_run=dry_run,
        fence=of_this_run(),
        tonight=_tonights_rights(),
    )
    log_progress(_summary(done, store, channel, dry_run))
    save_run_note("publish", {"store": store.uri, "uploaded": done.uploaded, "sent": done.sent, "moved": done.moved})
    return {"digest": done.digest, "published": not dry_run, "dry_run": dry_run, "label": _label(decision)}


def _label(decision: dict[str, Any]) -> str:
    """The bundle's label: the verdict's for a promoted candidate, `refreshed` for the refitted live version."""
    return str(read_manifest(BUNDLE).config.get("label", decision["label"]))


def _tonights_rights() -> NightlyTables | None:
    """The rights in tonight's tables; None in a workspace without stage withdraw."""
    return NightlyTables.parse(WITHDRAWN.read_bytes()) if WITHDRAWN.exists() else None


def _summary(done: Published, store: Store, channel: str, dry_run: bool) -> str:
    files = f"{done.uploaded} files ({done.sent / 1e6:.1f} MB) uploaded, {done.kept} already in the store"
    if dry_run:
        return f"dry run: {done.digest[:12]} would be published to channel {channel} of {store.uri}: {files}"
    if not done.moved:
        return f"channel {channel} of {store.uri} already points to {done.digest[:12]}: nothing to do"
    return f"published {done.digest[:12]} to channel {channel} of {store.uri}: {files}"


def _lineage(settings: Settings, decision: dict[str, Any]) -> dict[str, Any]:
    """Where the version came from; stored next to the bundle, so that its digest covers no times and hosts."""
    recipe = read_json(DATA / "snapshot" / "recipe.json")
    lock = Path("dvc.lock")
    return {
        **recipe,
        "decision": decision["decision"],
        "label": _label(decision),
        "candidate": decision.get("candidate"),
        "data_until": read_manifest(BUNDLE).config["data_until"],
        "params": settings.model_dump(mode="json", by_alias=True),
        "dvc_lock": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None,
        "commit": _commit(),
        "published_at": datetime.fromtimestamp(settings.snapshot.now(), UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
    }


def _commit() -> str | None:
    """The checkout's commit; None without git or without a commit."""
    try:
        found = subprocess.run(["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return found.stdout.strip() or None


if __name__ == "__main__":
    stage_main(main)

"""Stage withdraw: apply tonight's blocked items and erased users to what is live, at once, whatever the run's result.

Reads the snapshot's tables; writes data/withdraw/withdrawals.json, which does not depend on the store, and applies it
to the live channels. If nothing is live yet, publish applies it. Runs before validate, so that withdrawals take effect
even if validate stops the run.
"""

from __future__ import annotations

from pathlib import Path

from nightreel.settings.params_file import load
from nightreel.settings.validate import Snapshot
from nightreel.stage import log_progress, read_json, save_run_note, stage_main, staged_output
from nightreel.store.backends.base import Store
from nightreel.store.fence import of_this_run
from nightreel.store.open import open_store
from nightreel.store.withdrawals_file import NightlyTables
from nightreel.store.withdrawals_update import WithdrawalChange
from nightreel.withdrawals.live_tables import live_tables
from nightreel.withdrawals.nightly import Effect, hold, serving_together, waiting
from nightreel.withdrawals.rights_tonight import read_rights

SNAPSHOT, OUT = Path("data/snapshot"), Path("data/withdraw")
FILE = "withdrawals.json"


def main() -> None:
    """Write data/withdraw, and apply it to the channels that serve the users of this run's channel."""
    settings = load()
    source = read_json(SNAPSHOT / "source.json")
    tonight = read_rights(SNAPSHOT, source, settings.snapshot.now())
    with staged_output(OUT) as folder:
        (folder / FILE).write_bytes(tonight.content)
    counts = f"{len(tonight.items.blocked):,} blocked items, {len(tonight.erased):,} erased users"
    facts: dict[str, object] = {"items": 0, "users": 0, "warnings": []}
    if settings.publish.dry_run:
        log_progress(f"{counts}, {len(tonight.rules):,} rules: dry run, nothing changes in the store")
    else:
        facts = _hold(open_store(), settings.snapshot, tonight, source["key_fingerprint"], counts)
    save_run_note("withdraw", facts)


def _hold(
    store: Store, pinned: Snapshot, tonight: NightlyTables, key_fingerprint: str | None, counts: str
) -> dict[str, object]:
    """Apply the withdrawals to each channel that serves the same users; returns the counts of this run's channel."""
    facts: dict[str, object] = {"items": 0, "users": 0, "warnings": []}
    channel, now = pinned.channel, pinned.now()
    together = serving_together(store, channel)
    if channel not in together:
        log_progress(f"{counts}, to be left out of the first version of channel {channel}")
    for name in together:
        done, effect = hold(store, name, tonight, now, of_this_run())
        if tonight.erased:
            effect.warnings += _other_key(store, done, key_fingerprint)
        _log(done, effect, store)
        if name == channel:
            facts = {"items": effect.items, "users": effect.users, "warnings": effect.warnings}
    for name in waiting(store, together):
        done, effect = hold(store, name, tonight, now, of_this_run(), fitting=True)
        if done.moved:
            _log(done, effect, store)
    return facts


def _other_key(store: Store, done: WithdrawalChange, key_fingerprint: str | None) -> list[str]:
    with live_tables(store, done.digest) as live:
        if live.key_fingerprint == key_fingerprint:
            return []
    return [
        f"version {done.digest[:12]} was pseudonymised with another key, so erased users can't be found in it. They "
        "are removed with the next published version; to remove them now, use `nightreel withdraw --users FILE`."
    ]


def _log(done: WithdrawalChange, effect: Effect, store: Store) -> None:
    for warning in effect.warnings:
        log_progress(f"warning: {warning}")
    where = f"channel {done.channel} of {store.uri}"
    if not done.moved:
        return log_progress(f"{where} already hides everything that is withdrawn: nothing to do")
    return log_progress(f"withdrawn from {where}: {effect.items:,} more items, {effect.users:,} more users")


if __name__ == "__main__":
    stage_main(main)

"""Stage validate: check contracts, quarantine rows, apply erasures, label events and build the test splits.

From here on, users and items are integer indices.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightreel.data import hidden_tonight, split_protocols
from nightreel.data.contract.schema import DERIVED
from nightreel.data.log_end import data_end
from nightreel.data.quality import feedback_labels, report, showable_items
from nightreel.data.quality.clean import Clean, clean_tables, read_snapshot
from nightreel.data.quality.comments import comments
from nightreel.data.quality.editorial_checks import require_some_left
from nightreel.data.quality.row_counts import Account, require_acceptable, small_parts
from nightreel.data.quality.row_outcomes import remembered
from nightreel.data.quality.validation_facts import describe, warnings_of
from nightreel.data.sittings import meetings_of
from nightreel.data.split_protocols import ProtocolChoice
from nightreel.errors import UserError
from nightreel.settings.params_file import load
from nightreel.settings.validate import Validate
from nightreel.stage import log_progress, read_json, stage_main, staged_output, state_directory, write_json

SNAPSHOT, PIN = Path("data/snapshot"), Path("data/snapshot/warm/pin.json")
OUT, NAMED = Path("data/validate"), Path("data/named")
METRICS = Path("metrics/validate.json")


def main() -> None:
    """Write data/validate, data/named and metrics/validate.json."""
    settings = load().validate_
    snapshot = read_snapshot(SNAPSHOT)
    source = snapshot.source
    if source["unread"]:
        raise UserError("\n".join(source["unread"]))
    clean = clean_tables(snapshot, settings.duplicate_window_s, read_json(SNAPSHOT / "forgotten.json")["users"])
    known = read_json(SNAPSHOT / "known.json")["rows"]
    hidden = hidden_tonight.read(SNAPSHOT)
    with _kept_on_failure(clean, source["notes"]):
        require_some_left(clean.quarantine)
        require_acceptable(clean.accounts, clean.row_outcomes, known, settings.quarantine_share, settings.part_rows)
        showable_items.require_shown(clean.item_rows, hidden)
        _write_outputs(clean, settings, source, known, hidden)


def _write_outputs(
    clean: Clean, settings: Validate, source: dict[str, Any], known: dict[str, Any] | None, hidden: frozenset[str]
) -> None:
    """Label and split the clean events, and write everything."""
    events = feedback_labels.label(clean.events, settings)
    arrays = feedback_labels.as_arrays(events)
    if not arrays.positive.any():
        raise UserError(
            f"events: none of the {len(arrays):,} clean rows is positive by validate.positive in params.yaml. Add one "
            f"of their event types: {', '.join(pc.unique(clean.events['event'].cast(pa.string())).to_pylist())}."
        )
    met = meetings_of(
        arrays, feedback_labels.kinds(events), None if source["clock"] == "order" else settings.return_gap_s
    )
    exclude_seen = feedback_labels.leaves_out_seen(settings, clean.items["media_type"], met.returning)
    if not exclude_seen:
        events = feedback_labels.once(events, met.once)
        arrays = feedback_labels.as_arrays(events)
    choice = split_protocols.choose(arrays, source["clock"], exclude_seen, settings, read_json(PIN).get("until"))
    until = float(arrays.time.max()) if source["clock"] == "order" else data_end(arrays.user, arrays.time)
    positive = feedback_labels.in_words(feedback_labels.thresholds(clean.events, settings))
    facts = describe(clean, arrays, choice, positive, source["clock"], exclude_seen, until)
    warnings = [*source["notes"], *report.warn(clean.item_rows, arrays, events, clean.user_ids, choice.refused)]
    warnings += warnings_of(clean, settings, exclude_seen, met.returning)
    with staged_output(NAMED) as folder:
        for name, table in clean.named.items():
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    with staged_output(OUT) as folder:
        _write(folder, clean, events, choice)
        write_json(
            folder / "splits.json",
            {
                "clock": source["clock"],
                "exclude_seen": exclude_seen,
                "gate": choice.gate,
                "refused": choice.refused,
                "data_until": until,
                "protocols": split_protocols.describe(
                    choice, arrays, clean.items["item_id"].to_pylist(), clean.user_ids
                ),
            },
        )
        arrivals = remembered(clean.row_outcomes) | {"shown": showable_items.remembered(clean.items)}
        write_json(folder / "arrivals.json", arrivals)
        write_json(folder / "report.json", report.as_json(clean.accounts, warnings, facts))
        (folder / "report.md").write_text(report.as_markdown(clean.accounts, warnings, facts), "utf-8")
    write_json(METRICS, report.metrics(clean.accounts, facts))
    # Warnings that depend on the hour or on other nights are logged only, so that the same rows give the same files.
    warnings += small_parts(clean.row_outcomes, known, settings.quarantine_share, settings.part_rows)
    _log(clean.accounts, [*warnings, *showable_items.showable_warnings(clean.items, hidden, known)], facts)


@contextmanager
def _kept_on_failure(clean: Clean, notes: list[str]) -> Iterator[None]:
    """Where the stage fails, its report and the quarantined rows are in the state directory, to be looked at."""
    try:
        yield
    except UserError as error:
        kept = state_directory() / "reports"
        kept.mkdir(parents=True, exist_ok=True)
        pq.write_table(clean.quarantine, kept / "quarantine.parquet", compression="zstd")
        (kept / "validate.md").write_text(report.as_markdown(clean.accounts, [*notes, str(error)], {}), "utf-8")
        also = "".join(f"\nwarning: {note}" for note in notes)
        quarantined = any(account.quarantined for account in clean.accounts)
        remedy = "Correct the source, or raise validate.quarantine_share. " if quarantined else ""
        raise UserError(
            f"{error}{also}\n{remedy}Violations of all rules: {kept / 'validate.md'}; quarantined rows: "
            f"{kept / 'quarantine.parquet'}"
        ) from None


def _write(folder: Path, clean: Clean, events: pa.Table, choice: ProtocolChoice) -> None:
    folds = {name: fold for protocol in choice.protocols.values() for name, fold in protocol.folds.items()}
    tables = {
        "items": clean.items,
        "users": pa.table({"user_id": pa.array(clean.user_ids, pa.string())}),
        "events": events.drop_columns([field.name for field in DERIVED if field.name in events.column_names]),
        "splits": pa.table({name: pa.array(fold) for name, fold in folds.items()}),
        "quarantine": clean.quarantine,
        "rules": clean.rules,
        "comments": comments(events),
        "searches": clean.searches,
    } | clean.optional_tables
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")


def _log(accounts: list[Account], warnings: list[str], facts: dict[str, Any]) -> None:
    for account in accounts:
        if not account.rows_in:  # the source has no such table
            continue
        log_progress(
            f"{account.table}: {account.rows_in:,} rows in = {account.clean:,} clean + {account.quarantined:,} "
            f"quarantined + {account.erased:,} erased"
        )
    for warning in warnings:
        log_progress(f"warning: {warning}")
    log_progress(f"test users by split protocol: {facts['test_users']}; the gate uses {facts['gate']}")


if __name__ == "__main__":
    stage_main(main)

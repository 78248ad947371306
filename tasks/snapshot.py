"""Stage snapshot: read everything from outside, and pin it as files: source, champion, block list, manual erasures and
environment. No other stage reads from outside. If the source is unchanged, its tables stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nightreel.data import environment, hidden_tonight, privacy, recipe
from nightreel.data.contract.tables import extra_columns, with_named
from nightreel.data.ingest import media_files
from nightreel.data.ingest.sources import Source, open_source
from nightreel.settings.params_file import Settings, load
from nightreel.stage import log_progress, read_json, stage_main, staged_output, state_directory, write_json
from nightreel.store import channels
from nightreel.store.media_objects import MediaObjects
from nightreel.store.open import open_store
from nightreel.store.pinned_state import forgotten, known_rows, pin_warm_state, pinned_champion

OUT = Path("data/snapshot")
LOCK = Path("requirements.lock")


def main() -> None:
    """Write data/snapshot."""
    settings = load()
    state = state_directory()
    source = open_source(settings.snapshot.source, state / "downloads", open_store)
    log_progress(f"source {source.name}: licence terms: {source.terms}")
    for note in source.notes:
        log_progress(f"warning: {note}")
    key = privacy.wanted_key(settings.snapshot.pseudonymise, source.is_sample, state)
    facts = environment.describe()
    root = Path(__file__).parents[1]
    params = settings.model_dump(mode="json", by_alias=True)
    identity = f"{source.fingerprint}+{privacy.key_fingerprint(key) if key else 'plain'}"
    code = recipe.code_digest(root, recipe.READING)
    named = {name: extra_columns(name, settings.evaluate.slices) for name in ("items", "events", "users")}
    # A given moment decides which events lie in its future; the machine's clock is applied to new data only.
    read = [settings.snapshot.searches, settings.understand.sentiment.reads]
    tables = recipe.digest([identity, settings.snapshot.clock, code, named, settings.snapshot.moment, *read])
    if _is_current(tables):
        log_progress("the source is unchanged: its tables are kept")
        files = list(read_json(OUT / "media.json"))
    else:
        files = _write_tables(source, settings, key, named, state)
    media = media_files.media_root(settings.snapshot.source, settings.snapshot.media, MediaObjects) if files else None
    pins = media_files.pin(files, media, state / "media.json")
    identity += f"+{recipe.digest(pins)}" if pins else ""
    store = open_store()
    by_hand = forgotten(store, settings.snapshot.channel, privacy.key_fingerprint(key) if key else None)
    state_pins = pin_warm_state(store, settings, tables, by_hand, OUT)
    identity += f"+{recipe.digest(state_pins)}" if state_pins else ""
    turn = _turn(settings, state / "understand" / "waiting.json")
    identity += f"+{turn}" if turn else ""
    identity += f"+{recipe.digest(by_hand)}" if by_hand else ""
    computing = recipe.code_digest(root, recipe.computing_code(root))
    made = recipe.make_recipe(identity, params, computing, LOCK, facts) | {"tables": tables}
    pinned = pinned_champion(store, settings.snapshot.channel, made["recipe"])
    known = {"rows": known_rows(store, pinned["digest"])}
    kept = {
        "champion": pinned,
        "known": known,
        "blocked": channels.blocked_runs(store),
        "environment": facts,
        "media": pins,
        "waiting": {"turn": turn},
        "forgotten": {"users": by_hand},
    }
    for name, value in kept.items():
        _keep_json(OUT / f"{name}.json", value)
    hidden_tonight.keep(OUT, settings.snapshot.now())
    # Written last: it names the tables, and so marks the snapshot as complete.
    _keep_json(OUT / "recipe.json", made)


def _turn(settings: Settings, path: Path) -> int:
    """Number of nights that left items waiting for the language model: while there are any, it grows, and so the stage
    `understand` asks for them, even of an unchanged source."""
    if not (settings.understand.writer.model and path.exists()):
        return 0
    note = read_json(path)
    return int(note["turn"]) + (1 if note["items"] else 0)


def _is_current(tables: str) -> bool:
    """Whether the previous tables were made from this source by this code."""
    path = OUT / "recipe.json"
    return path.exists() and (OUT / "media.json").exists() and read_json(path).get("tables") == tables


def _keep_json(path: Path, value: Any) -> None:
    if not path.exists() or read_json(path) != value:
        write_json(path, value)


def _write_tables(
    source: Source, settings: Settings, key: bytes | None, named: dict[str, list[str]], state: Path
) -> list[str]:
    """Write data/snapshot's tables, also the named columns beyond the contract; returns the media files of items."""
    # Imported here, because pyarrow takes 0.3 s and a run without changes does not need it.
    import pyarrow.parquet as pq

    from nightreel.data import free_text
    from nightreel.data.contract.schema import SNAPSHOT_SEARCHES
    from nightreel.data.daily_files import write_days
    from nightreel.data.ingest.file_formats import read_source
    from nightreel.data.quality.type_tables import load as load_tables
    from nightreel.understanding.text.comment_tones import comment_tones

    contract = with_named(settings.evaluate.slices)
    raws, unread = read_source(source, contract)
    for fault in unread:
        log_progress(f"warning: {fault}")
    loaded = load_tables(raws, settings.snapshot.clock, key, contract, settings.snapshot.now(), whole=not unread)
    words = SNAPSHOT_SEARCHES.empty_table()
    if settings.snapshot.searches == "words":
        words = free_text.searches(loaded.events, loaded.items, loaded.erasures["user_id"].drop_null().to_pylist())
    reads = settings.understand.sentiment.reads
    events = free_text.without_texts(
        loaded.events, lambda texts: comment_tones(texts, reads, state / "understand" / "comments")
    )
    with staged_output(OUT) as folder:
        for name in ("items", "erasures", "rules", "users", "rejected"):
            pq.write_table(getattr(loaded, name), folder / f"{name}.parquet", compression="zstd")
        pq.write_table(words, folder / "searches.parquet", compression="zstd")
        days = write_days(events, loaded.clock, folder / "events")
        write_json(
            folder / "source.json",
            {
                "name": source.name,
                "fingerprint": source.fingerprint,
                "clock": loaded.clock,
                "terms": source.terms,
                "files": [file.name for file in source.files],
                "rows": loaded.rows,
                "notes": [*source.notes, *loaded.notes],
                "unread": unread,
                "pseudonymised": key is not None,
                "key_fingerprint": privacy.key_fingerprint(key) if key else None,
                "named": named,
            },
        )
    log_progress(
        f"read {loaded.rows['items']:,} items and {loaded.rows['events']:,} events "
        f"(written as {len(days):,} {'daily files' if loaded.clock == 'time' else 'files in order'}; "
        f"unreadable rows, counted as quarantined: {loaded.rejected.num_rows:,})"
    )
    return [uri for uri in loaded.items["media_uri"].to_pylist() if uri]


if __name__ == "__main__":
    stage_main(main)

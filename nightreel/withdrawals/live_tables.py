"""The tables of a published version that are needed to preview withdrawals; the rest of it is not downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle import editorial_rules, user_table
from nightreel.bundle.editorial_rules import RuleTable
from nightreel.bundle.item_facets import Facets
from nightreel.bundle.item_table import ItemTable, Mask
from nightreel.reader.apply_withdrawals import items_under, rules_under
from nightreel.store.backends.base import Store
from nightreel.store.remote_files import file_of, manifest_of
from nightreel.store.withdrawals_file import Withdrawals

ITEMS = "items.parquet"


@dataclass(frozen=True)
class LiveTables:
    """Tables of one version. users: its ids, ascending; key_fingerprint: of the pseudonym key, None: ids are plain."""

    digest: str
    items: ItemTable
    facets: Facets
    rules: RuleTable | None
    users: pa.Array
    key_fingerprint: str | None

    def shown(self, file: Withdrawals | None, now: float, *, ruled: bool = True) -> Mask:
        """[n] items that may be shown at a time (epoch seconds) under withdrawals (None: the version's own rights).
        ruled: whether rules count."""
        items = self.items if file is None else items_under(self.items, file)
        shown = ~items.hidden(now)
        rules = self.rules if file is None else rules_under(self.rules, file, items, self.facets)
        held = rules.in_force(now) if rules is not None and ruled else None
        return shown if held is None or held.hidden is None else shown & ~held.hidden

    def known(self, file: Withdrawals | None) -> int:
        """Number of users who are known under withdrawals."""
        if file is None:
            return len(self.users)
        return len(self.users) - len(file.users.intersection(self.users.to_pylist()))


@contextmanager
def live_tables(store: Store, digest: str) -> Iterator[LiveTables]:
    """Yield the tables of a version, each checked against its manifest, from a temporary folder.

    Raises:
        StoreError: There is no such version, or a file of it is missing.
        BundleError: A file of it was changed.
    """
    manifest = manifest_of(store, digest)
    with TemporaryDirectory(prefix="nightreel-live-") as scratch:
        folder = Path(scratch)
        for name in (ITEMS, user_table.FILE, editorial_rules.FILE):
            if name in manifest.files:
                (folder / name).write_bytes(file_of(store, digest, name, manifest))
        items, facets = ItemTable.read(folder / ITEMS), Facets(folder / ITEMS)
        users = pq.ParquetFile(folder / user_table.FILE).read(columns=["user_id"])["user_id"]
        yield LiveTables(
            digest,
            items,
            facets,
            RuleTable.read(folder, items, facets),
            users.cast(pa.string()).combine_chunks(),
            manifest.config["key_fingerprint"],
        )

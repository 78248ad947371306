"""Garbage collection: versions of a store beyond the retention and, of a checkout, the nights that made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nightreel.settings.params_file import of_checkout
from nightreel.store import retention
from nightreel.store.backends.base import Store
from nightreel.store.retention import CollectionPlan, Keep

if TYPE_CHECKING:
    from nightreel.orchestration.nights.collection import CollectedNights
    from nightreel.orchestration.project import Project


@dataclass(frozen=True)
class Collected:
    """What was removed, or would be, of versions and nights. nights: None where they were left alone."""

    store: str
    plan: CollectionPlan
    removed: list[str]
    dry_run: bool
    nights: CollectedNights | None

    def as_json(self) -> dict[str, Any]:
        """Plain values, for --json."""
        versions = {"removed": self.removed, "bytes": self.plan.size, "kept": dict(self.plan.kept)}
        return {
            "store": self.store,
            **versions,
            "dry_run": self.dry_run,
            "nights": self.nights and self.nights.as_json(),
        }

    def lines(self) -> Iterator[str]:
        """In words, line by line."""
        for digest, why in self.plan.kept.items():
            yield f"kept     {digest[:12]}  {why}"
        for digest in self.removed:
            yield f"{'would remove' if self.dry_run else 'removed '} {digest[:12]}"
        verb = "would be removed from" if self.dry_run else "removed from"
        yield f"{len(self.removed)} versions {verb} {self.store}, {self.plan.size / 1e6:.1f} MB"
        if self.nights is not None:
            yield from self.nights.lines(verb)


def retention_of(versions: int | None, days: float | None) -> Keep:
    """The retention of params.yaml, but for what is given: the newest so many, those younger than so many days."""
    given = of_checkout().publish
    return Keep(
        given.keep_versions if versions is None else versions,
        given.keep_days if days is None else days,
        given.grace_hours,
    )


def collect(home: Project | None, store: Store, keep: Keep, *, dry_run: bool = False) -> Collected:
    """Remove versions beyond the retention and, of a checkout, nights.

    Args:
        home: The checkout and its state directory, whose run lock must be held; None: nights are left alone.
        store: The store.
        keep: The retention.
        dry_run: Remove nothing.

    Raises:
        UserError: The store can't be read, or git failed.
    """
    planned = retention.plan(store, keep)
    removed = sorted(planned.keys) if dry_run else retention.collect(store, planned, keep)
    if home is None:
        return Collected(store.uri, planned, removed, dry_run, None)
    # Imported here, because a store is collected with the base install, too, which has no DVC.
    from nightreel.orchestration.nights.collection import collect_nights

    nights = collect_nights(home, store, keep, planned.kept, dry_run=dry_run)
    return Collected(store.uri, planned, removed, dry_run, nights)

"""Garbage collection of the nights: commits beyond the retention, and what DVC's cache and remote hold of them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nightreel.errors import UserError
from nightreel.orchestration.dvc import dvc_config
from nightreel.orchestration.dvc.cache_sweep import SweptObjects, files_of, place_of, sweep
from nightreel.orchestration.dvc.remote_sweep import sweep_remote
from nightreel.orchestration.nights import retention
from nightreel.orchestration.nights.branch_log import BRANCH, CommittedNight
from nightreel.orchestration.nights.erased_since import SNAPSHOT, erased_since
from nightreel.orchestration.nights.used_objects import used_objects
from nightreel.orchestration.project import Project
from nightreel.settings import yaml_values
from nightreel.store.backends.base import Store
from nightreel.store.retention import Keep

HOUR_S = 3_600.0


@dataclass(frozen=True)
class CollectedNights:
    """What was removed, or would be.

    Attributes:
        kept: Ids of the nights that stay → why.
        dropped: Ids of the nights whose commits and data go.
        erased: Ids of kept nights whose data go, since somebody in them was erased later.
        freed: Of DVC's cache.
        shared: DVC's cache, if it is left alone because other projects may use it.
        pushed: Of DVC's remote, if that is the store's folder; None if it is another one.
        others: Whether the store has versions of other checkouts, so that only data of erased users left the remote.
    """

    kept: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    freed: SweptObjects = field(default_factory=SweptObjects)
    shared: Path | None = None
    pushed: SweptObjects | None = None
    others: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain values, for --json."""
        cache = {"objects": self.freed.objects, "bytes": self.freed.size, "left_alone": self.shared is not None}
        facts = {"kept": self.kept, "removed": self.dropped, "data_erased": self.erased, "cache": cache}
        if self.pushed is not None:
            remote = {"objects": self.pushed.objects, "bytes": self.pushed.size, "of_others": self.others}
            facts["remote"] = remote
        return facts

    def lines(self, verb: str) -> Iterator[str]:
        """In words. verb: `removed from`, or `would be removed from`."""
        count = len(self.dropped) + len(self.kept)
        yield f"{len(self.dropped)} of {count} nights {verb} the branch {BRANCH}"
        yield f"{self.freed.objects:,} objects {verb} DVC's cache, {self.freed.size / 1e6:.1f} MB"
        if self.pushed is not None:
            yield f"{self.pushed.objects:,} objects {verb} DVC's remote in the store, {self.pushed.size / 1e6:.1f} MB"
        if self.others:
            yield "of the remote, other objects stay: the store has versions of another checkout, which may need them"
        if self.erased:
            yield f"the data of {len(self.erased)} kept nights are among them: they have users who were erased since"
        if self.shared is not None:
            yield f"{self.shared}: left alone, since other projects may use it (see `dvc gc --projects`)"


def collect_nights(
    home: Project, store: Store, keep: Keep, stored: Collection[str], *, dry_run: bool = False
) -> CollectedNights:
    """Remove what is beyond the retention; the run lock must be held.

    Args:
        home: The checkout and its state directory.
        store: Its store, whose channels say who was erased.
        keep: As for versions. What came into the cache less than `grace_hours` ago stays.
        stored: Digests that the store keeps: the nights that made them stay.
        dry_run: Remove nothing.

    Raises:
        UserError: Git failed.
    """
    planned = retention.plan(home, keep, stored, time.time())
    cache = dvc_config.cache_folder(home.root)
    places = {path for path in (cache, home.state / "dvc-cache") if path.exists()}
    own = {path for path in places if path.is_relative_to(home.root) or path.is_relative_to(home.state)}
    erased = [each.night for each in planned.nights if each.night in planned.kept and _erased(home, store, each, own)]
    named = used_objects(home) | retention.objects_of(home, planned, erased)
    forgotten = retention.objects_of(home, planned, planned.kept.keys() - set(erased))
    if not dry_run:
        retention.drop(home, planned)  # first: a night without its data would look as if it could be made again
    before = time.time() - keep.grace_hours * HOUR_S
    freed = [sweep(place, named, before, dry_run=dry_run) for place in sorted(own)]
    total = SweptObjects(sum(each.objects for each in freed), sum(each.size for each in freed))
    shared = next(iter(places - own), None)
    if not dvc_config.store_is_remote(home, store.uri):
        return CollectedNights(dict(planned.kept), planned.dropped, erased, total, shared)
    others = not set(stored) <= {each.version for each in planned.nights}
    pushed = sweep_remote(store, named, before, among=forgotten if others else None, dry_run=dry_run)
    return CollectedNights(dict(planned.kept), planned.dropped, erased, total, shared, pushed, others)


def _erased(home: Project, store: Store, night: CommittedNight, caches: Collection[Path]) -> bool:
    """Whether the cache has data of somebody who was erased after the night."""
    for cache in caches:
        files = {name: place_of(cache, md5) for name, md5 in files_of(cache, _snapshot(home, night)).items()}
        try:
            if files and erased_since(store, files):
                return True
        except (UserError, OSError, KeyError):  # under another key, or not whole: nothing can be found in it
            continue
    return False


def _snapshot(home: Project, night: CommittedNight) -> str:
    """Name of the object of the night's snapshot; empty if it left none."""
    try:
        outs = yaml_values.read(retention.lock_of(home, night))["stages"]["snapshot"]["outs"]
        return next(str(out["md5"]) for out in outs if out["path"] == SNAPSHOT)
    except (yaml.YAMLError, KeyError, TypeError, StopIteration):
        return ""

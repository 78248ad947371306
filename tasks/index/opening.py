"""A bundle's folder as the parts that a reader answers from; its files are memory-mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.index.bundle import read_manifest
from tasks.index.business_rules import RuleTable
from tasks.index.facets import Facets
from tasks.index.item_table import ItemTable
from tasks.index.predicted import read_ratings
from tasks.index.stored import Stored
from tasks.index.user_table import UserTable
from tasks.models.engine import Engine
from tasks.models.ratings import FOLDER
from tasks.stage import UserError


def parts(folder: Path) -> dict[str, Any]:
    """The fields of a Reader, but for its clock. Raises UserError for a file that is not there."""
    manifest = read_manifest(folder)
    try:
        items, facets = ItemTable.read(folder / "items.parquet"), Facets(folder / "items.parquet")
        engine = Engine.open(folder, manifest.config.get("vector_index", {}).get("expansion_search", 0))
        return {
            "digest": manifest.digest,
            "config": manifest.config,
            "items": items,
            "users": UserTable.read(folder, manifest.config["key_fingerprint"]),
            "vectors": engine.catalogue.vectors,
            "engine": engine,
            "facets": facets,
            "stored": Stored.read(folder, items, manifest.config),
            "ratings": read_ratings(folder / FOLDER),
            "rules": RuleTable.read(folder, items, facets),
        }
    except FileNotFoundError as error:
        raise UserError(f"{folder}: the bundle lacks a file ({error}). Use another version.") from None

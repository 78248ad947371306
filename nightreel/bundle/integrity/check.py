"""A version's files checked against one another on opening, so that a sealed but malformed one is refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nightreel.bundle.format import BundleError, Manifest
from nightreel.bundle.integrity.arrays import Sizes, check_arrays, opened
from nightreel.bundle.integrity.graph import check_graph
from nightreel.errors import UserError
from nightreel.models.outcomes.heads import FOLDER as HEADS

FAULTS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError, MemoryError, EOFError,
    AssertionError, pa.ArrowException,
)  # fmt: skip
"""What reading a malformed file raises, besides OSError."""
Facts = TypeVar("Facts", bound=BaseModel)
Name = Annotated[str, Field(max_length=1000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Outcome = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
"""Also the name of a file."""
Whole = Annotated[int, Field(ge=1, le=1_000_000)]
TEXTS = pa.list_(pa.string())
COLUMNS: dict[str, tuple[pa.DataType, ...]] = {
    "item_id": (pa.string(),), "title": (pa.string(),), "description": (pa.string(),), "transcript": (pa.string(),),
    "tags": (TEXTS,), "genres": (TEXTS,), "creators": (TEXTS,), "language": (pa.string(),),
    "media_type": (pa.string(),), "blocked": (pa.bool_(),), "min_age": (pa.int64(), pa.float64()),
}  # fmt: skip
"""Types of the columns of items.parquet that a reader uses; times may have any unit."""


class _Sound(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class VectorIndexFacts(_Sound):
    """Settings of the index. expansion_search: nodes in view, which take memory with each request."""

    expansion_search: Annotated[int, Field(ge=0, le=100_000)] = 0


class VersionFacts(_Sound):
    """Facts of a bundle's config that a reader uses."""

    clock: Literal["time", "order"]
    exclude_seen: bool
    data_until: Finite
    pseudonymised: bool
    key_fingerprint: Name | None
    vector_index: VectorIndexFacts = VectorIndexFacts()
    explore: Annotated[float, Field(ge=0, le=1)] = 0.0


class HeadsFacts(_Sound):
    """The heads of outcomes. wanted, outcomes: scale and shift of a curve."""

    columns: Annotated[list[Name], Field(min_length=1)]
    wanted: Annotated[list[Finite], Field(min_length=2, max_length=2)]
    outcomes: Annotated[
        dict[Outcome, Annotated[list[Finite], Field(min_length=2, max_length=2)]], Field(max_length=100)
    ]


class EngineFacts(_Sound):
    """The file engine/engine.json."""

    members: Annotated[list[Name], Field(min_length=1, max_length=100)]
    blend: Name
    columns: list[Name]
    weights: list[Finite] = []
    cutoff: Whole
    shortlist: Whole = 1
    now: Finite
    new_every: Annotated[int, Field(ge=0, le=1000)] = 0
    heads: HeadsFacts | None = None
    value: dict[Outcome, Finite] = {}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a malformed file raises into a BundleError that names it."""
    try:
        yield
    except BundleError:
        raise
    except UserError as error:
        raise BundleError(f"{path}: {error}") from None
    except FileNotFoundError as error:
        raise BundleError(
            f"{error.filename or path}: the bundle lacks a file ({error}). Use another version."
        ) from None
    except (*FAULTS, OSError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise BundleError(f"{path}: can't be read ({type(error).__name__}: {first}). Use another version.") from error


def check(folder: Path, manifest: Manifest) -> None:
    """Check a version's tables, arrays and descriptions; every file's hash has been checked already.

    Args:
        folder: The bundle's folder.
        manifest: Its manifest.

    Raises:
        BundleError: A file is malformed or does not fit the others; the message names it.
    """
    _valid(folder / "config.json", VersionFacts, manifest.config)
    with reading(folder / "items.parquet"):
        n_items = _checked_items(folder / "items.parquet")
    with reading(folder / "users.parquet"):
        n_users = _checked_users(folder / "users.parquet")
    check_arrays(folder, manifest.files, Sizes(n_items, n_users))
    with reading(folder / "vectors.npy"):
        check_graph(folder / "vectors.usearch", *opened(folder / "vectors.npy", {}).shape)
    path = folder / "engine" / "engine.json"
    with reading(path):
        facts = _valid(path, EngineFacts, json.loads(path.read_text("utf-8")))
    if facts.weights and len(facts.weights) != len(facts.columns):
        raise BundleError(
            f"{path}: has {len(facts.weights)} weights for {len(facts.columns)} columns. Use another version."
        )
    with reading(folder / "engine" / "trees.txt"):
        _checked_trees(folder / "engine" / "trees.txt", len(facts.columns))
    if facts.heads is not None:
        for outcome in facts.heads.outcomes:
            path = folder / "engine" / HEADS / f"{outcome}.txt"
            with reading(path):
                _checked_trees(path, len(facts.heads.columns))


def _valid(path: Path, kind: type[Facts], content: Any) -> Facts:
    if not isinstance(content, Mapping):
        raise BundleError(f"{path}: holds no JSON object, which has named fields. Use another version.")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])  # none for a fault of several fields together
        what = f"{field}: {fault['msg']}" if field else fault["msg"]
        raise BundleError(f"{path}: {what}. Use another version.") from None


def _checked_items(path: Path) -> int:
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    for name in ("item_id", "title"):
        if name not in schema.names:
            raise BundleError(f"{path}: has no column {name}. Use another version.")
    for name, kinds in COLUMNS.items():
        if name in schema.names and not any(_alike(schema.field(name).type, kind) for kind in kinds):
            raise BundleError(
                f"{path}: column {name} is {schema.field(name).type}, not {kinds[0]}. Use another version."
            )
    return int(file.metadata.num_rows)


def _alike(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Lists are compared by their entries: the name of these differs between writers."""
    if pa.types.is_list(wanted):
        return pa.types.is_null(found) or (pa.types.is_list(found) and _alike(found.value_type, wanted.value_type))
    number = pa.types.is_integer(wanted) and pa.types.is_integer(found)
    text = pa.types.is_string(wanted) and pa.types.is_large_string(found)
    return bool(found.equals(wanted) or number or text or pa.types.is_null(found))


def _checked_users(path: Path) -> int:
    return int(pq.ParquetFile(path).metadata.num_rows)


def _checked_trees(path: Path, columns: int) -> None:
    """Whether trees look at features that there are."""
    if not path.exists():
        return
    for line in path.read_text("utf-8").splitlines():
        name, _, values = line.partition("=")
        if name == "split_feature" and any(not 0 <= int(value) < columns for value in values.split()):
            raise BundleError(f"{path}: looks at a feature beyond the {columns} columns. Use another version.")

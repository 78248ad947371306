"""Cast raw columns to the contract's types, cell by cell: invalid cells are marked, the others are kept."""

from __future__ import annotations

from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.schema import ARROW_TYPES
from nightreel.data.contract.tables import KINDS, Column
from nightreel.data.ingest import readings
from nightreel.errors import UserError

Mask = npt.NDArray[np.bool_]
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
ISO_DATE = r"^\d{4}-\d{2}-\d{2}"
NOTHING = r"(?i)^(|nan|null|none|nil|na|n/a|#n/a|nat|<na>|\\n|--?|undefined)$"
"""Texts that stand for a missing number, time or flag; in titles and ids they are kept as they are."""
YES, NO = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no")
EXACT = 2**53
"""Greatest whole number up to which a floating-point column tells neighbouring ids apart."""
TOO_MANY = 100_000
"""Number of cells in another encoding from which on the whole file counts as being in that encoding."""


def mask_of(flags: pa.Array) -> Mask:
    """Arrow booleans as a numpy mask; null is false."""
    mask: Mask = flags.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def cast_or_null(cells: pa.Array, kind: pa.DataType, *, safe: bool = True) -> pa.Array:
    """Cast; a cell that can't be cast becomes null. Failing ranges are halved, so that few bad cells cost few casts.
    safe: False lets digits be cut off."""
    try:
        return cells.cast(kind, safe=safe)
    except pa.ArrowException:
        if len(cells) == 1:
            return pa.nulls(1, kind)
        middle = len(cells) // 2
        return pa.concat_arrays([cast_or_null(half, kind, safe=safe) for half in (cells[:middle], cells[middle:])])


def to_text(cells: pa.Array, file: str, column: Column) -> tuple[pa.Array, Mask]:
    """(UTF-8 text, mask of invalid cells) of a scalar column; "" becomes null. Invalid are cells that are not UTF-8,
    and fractions beyond EXACT, which are no longer the ids that they were. Raises UserError for nested and boolean
    columns, and for a file that is entirely in another encoding."""
    kind = cells.type
    if is_text(kind) and not _is_valid(cells):
        cells, kind = cells.cast(pa.large_binary()), pa.large_binary()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        text = cast_or_null(cells, pa.string())
        bad = mask_of(pc.and_(text.is_null(), cells.is_valid()))
        if bad.sum() > TOO_MANY:
            raise UserError(
                f"{file}: column `{column.name}` is not UTF-8 in {bad.sum():,} rows. Save the file as UTF-8."
            )
    elif pa.types.is_floating(kind):
        # pandas writes whole-number ids with a gap as floats: 12.0 means 12.
        whole = pc.equal(pc.floor(cells), cells)
        text = pc.if_else(whole, cast_or_null(cells, pa.int64()).cast(pa.string()), cells.cast(pa.string()))
        text = pc.if_else(pc.is_nan(cells), None, text)
        bad = mask_of(pc.greater(pc.abs(cells), float(EXACT)))
    elif pa.types.is_boolean(kind) or pa.types.is_nested(kind):
        raise wrong_type(file, column, kind)
    else:
        try:
            text, bad = cells.cast(pa.string()), np.zeros(len(cells), bool)
        except pa.ArrowException:
            raise wrong_type(file, column, kind) from None
    return pc.if_else(pc.equal(text, ""), None, text), bad


def wrong_type(file: str, column: Column, found: object) -> UserError:
    """The error for a column that can't be converted to the contract's type."""
    return UserError(
        f"{file}: column `{column.name}` is {found}; expected {KINDS[column.kind]}. Convert it and run again."
    )


def cast_cells(cells: pa.Array, file: str, column: Column) -> tuple[pa.Array, Mask]:
    """(cells in the contract's type, mask of invalid cells) for all kinds except times."""
    if column.kind == "list":
        return _lists(cells, file, column)
    if column.kind in ("number", "integer"):
        return _numbers(cells, file, column)
    if column.kind == "flag":
        return _flags(cells, file, column)
    if column.kind == "label" and pa.types.is_boolean(cells.type):
        cells = cells.cast(pa.string())
    text, bad = to_text(cells, file, column)
    return readings.sensible(readings.without_marks(text), column), bad


def _is_valid(cells: pa.Array) -> bool:
    """Whether stored text is valid UTF-8; Parquet writers don't have to check."""
    try:
        cells.validate(full=True)
    except pa.ArrowException:
        return False
    return True


def is_text(kind: pa.DataType) -> bool:
    """Whether arrow treats the type as UTF-8 text (which it need not be)."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _numbers(cells: pa.Array, file: str, column: Column) -> tuple[pa.Array, Mask]:
    kind = cells.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = cells.cast(pa.float64(), safe=False)
        bad = np.zeros(len(cells), bool)
    else:
        text, bad = to_text(cells, file, column)
        text = pc.utf8_trim_whitespace(text)
        fits = pc.match_substring_regex(text, NUMBER)
        bad |= mask_of(pc.and_(pc.invert(fits), pc.invert(pc.match_substring_regex(text, NOTHING))))
        numbers = cast_or_null(pc.if_else(fits, text, None), pa.float64())
    numbers = pc.if_else(pc.is_nan(numbers), None, numbers)
    bad |= mask_of(pc.is_inf(numbers))
    if column.kind == "integer":
        whole = pc.equal(pc.floor(numbers), numbers)
        bad |= mask_of(pc.invert(whole))
        numbers = cast_or_null(pc.if_else(whole, numbers, None), pa.int64())
    return numbers, bad


def _flags(cells: pa.Array, file: str, column: Column) -> tuple[pa.Array, Mask]:
    if pa.types.is_boolean(cells.type):
        return cells, np.zeros(len(cells), bool)
    text, bad = to_text(cells, file, column)
    text = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    yes, no = pc.is_in(text, pa.array(YES)), pc.is_in(text, pa.array(NO))
    known = mask_of(pc.or_(yes, no))
    nothing = ~mask_of(text.is_valid()) | mask_of(pc.match_substring_regex(text, NOTHING))
    return pc.if_else(pa.array(known), yes, None), bad | ~(known | nothing)


def _lists(cells: pa.Array, file: str, column: Column) -> tuple[pa.Array, Mask]:
    kind = cells.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = kind.value_type
        if not (is_text(inner) or pa.types.is_null(inner)):
            raise wrong_type(file, column, kind)
        lists, bad = cells.cast(ARROW_TYPES["list"]), np.zeros(len(cells), bool)
    else:
        text, bad = to_text(cells, file, column)
        coded = text.dictionary_encode()
        found = pa.array([readings.labels(cell) for cell in coded.dictionary.to_pylist()], ARROW_TYPES["list"])
        lists = found.take(coded.indices)
    return _tidy_labels(lists), bad


def _tidy_labels(lists: pa.Array) -> pa.Array:
    """Trim labels, in Unicode's composed form, and drop empty and repeated ones, in order; a missing list becomes an
    empty one."""
    return pa.array([_tidy(labels or []) for labels in lists.to_pylist()], ARROW_TYPES["list"])


def _tidy(labels: list[str | None]) -> list[str]:
    trimmed = (normalize("NFC", label).strip() for label in labels if label)
    return list(dict.fromkeys(label for label in trimmed if label))

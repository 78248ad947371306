"""Arrays that are mapped: what is no file of plain numbers is a ValueError, whatever numpy makes of it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from nightreel.models.mapped_arrays import map_array


@pytest.mark.parametrize(
    "header",
    [
        b"{'des-r': `|b1', 'fkrtran_order': False, 'shape': 1,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), ",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }",
        b"\xff",
    ],
)
def test_a_damaged_header_is_a_value_error(tmp_path: Path, header: bytes) -> None:
    path, padded = tmp_path / "x.npy", header.ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + bytes(8))
    with pytest.raises(ValueError):
        map_array(path)


def test_numbers_are_as_they_were_saved(tmp_path: Path) -> None:
    for number, array in enumerate((np.arange(6, dtype=np.int32).reshape(2, 3), np.empty((0, 4), np.float32))):
        np.save(tmp_path / f"{number}.npy", array)
        found = map_array(tmp_path / f"{number}.npy")
        assert found.dtype == array.dtype and np.array_equal(found, array)

"""Weights in 16 bits: what is stored is what was fitted, and near what was learned."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from nightreel.models.engine import mapped
from nightreel.models.int16_weights import MOST, packed, rounded, unpacked
from nightreel.models.linear.ease import Ease, EaseConfig
from tests.support import planted


def learned(n: int, scale: float, seed: int) -> sp.csr_matrix:
    """Rows of very different sizes, some of them empty."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, n)) * scale * 10.0 ** rng.integers(-6, 3, (n, 1)) * (rng.random((n, n)) < 0.3)
    values[:: max(n // 5, 1)] = 0
    return sp.csr_matrix(values.astype(np.float32))


@pytest.mark.parametrize("scale", [1.0, 1e-30, float(MOST), 1e20])
def test_stored_weights_are_the_rounded_ones_bit_for_bit(scale: float) -> None:
    weights = rounded(learned(40, scale, 0))
    again = unpacked(packed(weights))
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(again, part), getattr(weights, part))
    assert again.data.dtype == np.float32 and again.indices.dtype == np.int32
    twice = rounded(weights)
    np.testing.assert_array_equal(twice.data, weights.data)
    assert packed(weights)["codes"].nbytes + packed(weights)["indices"].nbytes == 4 * weights.nnz


def test_an_error_is_at_most_a_32767th_of_the_rows_largest() -> None:
    before = learned(60, 1.0, 1)
    difference = np.abs((before - rounded(before)).toarray()).max(axis=1)
    largest = np.abs(before.toarray()).max(axis=1)
    assert (difference <= largest / MOST).all() and difference.any()
    exact = sp.csr_matrix(np.array([[0.5, -0.25], [0, 0]], np.float32))
    np.testing.assert_array_equal(rounded(exact).toarray(), exact.toarray())


def test_wide_catalogues_keep_wide_columns() -> None:
    n = 70_000
    weights = rounded(sp.csr_matrix(([1.0, 2.0], ([0, n - 1], [n - 1, 65_536])), shape=(n, n), dtype=np.float32))
    again = unpacked(packed(weights))
    assert again[0, n - 1] == 1.0 and again[n - 1, 65_536] == 2.0


def test_versions_from_before_the_codes_are_read(tmp_path: object) -> None:
    member = Ease.fit(planted.histories(), planted.catalogue(), EaseConfig.model_validate({"regularization": 10, "decay": 5, "top_weights": 8, "max_items": 99}), clock=True)  # fmt: skip
    old = {name: getattr(member.weights, name) for name in ("data", "indices", "indptr")}
    for name, array in (old | {"decay": np.array([5.0])}).items():
        np.save(tmp_path / f"{name}.npy", array)  # type: ignore[operator]
    past = planted.histories()
    again = Ease.load(mapped(tmp_path), planted.catalogue())  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.score(past, past.last_times), member.score(past, past.last_times))

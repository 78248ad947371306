import numpy as np
import pytest
import scipy.sparse as sp

from nightreel.models.factorization.truncated_svd import leading


@pytest.mark.parametrize("shape", [(40, 25), (25, 40), (30, 30)])
def test_equals_the_dense_decomposition(shape: tuple[int, int]) -> None:
    dense = np.random.default_rng(1).normal(size=shape) * (np.random.default_rng(2).random(shape) < 0.4)
    vectors, strength = leading(sp.csr_matrix(dense), 6)
    _, expected, right = np.linalg.svd(dense)
    assert np.allclose(strength, expected[:6])
    assert np.allclose(np.abs(vectors.T @ right[:6].T), np.eye(6), atol=1e-8)


def test_the_same_factors_even_where_arpack_starts_again() -> None:
    # Two groups of items that nobody shares: ARPACK runs out of directions in one of them and draws new ones.
    group = np.abs(np.random.default_rng(3).normal(size=(30, 30)))
    matrix = sp.block_diag([group + group.T, group + group.T]).tocsr()
    first, second = leading(matrix, 50), leading(matrix, 50)
    assert first[0].tobytes() == second[0].tobytes() and first[1].tobytes() == second[1].tobytes()

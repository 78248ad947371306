import numpy as np
import pytest
import scipy.sparse as sp

from tasks.models.factors import leading


@pytest.mark.parametrize("shape", [(40, 25), (25, 40), (30, 30)])
def test_equals_the_dense_decomposition(shape: tuple[int, int]) -> None:
    dense = np.random.default_rng(1).normal(size=shape) * (np.random.default_rng(2).random(shape) < 0.4)
    vectors, strength = leading(sp.csr_matrix(dense), 6)
    _, expected, right = np.linalg.svd(dense)
    assert np.allclose(strength, expected[:6])
    assert np.allclose(np.abs(vectors.T @ right[:6].T), np.eye(6), atol=1e-8)


def test_the_same_factors_even_where_arpack_starts_again() -> None:
    # Of rank 5 and asked for 50: ARPACK runs out of directions and draws new ones.
    a = np.random.default_rng(3).normal(size=(60, 5))
    matrix = sp.csr_matrix(a @ a.T)
    first, second = leading(matrix, 50), leading(matrix, 50)
    assert first[0].tobytes() == second[0].tobytes() and first[1].tobytes() == second[1].tobytes()

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from nightreel.understanding.tags.one_vs_rest import fit_head, fit_scaling
from nightreel.understanding.tags.tag_metrics import Quality, calibration_error

RNG = np.random.default_rng(5)
VECTORS = RNG.standard_normal((400, 12))
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
TRUTH = RNG.standard_normal((12, 3)) * 4
LABELS = RNG.random((400, 3)) < 1 / (1 + np.exp(-(VECTORS @ TRUTH + np.array([0.0, -2.0, 1.0]))))


@pytest.mark.parametrize("strength", [0.5, 5.0])
def test_it_solves_scikit_learns_problem(strength: float) -> None:
    parts = [(VECTORS[rows], LABELS[rows]) for rows in (slice(0, 150), slice(150, 400))]
    head = fit_head(lambda: parts, strength)
    for label in range(3):
        model = LogisticRegression(C=strength, tol=1e-8, max_iter=2000).fit(VECTORS, LABELS[:, label])
        assert np.allclose(model.coef_[0], head.weights[:, label], atol=0.02)
        assert model.intercept_[0] == pytest.approx(head.bias[label], abs=0.02)


def test_scaling_undoes_a_distortion() -> None:
    """Log odds that were stretched and shifted come back as probabilities of the right size."""
    odds = RNG.normal(0, 2, (20_000, 2))
    labels = RNG.random(odds.shape) < 1 / (1 + np.exp(-odds))
    scaling = fit_scaling(odds * 3 + 1, labels)
    assert np.allclose(scaling.slope, 1 / 3, atol=0.02) and np.allclose(scaling.offset, -1 / 3, atol=0.05)
    assert calibration_error(scaling.probabilities(odds * 3 + 1), labels) < 0.01


def test_quality_by_hand() -> None:
    scores = np.array([[0.9, 0.2], [0.6, 0.7], [0.1, 0.3]])
    labels = np.array([[True, False], [True, False], [False, True]])
    whole, parts, first = Quality(3, 0.5), Quality(3, 0.5), Quality(3)
    whole.add(scores, labels)
    for label in range(2):
        parts.add(scores[:, [label]], labels[:, [label]])
        first.add(scores[:, [label]], labels[:, [label]])
    assert parts.facts() == whole.facts()
    # First labels: 0 right, 1 wrong, 1 right. Given: 3, true: 3, both: 2. Label 0 ranks perfectly; label 1's one item
    # comes second: average precision 1/2. Label 0: F1 = 1; label 1: one given, one true, none right.
    assert whole.facts() == {
        "precision@1": pytest.approx(2 / 3, abs=1e-6), "f1_micro": pytest.approx(4 / 6, abs=1e-6), "f1_macro": 0.5,
        "map": 0.75, "tagged": pytest.approx(2 / 3, abs=1e-6),
    }  # fmt: skip
    # The best label alone: label 0 once and right, label 1 twice and once right.
    alone = {"f1_micro": pytest.approx(4 / 6, abs=1e-6), "f1_macro": pytest.approx(2 / 3, abs=1e-6), "tagged": 1.0}
    assert first.facts() == whole.facts() | alone


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.95], [0.95], [0.25], [0.25]])
    labels = np.array([[True], [False], [False], [False]])
    # Two bins, half of the cases each: gaps 0.95 - 0.5 and 0.25 - 0.
    assert calibration_error(probabilities, labels) == pytest.approx((0.45 + 0.25) / 2)

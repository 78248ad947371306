"""Tags learned from planted labels, with the real encoder where names count."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nightreel.content.encoders.transformer import Encoder
from nightreel.settings.params_file import Settings
from nightreel.understanding.tags.tag_metrics import average_precision
from nightreel.understanding.tags.tagger import fit_tagger, labels_of
from nightreel.understanding.tags.training_set import prepare


def planted(n: int = 300) -> tuple[np.ndarray, list[list[str]]]:
    """Vectors whose first coordinates decide the labels; one label has too few items, some items have none."""
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((n, 384)).astype(np.float32) * 0.3
    kinds = rng.integers(0, 3, n)
    vectors[np.arange(n), kinds] += 4
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [[("sea", "forest", "city")[kind]] for kind in kinds]
    labels[0] = [*labels[0], "rare"]
    labels[1] = []
    return vectors, labels


def blocks(vectors: np.ndarray, rows: int = 70) -> Callable[[np.ndarray], Iterator[np.ndarray]]:
    """As a spool gives them: block by block."""
    return lambda numbers: (vectors[numbers[at : at + rows]] for at in range(0, len(numbers), rows))


def test_planted_labels_are_learned_and_beat_both_rivals(encoder: Encoder, settings: Settings, tmp_path: Path) -> None:
    vectors, labels = planted()
    wanted, rng = settings.understand.tags, np.random.default_rng(0)
    task = prepare(blocks(vectors), labels, wanted, rng, tmp_path / "lesson")
    assert task is not None and task.names == ("city", "forest", "sea")
    assert len(task.flags) == 299, "an item without labels teaches nothing"
    tagger, facts = fit_tagger(task, encoder.encode(task.names), wanted)
    assert tagger is not None
    assert facts["learned"]["precision@1"] > 0.95 > 0.5 > facts["commonest"]["precision@1"]
    assert facts["calibration_error"] < 0.05
    found = tagger.tags(vectors[:50])
    assert sum(tags == own for (tags, _), own in zip(found, labels[:50], strict=True)) > 45
    assert all(score >= wanted.probability for _, scores in found for score in scores)


def test_tags_that_can_not_be_learned_stay_away(encoder: Encoder, settings: Settings, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((200, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [["drama"] if rng.random() < 0.8 else ["sport"] for _ in range(200)]
    task = prepare(blocks(vectors), labels, settings.understand.tags, rng, tmp_path / "lesson")
    assert task is not None
    tagger, facts = fit_tagger(task, encoder.encode(task.names), settings.understand.tags)
    assert tagger is None and facts["learned"]["precision@1"] <= facts["commonest"]["precision@1"]


def test_the_same_seed_gives_the_same_bytes(encoder: Encoder, settings: Settings, tmp_path: Path) -> None:
    vectors, labels = planted(120)
    digests = set()
    for _ in range(2):
        rng = np.random.default_rng(9)
        task = prepare(blocks(vectors), labels, settings.understand.tags, rng, tmp_path / "lesson")
        assert task is not None
        tagger, _ = fit_tagger(task, encoder.encode(task.names), settings.understand.tags)
        assert tagger is not None
        digests.add(tagger.digest())
    assert len(digests) == 1


def test_a_taxonomy_takes_its_own_labels_from_genres_and_tags(settings: Settings, tmp_path: Path) -> None:
    row = {"genres": ["Drama", "War"], "tags": ["space", None]}
    assert labels_of(row, ()) == ["Drama", "War"]
    assert labels_of(row, ("Space", "drama", "Sport")) == ["Space", "drama"]
    assert labels_of({"genres": None, "tags": []}, ()) == []
    none, rng = blocks(np.zeros((3, 4), np.float32)), np.random.default_rng(0)
    few = prepare(none, [["a"], ["b"], []], settings.understand.tags, rng, tmp_path / "lesson")
    assert few is None


def test_many_items_are_sampled(settings: Settings, tmp_path: Path) -> None:
    vectors, labels = planted()
    wanted = settings.understand.tags.model_copy(update={"most_items": 100})
    task = prepare(blocks(vectors), labels, wanted, np.random.default_rng(0), tmp_path / "lesson")
    assert task is not None and task.bounds == (0, 20, 40, 60, 80, 100)
    read = [block for part in task.parts for block in task.of(part)]
    assert np.concatenate([flags for _, flags in read]).tolist() == task.flags.tolist()
    for own, flags in zip(np.concatenate([own for own, _ in read]), task.flags, strict=True):
        row = int(np.flatnonzero((vectors == own).all(1))[0])
        assert {name for name, flag in zip(task.names, flags, strict=True) if flag} == set(labels[row]) - {"rare"}


def test_a_few_labels_at_once_are_judged_as_all_are(
    encoder: Encoder, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, labels = planted()
    wanted = settings.understand.tags
    task = prepare(blocks(vectors), labels, wanted, np.random.default_rng(0), tmp_path / "lesson")
    assert task is not None
    whole, facts = fit_tagger(task, encoder.encode(task.names), wanted)
    monkeypatch.setattr("nightreel.understanding.tags.tagger.CELLS", 300)
    monkeypatch.setattr("nightreel.understanding.tags.training_set.BLOCK", 37)
    parts, same = fit_tagger(task, encoder.encode(task.names), wanted)
    assert whole is not None and parts is not None and same == facts
    assert np.allclose(whole.scaling.slope, parts.scaling.slope, rtol=1e-3)


def test_average_precision_by_hand() -> None:
    # 1 of 1 at the first true item, 2 of 3 at the second: of equal scores none comes first.
    assert average_precision(np.array([2.0, 3, 2, 1]), np.array([False, True, True, False])) == (1 + 2 / 3) / 2
    assert average_precision(np.zeros(4), np.array([True, False, False, False])) == 1 / 4

"""Tags learned from planted labels, with the real encoder where names count."""

import numpy as np

from tasks.content.encoder import Encoder
from tasks.settings import Settings
from tasks.understanding.tag_quality import average_precision
from tasks.understanding.tagging import labels_of, learn, lesson


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


def test_planted_labels_are_learned_and_beat_both_rivals(encoder: Encoder, settings: Settings) -> None:
    vectors, labels = planted()
    wanted, rng = settings.understand.tags, np.random.default_rng(0)
    task = lesson(vectors.__getitem__, labels, wanted, rng)
    assert task is not None and task.names == ("city", "forest", "sea")
    assert len(task.flags) == 299, "an item without labels teaches nothing"
    tagger, facts = learn(task, encoder, wanted, rng)
    assert tagger is not None
    assert facts["learned"]["precision@1"] > 0.95 > 0.5 > facts["commonest"]["precision@1"]
    assert facts["calibration_error"] < 0.05
    found = tagger.tags(vectors[:50])
    assert sum(tags == own for (tags, _), own in zip(found, labels[:50], strict=True)) > 45
    assert all(score >= wanted.probability for _, scores in found for score in scores)


def test_tags_that_can_not_be_learned_stay_away(encoder: Encoder, settings: Settings) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((200, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [["drama"] if rng.random() < 0.8 else ["sport"] for _ in range(200)]
    task = lesson(vectors.__getitem__, labels, settings.understand.tags, rng)
    assert task is not None
    tagger, facts = learn(task, encoder, settings.understand.tags, rng)
    assert tagger is None and facts["learned"]["precision@1"] <= facts["commonest"]["precision@1"]


def test_the_same_seed_gives_the_same_bytes(encoder: Encoder, settings: Settings) -> None:
    vectors, labels = planted(120)
    digests = set()
    for _ in range(2):
        rng = np.random.default_rng(9)
        task = lesson(vectors.__getitem__, labels, settings.understand.tags, rng)
        assert task is not None
        tagger, _ = learn(task, encoder, settings.understand.tags, rng)
        assert tagger is not None
        digests.add(tagger.digest())
    assert len(digests) == 1


def test_a_taxonomy_takes_its_own_labels_from_genres_and_tags(settings: Settings) -> None:
    row = {"genres": ["Drama", "War"], "tags": ["space", None]}
    assert labels_of(row, ()) == ["Drama", "War"]
    assert labels_of(row, ("Space", "drama", "Sport")) == ["Space", "drama"]
    assert labels_of({"genres": None, "tags": []}, ()) == []
    few = lesson(
        np.zeros((3, 4), np.float32).__getitem__, [["a"], ["b"], []], settings.understand.tags, np.random.default_rng(0)
    )
    assert few is None


def test_many_items_are_sampled(settings: Settings) -> None:
    vectors, labels = planted()
    wanted = settings.understand.tags.model_copy(update={"most_items": 100})
    task = lesson(vectors.__getitem__, labels, wanted, np.random.default_rng(0))
    assert task is not None and len(task.flags) == len(task.vectors) == 100


def test_average_precision_by_hand() -> None:
    # 1 of 1 at the first true item, 2 of 3 at the second: of equal scores none comes first.
    assert average_precision(np.array([2.0, 3, 2, 1]), np.array([False, True, True, False])) == (1 + 2 / 3) / 2
    assert average_precision(np.zeros(4), np.array([True, False, False, False])) == 1 / 4

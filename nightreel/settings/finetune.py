"""The section `finetune` of params.yaml: recommenders, their search, and the blend."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat

from nightreel.settings.backbone import Backbone
from nightreel.settings.fusion import Fusion
from nightreel.settings.section import Section

Grid = dict[str, tuple[float, ...]]


class TreeSettings(Section):
    """The blend's gradient-boosted trees (LightGBM, LambdaMART)."""

    num_trees: Annotated[tuple[int, ...], Field(min_length=1)]
    """Numbers of trees to try on validation; recommend time grows linearly."""
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """Share of each tree's answer that is taken; smaller wants more rounds."""
    num_leaves: Annotated[int, Field(ge=2, le=64)]
    """Leaves of a tree; more fits finer interactions, and noise."""
    min_data_in_leaf: Annotated[int, Field(ge=1)]
    """Least examples in a leaf; more is steadier."""
    lambda_l2: Annotated[float, Field(ge=0)]
    """Ridge penalty on leaf values."""
    feature_fraction: Annotated[float, Field(gt=0, le=1)]
    """Share of the features offered to each tree."""
    bagging_fraction: Annotated[float, Field(gt=0, le=1)]
    """Share of the examples drawn for each tree."""
    lambdarank_truncation_level: Annotated[int, Field(ge=1)]
    """Positions at a list's top whose order matters to the loss."""


class VectorIndex(Section):
    """The graph over the content vectors (HNSW), for large catalogues."""

    least_items: Annotated[int, Field(ge=1)]
    """Items from which a version has one; below, reading all vectors takes no longer and misses nothing."""
    connectivity: Annotated[int, Field(ge=4, le=64)]
    """Neighbours of a node; more finds more, and costs 8 bytes an item each."""
    expansion_add: Annotated[int, Field(ge=16)]
    """Nodes kept in view while building; more finds more, building time grows with it."""
    expansion_search: Annotated[int, Field(ge=16)]
    """Nodes kept in view while searching; more finds more, a question's time grows with it."""


class Ratings(Section):
    """The rating head: biases, and factors of what they leave (alternating ridge regressions)."""

    bias: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
    """Ridge penalties on biases to try, in ratings: that many at the mean are added to everybody's own."""
    factors: tuple[Annotated[int, Field(ge=1, le=256)], ...]
    """Numbers of factors to try; time grows with the square. None: biases alone."""
    regularization: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
    """Ridge penalties on factors to try; more keeps predictions nearer to the biases."""
    iterations: Annotated[int, Field(ge=1, le=100)]
    """Alternations between users' and items' factors."""


class Finetune(Section):
    seed: Annotated[int, Field(ge=0)]
    """Seed of every generator in finetune, evaluate and refit."""
    encoder_steps: Annotated[int, Field(ge=0, le=100_000)]
    """Contrastive steps that fit the encoder to behaviour; 0 leaves it as it is. A count, so that runs are equal."""
    encoder_pairs: Annotated[int, Field(ge=2, le=4096)]
    """Co-consumed item pairs in a contrastive step; more is a better signal and slower."""
    fusion: Fusion
    """Text, sound and picture in one vector, where items have media."""
    validation_users: Annotated[int, Field(ge=1)]
    """Most users that hyper-parameters are chosen on; more is steadier and slower."""
    positions: Annotated[int, Field(ge=1, le=50)]
    """Held-out positions per user that the blend learns from; more is steadier and slower."""
    time_cuts: Annotated[int, Field(ge=2, le=12)]
    """Where there is a clock: earlier nights (days, or longer where a day has few users) that settings and blend are
    chosen on, each with members trained up to it; more is steadier, and every one is another training."""
    time_cut_users: Annotated[int, Field(ge=1)]
    """Users that such a night should have on average; it is made longer until it has them."""
    negatives: Annotated[int, Field(ge=1, le=5000)]
    """Most candidates per position that the blend learns from beside the answer."""
    candidates: Annotated[int, Field(ge=10, le=5000)]
    """Best items of each member that are looked at."""
    shortlist: Annotated[int, Field(ge=10, le=5000)]
    """Of these, the best by reciprocal rank fusion, which the blend ranks; recommend time grows linearly."""
    search_items: Annotated[int, Field(ge=10)]
    """Most used items on which a model with `max_items` is tried; training takes all. Time grows with the cube."""
    half_life_days: Annotated[tuple[float, ...], Field(min_length=1)]
    """Half-lives of the popularity trends among the blend's features (all time is always one more)."""
    buckets: Annotated[int, Field(ge=1, le=4096)]
    """Time slices at which trends are known; finer follows the day more closely and takes memory."""
    warm_nights: Annotated[int, Field(ge=0, le=365)]
    """Nights in a row in which members that can (the transformer) go on from what the published version's night had
    learned, before one learns anew; 0: all do. More saves time; what a night got wrong may stay."""
    members: Annotated[dict[str, Grid], Field(min_length=1)]
    """Recommenders that are trained, evaluated alone and blended, each with the values to try on validation."""
    many_events: Annotated[int, Field(ge=1)]
    """Positive events of a fold's training part from which `with_many` counts."""
    with_many: dict[str, Grid]
    """Values that take the place of a member's where there are so many events: regularization that prevents
    overfitting on small data underfits large data."""
    backbone: Backbone
    """Whose layers the transformer has."""
    trees: TreeSettings
    """The blend's learner."""
    vector_index: VectorIndex
    """How content is searched in a large catalogue."""
    ratings: Ratings
    """The rating head, where the events hold ratings."""

    def sized(self, events: int) -> Finetune:
        """These settings for a training part of so many events."""
        if events < self.many_events:
            return self
        members = {name: grid | self.with_many.get(name, {}) for name, grid in self.members.items()}
        return self.model_copy(update={"members": members})

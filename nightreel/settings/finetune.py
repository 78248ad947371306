"""The section `finetune` of params.yaml: the models, their hyper-parameter search, and the ranker."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat

from nightreel.settings.backbone import Backbone
from nightreel.settings.fusion import Fusion
from nightreel.settings.section import Section

Grid = dict[str, tuple[float, ...]]


class TreeSettings(Section):
    """The ranker's gradient-boosted trees: LightGBM with the LambdaMART objective. Fields are named as in LightGBM."""

    num_trees: Annotated[tuple[int, ...], Field(min_length=1)]
    """Numbers of trees that are compared on validation. The time of a request grows linearly."""
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """Factor on each tree's output; a smaller one needs more trees."""
    num_leaves: Annotated[int, Field(ge=2, le=64)]
    """Maximum number of leaves of a tree; more fits finer interactions, and overfits sooner."""
    min_data_in_leaf: Annotated[int, Field(ge=1)]
    """Minimum number of examples in a leaf; more is steadier and coarser."""
    lambda_l2: Annotated[float, Field(ge=0)]
    """L2 penalty on leaf values; higher overfits less."""
    feature_fraction: Annotated[float, Field(gt=0, le=1)]
    """Share of the features that a tree may use, drawn at random; lower overfits less."""
    bagging_fraction: Annotated[float, Field(gt=0, le=1)]
    """Share of the examples that a tree is fitted to, drawn at random; lower overfits less."""
    lambdarank_truncation_level: Annotated[int, Field(ge=1)]
    """Number of top positions of a list whose order counts in the loss."""


class VectorIndex(Section):
    """The approximate nearest-neighbour index (HNSW) of the content vectors, for large catalogues."""

    least_items: Annotated[int, Field(ge=1)]
    """Minimum catalogue size, in items, for an index; for smaller ones exact search takes no longer."""
    connectivity: Annotated[int, Field(ge=4, le=64)]
    """Neighbours of a node in the graph; more improves recall, at 8 bytes an item each."""
    expansion_add: Annotated[int, Field(ge=16)]
    """Candidate nodes while building the graph; more improves recall, and building time grows with it."""
    expansion_search: Annotated[int, Field(ge=16)]
    """Candidate nodes while searching the graph; more improves recall, and query time grows with it."""


class Ratings(Section):
    """The rating model: user and item biases, and matrix factors of the residuals (alternating ridge regressions)."""

    bias: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
    """Ridge penalties on biases to try, in ratings: as if everybody had given that many more ratings at the mean."""
    factors: tuple[Annotated[int, Field(ge=1, le=256)], ...]
    """Numbers of factors to try; an empty list: biases only. Time grows with the square."""
    regularization: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
    """Ridge penalties on factors to try; higher keeps predictions closer to the biases."""
    iterations: Annotated[int, Field(ge=1, le=100)]
    """Alternations between user and item factors; time grows linearly."""


class Finetune(Section):
    seed: Annotated[int, Field(ge=0)]
    """Seed of the random numbers in finetune, evaluate and refit."""
    encoder_steps: Annotated[int, Field(ge=0, le=100_000)]
    """Fine-tuning steps of the content encoder (a count, not a time, so that runs are reproducible); 0: not
    fine-tuned."""
    encoder_pairs: Annotated[int, Field(ge=2, le=4096)]
    """Co-consumed item pairs in a fine-tuning step; more gives a better signal and is slower."""
    fusion: Fusion
    """One vector for text, sound and pictures, where items have media."""
    validation_users: Annotated[int, Field(ge=1)]
    """Maximum number of users in validation; more is steadier and slower."""
    positions: Annotated[int, Field(ge=1, le=50)]
    """Held-out events per user that the ranker is trained on; more is steadier and slower."""
    time_cuts: Annotated[int, Field(ge=2, le=12)]
    """With timestamps: number of time cuts for validation. At each, models trained on the events before it are scored
    on those that follow. More is steadier; each one trains the models once more."""
    time_cut_users: Annotated[int, Field(ge=1)]
    """Users wanted per time cut, on average. Its period is a day, extended until it has as many."""
    negatives: Annotated[int, Field(ge=1, le=5000)]
    """Maximum number of negative candidates per example that the ranker is trained on; more is steadier and slower."""
    candidates: Annotated[int, Field(ge=10, le=5000)]
    """Number of items that each model retrieves for a request. More improves recall and takes longer."""
    shortlist: Annotated[int, Field(ge=10, le=5000)]
    """Number of candidates that are ranked: the best of all models' candidates by reciprocal rank fusion. The time of a
    request grows linearly."""
    new_every: Annotated[int, Field(ge=0, le=1000)]
    """Every so-many-th place of a list is kept for an item with few events that fits the history; 0: none. A lower
    number shows new items to more people. Where the places surely cost more than 2% of NDCG@10 on validation, there are
    half as many, or none."""
    search_items: Annotated[int, Field(ge=10)]
    """Number of most used items in the hyper-parameter search of models with `max_items`; the final training uses all
    of theirs. Time grows with the cube."""
    half_life_days: Annotated[tuple[float, ...], Field(min_length=1)]
    """Half-lives, in days, of the popularity trends among the ranker's features. All-time popularity is always
    added."""
    buckets: Annotated[int, Field(ge=1, le=4096)]
    """Number of points in time at which trends are stored; more resolves time more finely and takes more memory."""
    warm_nights: Annotated[int, Field(ge=0, le=365)]
    """Maximum number of nights in a row in which models that support it (the transformer) are warm-started from the
    published version's night, where cuts follow each other in time; 0: always trained from scratch. More saves time;
    a bad fit may persist longer."""
    search_nights: Annotated[int, Field(ge=0, le=365)]
    """Maximum number of nights in a row that go on from the night of the published version: they take its
    hyper-parameters, its models where they know exactly what tonight's candidate may learn, and its records of cuts in
    time. 0: everything is selected and trained anew each night, which takes several times as long."""
    members: Annotated[dict[str, Grid], Field(min_length=1)]
    """Models to train and combine; each is also evaluated alone. The values listed for a model are tried on validation,
    and of nearly equal settings the first is selected, so list the simpler values first: those that fit the data less
    closely. A model chosen by name alone (in the form, or with `finetune.members=[ease, svd]`) keeps the values listed
    in params.yaml; one that is not listed there has its defaults."""
    many_events: Annotated[int, Field(ge=1)]
    """Number of positive training events from which `with_many` applies."""
    with_many: dict[str, Grid]
    """Values that replace those of `members` from `many_events` on, because regularization that prevents overfitting on
    small data underfits large data."""
    backbone: Backbone
    """A pretrained checkpoint for the transformer's layers."""
    trees: TreeSettings
    """Training of the ranker's trees."""
    vector_index: VectorIndex
    """Nearest-neighbour search by content in large catalogues."""
    ratings: Ratings
    """The rating model, where the events contain ratings."""

    def sized(self, events: int) -> Finetune:
        """The settings for a training set with this number of events: `with_many` is applied where it is large."""
        if events < self.many_events:
            return self
        members = {name: grid | self.with_many.get(name, {}) for name, grid in self.members.items()}
        return self.model_copy(update={"members": members})

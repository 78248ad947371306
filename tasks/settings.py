"""params.yaml as one frozen, typed object, parsed once at a stage's entry.

Values live in params.yaml alone: no field here has a default. Field docstrings give the effect, unit and trade-off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, ValidationError

from tasks.stage import UserError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Event = Literal[
    "impression", "play", "watch", "like", "favorite", "rating",
    "comment", "share", "search", "follow", "skip", "dislike",
]  # fmt: skip
Member = Literal[
    "popularity", "item_knn", "ease", "ease_long", "content_knn", "slist", "slist_short", "svd", "user_knn",
    "ials", "nmf", "tfidf_knn", "vae", "recurrent", "transformer",
]  # fmt: skip
Grid = dict[str, tuple[float, ...]]


class SettingsError(UserError):
    """params.yaml can't be read, or a field in it is unknown, missing or out of bounds."""


class Section(BaseModel):
    """A part of params.yaml, named after the stage that reads it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Snapshot(Section):
    source: str
    """`movielens-100k` (built-in sample), a folder, or an `s3://bucket/prefix` with `items.*` and `events.*`."""
    clock: Literal["auto", "time", "order"]
    """What `timestamp` means: `time` (UTC), `order` (a position per user), or `auto` (order if integers below 1e8)."""
    pseudonymise: Literal["auto", "on", "off"]
    """Replace user ids by keyed hashes before anything is versioned; `auto` is on for all but the public sample."""
    channel: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """The channel whose live version is pinned as champion and that `publish` moves."""


class Validate(Section):
    quarantine_share: Share
    """Share of a table's rows that may be quarantined before the run fails; higher tolerates dirtier logs."""
    duplicate_window_s: Annotated[float, Field(ge=0)]
    """Same user, item and event within this many seconds is a duplicate; 0: only exactly equal timestamps."""
    positive: dict[Event, float]
    """Event types that show interest, with the least `value` that counts (an event without a value counts)."""
    negative: dict[Event, float]
    """Event types that show dislike, with the least `value` that counts."""
    seen: tuple[Event, ...]
    """Event types after which an item counts as seen."""
    exclude_seen: Literal["auto", "on", "off"]
    """Leave seen items out of lists; `auto` permits repeats where most items are music or podcasts."""
    protocols: Literal["auto", "leave_last_out", "global_time"]
    """Test splits to write; `auto`: leave_last_out, and global_time where there is a clock."""
    gate: Literal["auto", "leave_last_out", "global_time"]
    """The split that decides; `auto`: global_time where it has `gate_users` test users, else leave_last_out."""
    gate_users: Annotated[int, Field(ge=1)]
    """Least number of test users for global_time to be the automatic gate."""
    test_share: Annotated[float, Field(gt=0, le=0.4)]
    """global_time: share of the positives, by time, in each test window (and in each validation window)."""
    cuts: Annotated[int, Field(ge=1, le=5)]
    """global_time: rolling cuts whose users are pooled; each one trains the members once more."""


class Tune(Section):
    """Contrastive fitting of the encoder to pairs of items that the same users took."""

    layers: Annotated[int, Field(ge=1, le=100)]
    """Last layers that are trained; the others stay as they are. More fits better and is slower."""
    max_tokens: Annotated[int, Field(ge=8, le=8192)]
    """Tokens of an item's text that are read while training; time grows linearly."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    """Peak step of AdamW, reached after a tenth of the steps and lowered to zero; too high forgets language."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)]
    """AdamW's pull of the weights towards zero."""
    temperature: Annotated[float, Field(gt=0, le=1)]
    """Divides cosines before the softmax; lower looks harder at the nearest wrong items."""


class Embed(Section):
    encoder: str
    """`all-MiniLM-L6-v2` (from its package), any hub id, or a local folder in transformers' format."""
    revision: str
    """Hub revision (commit) of the encoder; empty for packages and folders."""
    dtype: Literal["auto", "float32", "bfloat16"]
    """Weights' type; `auto`: bfloat16 where the device computes it natively, else float32."""
    device: Literal["auto", "cpu", "cuda", "mps"]
    """Where the encoder runs; `auto` takes a GPU when there is one."""
    max_tokens: Annotated[int, Field(ge=8, le=8192)]
    """Tokens of an item's text that are read; longer text is cut, time grows linearly."""
    block_tokens: Annotated[int, Field(ge=64, le=1_048_576)]
    """Tokens in a block of texts of equal padded length; fixed, so that an item's bytes don't depend on its neighbours.
    256 suits a CPU, 32768 a GPU: larger blocks use wide devices better and waste more on small catalogues."""
    length_parts: Annotated[int, Field(ge=1, le=512)]
    """Texts are padded to one of this many lengths up to each power of two; more computes less padding, in more kinds
    of blocks."""
    tune: Tune
    """How the encoder is fitted to behaviour; `finetune` reads it."""


class Trees(Section):
    """The blend's gradient-boosted trees (LightGBM, LambdaMART)."""

    rounds: Annotated[tuple[int, ...], Field(min_length=1)]
    """Numbers of trees to try on validation; recommend time grows linearly."""
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """Share of each tree's answer that is taken; smaller wants more rounds."""
    leaves: Annotated[int, Field(ge=2, le=64)]
    """Leaves of a tree; more fits finer interactions, and noise."""
    leaf_rows: Annotated[int, Field(ge=1)]
    """Least examples in a leaf; more is steadier."""
    l2: Annotated[float, Field(ge=0)]
    """Ridge penalty on leaf values."""
    feature_share: Annotated[float, Field(gt=0, le=1)]
    """Share of the features offered to each tree."""
    row_share: Annotated[float, Field(gt=0, le=1)]
    """Share of the examples drawn for each tree."""
    truncation: Annotated[int, Field(ge=1)]
    """Positions at a list's top whose order matters to the loss."""


class Finetune(Section):
    seed: Annotated[int, Field(ge=0)]
    """Seed of every generator in finetune, evaluate and refit."""
    encoder_steps: Annotated[int, Field(ge=0, le=100_000)]
    """Contrastive steps that fit the encoder to behaviour; 0 leaves it as it is. A count, so that runs are equal."""
    encoder_pairs: Annotated[int, Field(ge=2, le=4096)]
    """Co-consumed item pairs in a contrastive step; more is a better signal and slower."""
    validation_users: Annotated[int, Field(ge=1)]
    """Most users that hyper-parameters are chosen on; more is steadier and slower."""
    positions: Annotated[int, Field(ge=1, le=50)]
    """Held-out positions per user that the blend learns from; more is steadier and slower."""
    negatives: Annotated[int, Field(ge=1, le=5000)]
    """Most candidates per position that the blend learns from beside the answer."""
    candidates: Annotated[int, Field(ge=10, le=5000)]
    """Best items of each member that are looked at."""
    shortlist: Annotated[int, Field(ge=10, le=5000)]
    """Of these, the best by reciprocal rank fusion, which the blend ranks; recommend time grows linearly."""
    search_items: Annotated[int, Field(ge=10)]
    """Most used items that a member with `max_items` is tried on while its setting is chosen; it is then trained on
    all of `max_items`. Time of a trial grows with the cube."""
    half_life_days: Annotated[tuple[float, ...], Field(min_length=1)]
    """Half-lives of the popularity trends among the blend's features (all time is always one more)."""
    buckets: Annotated[int, Field(ge=1, le=4096)]
    """Time slices at which trends are known; finer follows the day more closely and takes memory."""
    members: Annotated[dict[Member, Grid], Field(min_length=1)]
    """Recommenders that are trained, evaluated alone and blended, each with the values to try on validation."""
    trees: Trees
    """The blend's learner."""


class Evaluate(Section):
    cutoffs: Annotated[tuple[int, ...], Field(min_length=1)]
    """List lengths k at which metrics are given."""
    margin: Annotated[float, Field(gt=0, lt=1)]
    """Non-inferiority margin: the relative loss of NDCG@10 that is tolerated."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    """One-sided confidence of the verdict's bound; intervals shown are two-sided 95%."""
    replicates: Annotated[int, Field(ge=100, le=100_000)]
    """Bootstrap replicates over users."""


class Refit(Section):
    drift_psi: Annotated[float, Field(gt=0)]
    """Population stability index of a blend feature between rehearsal and refit above which the run holds."""
    coverage_share: Share
    """Least catalogue coverage of the final bundle, as a share of the candidate's."""
    overlap: Share
    """Least mean top-10 overlap of the final bundle's lists with the candidate's."""
    latency_ms: Annotated[float, Field(gt=0)]
    """Most milliseconds that a single recommendation of the final bundle may take (the fastest of several)."""


class Publish(Section):
    dry_run: bool
    """Do everything but upload and move the channel."""
    keep_versions: NonNegativeInt
    """`nightreel gc` keeps the newest this many versions: what a rollback can name. Each costs its new bytes."""
    keep_days: NonNegativeFloat
    """`nightreel gc` keeps versions younger than this."""
    grace_hours: NonNegativeFloat
    """`nightreel gc` keeps, for this long, what a channel has left (readers may be on it) and unfinished uploads."""


class Record(Section):
    experiment: str
    """MLflow experiment and registered model name."""


class Settings(Section):
    """Everything a run may depend on."""

    snapshot: Snapshot
    validate_: Annotated[Validate, Field(alias="validate")]
    embed: Embed
    finetune: Finetune
    evaluate: Evaluate
    refit: Refit
    publish: Publish
    record: Record


def explain(error: ValidationError, where: str) -> SettingsError:
    """One line a fault: `params.yaml: evaluate.margin: …`."""
    lines = [f"{where}: {'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()]
    return SettingsError("\n".join(lines) + "\nCorrect the field; tasks/settings.py says what each one takes.")


def parse(values: dict[str, Any], where: str = "params.yaml") -> Settings:
    """Settings of a mapping; raises SettingsError naming every faulty field."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise explain(error, where) from None


def load(path: Path = Path("params.yaml")) -> Settings:
    """Settings of a params.yaml; raises SettingsError when it is missing or broken."""
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: can't be read: {error}. Restore it from version control.") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: holds no sections. Restore it from version control.")
    return parse(values, str(path))

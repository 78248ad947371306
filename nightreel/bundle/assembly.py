"""Assemble a bundle from a data set and trained models; used by both finetune (rehearsal) and refit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle import context_popularity, exploration, newcomers
from nightreel.bundle.clock import tonight
from nightreel.bundle.format import seal
from nightreel.bundle.item_facets import Facets
from nightreel.data.dataset import Dataset
from nightreel.data.histories import Histories
from nightreel.data.log_end import data_end
from nightreel.models.catalogue import catalogue_of
from nightreel.models.content_vectors import write as write_vectors
from nightreel.models.engine import Engine
from nightreel.models.exploration.content_space import ContentSpace
from nightreel.models.exploration.item_trials import logged_trials
from nightreel.models.exploration.posterior import fit_posterior
from nightreel.models.factorization.rating_model import FOLDER, Rated, RatingConfig, RatingModel
from nightreel.models.newcomers.context import ContextLog
from nightreel.models.newcomers.segments import Segments
from nightreel.models.training.fit import Ready, WarmStart, fit_engine
from nightreel.models.training.selected_params import SelectedParams
from nightreel.settings.params_file import Settings
from nightreel.stage import read_json

NOTHING: Mapping[str, float] = MappingProxyType({})
LEARNED = ("train", "valid")  # parts that the rehearsal is trained on; it is evaluated on the test part


def write_histories(folder: Path, histories: Histories) -> None:
    """Write histories as .npy files; verdicts and gains where they are known."""
    folder.mkdir(parents=True)
    for name in ("indptr", "items", "times", "verdicts", "gains"):
        array = getattr(histories, name)
        if array is not None:
            np.save(folder / f"{name}.npy", array, allow_pickle=False)


def known_events(data: Dataset, fold: str | None, parts: tuple[str, ...] = ()) -> tuple[Histories, Histories]:
    """Positive events, with how each user liked the items, and seen items; one row per user each."""
    return replace(data.positives(fold, parts), verdicts=data.verdicts(fold, parts)), data.seen(fold, parts)


def same_items(base: Path | None, items: pa.Table) -> Path | None:
    """Return `base` if it is a version with exactly these items in this order, else None."""
    if base is None:
        return None
    ids = pq.ParquetFile(base / "items.parquet").read(columns=["item_id"])["item_id"]
    return base if ids.cast(pa.string()).equals(items["item_id"].cast(pa.string())) else None


def write_contexts(folder: Path, past: Histories, clock: bool) -> None:
    """Write the popularity by context of a bundle whose items are written; see nightreel.bundle.context_popularity."""
    facets = Facets(folder / "items.parquet")
    context_popularity.write(folder, past, {name: getattr(facets, name) for name in context_popularity.FACETS}, clock)


def write_ratings(folder: Path, known: Rated, data: Dataset, choices: SelectedParams) -> None:
    """Fit the rating model on `known` and write it, one .npy file per array; nothing if it was not selected or nothing
    is known."""
    if not choices.ratings or not len(known):
        return
    folder.mkdir(parents=True)
    config = RatingConfig.model_validate(choices.ratings)
    model = RatingModel.fit(known, data.n_users, data.n_items, config).with_users(data.users_by_id)
    for name, array in model.arrays().items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def write_exploration(folder: Path, data: Dataset, vectors: npt.NDArray[np.float32]) -> str:
    """Fit how well items are taken to every event, and write it into a bundle that is not sealed yet.

    Args:
        folder: The bundle's folder.
        data: The data set.
        vectors: [n_items, d] content vectors.

    Returns:
        A sentence on what it was learned from, for the log of the run.
    """
    space = ContentSpace.fit(vectors)
    reduced = space.reduced(vectors)
    trials = logged_trials(data, reduced)
    if trials is None:
        return "exploration: nobody has taken anything yet, so it draws at random"
    found = fit_posterior(trials, reduced, space)
    exploration.write(folder, found)
    return (
        f"exploration: {trials.trials.sum():,.0f} trials ({trials.how}); {len(found.rows):,} of {data.n_items:,} items "
        "are to be explored"
    )


def write_newcomers(
    folder: Path,
    data: Dataset,
    choices: SelectedParams,
    known: Histories,
    fold: str | None,
    parts: tuple[str, ...] = (),
) -> None:
    """Write the segments of newcomers, counted on `known`; nothing if they were not selected, or nothing tells them."""
    chosen = choices.newcomers
    log = ContextLog.of(data, fold, parts) if chosen is not None else None
    if chosen is None or log is None or not log.columns:
        return
    folder.mkdir(parents=True, exist_ok=True)
    newcomers.write(folder, data, Segments.fit(log, chosen.columns, chosen.strength, chosen.pull), known, log)


def assemble(
    folder: Path,
    data: Dataset,
    engine: Engine,
    known: tuple[Histories, Histories],
    vectors: npt.NDArray[np.float32],
    config: dict[str, Any],
    base: Path | None = None,
) -> str:
    """Write and seal a bundle.

    Args:
        folder: Where to write it.
        data: The data set.
        engine: The trained models.
        known: Positive events and seen items, one row per user each.
        vectors: [n_items, d] content vectors.
        config: Facts that a reader needs besides the data set's own.
        base: An earlier version, see nightreel.models.content_vectors.

    Returns:
        The bundle's digest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(data.items, folder / "items.parquet")
    users = [data.user_ids[user] for user in data.users_by_id]
    histories, seen = (each.take(data.users_by_id) for each in known)
    pq.write_table(pa.table({"user_id": pa.array(users, pa.string())}), folder / "users.parquet")
    write_histories(folder / "histories", histories)
    if histories.negatives is not None:
        write_histories(folder / "negatives", histories.negatives)
    write_histories(folder / "seen", seen)
    write_vectors(folder, vectors, config.get("vector_index"), same_items(base, data.items))
    engine.save(folder)
    write_contexts(folder, known[0], data.clock == "time")
    until = _until(known[0], data)
    facts = {
        "clock": data.clock,
        "exclude_seen": data.exclude_seen,
        "data_until": until,
        "learned_until": float(known[0].times.max(initial=until)),
        "members": list(engine.members),
        "blend": engine.blend.kind,
    }
    return seal(folder, config | facts)


def _until(known: Histories, data: Dataset) -> float:
    """End of the data that the bundle is trained on."""
    if not len(known.times):
        return data.data_until
    return data_end(known.rows, known.times) if data.clock == "time" else float(known.times.max())


def bundle_config(protocol: str, data: Dataset, settings: Settings) -> dict[str, Any]:
    """Facts about the sources that a reader or a comparison needs."""
    source, embed = read_json(Path("data/snapshot/source.json")), read_json(Path("data/embed/embed.json"))
    return {
        "name": source["name"],
        "terms": source["terms"],
        "pseudonymised": source["pseudonymised"],
        "key_fingerprint": source["key_fingerprint"],
        "split_digest": data.split_digest[protocol],
        "embed": embed,
        "vector_index": settings.finetune.vector_index.model_dump(),
    }


def rehearse(
    data: Dataset,
    fold: str,
    choices: SelectedParams,
    vectors: npt.NDArray[np.float32],
    config: dict[str, Any],
    folder: Path,
    start: Engine | WarmStart | None = None,
    ready: Ready = lambda *_: None,
) -> str:
    """Refit all models on a fold's train and validation parts with all choices frozen, and write a bundle.

    Args:
        data: The data set.
        fold: The fold.
        choices: Selected models and hyper-parameters.
        vectors: [n_items, d] content vectors.
        config: Facts that a reader needs.
        folder: Where to write the bundle.
        start: Models with the same choices, fitted on the train part, from which models that support it are
            warm-started.
        ready: See fit_engine.

    Returns:
        The bundle's digest.
    """
    known = known_events(data, fold, LEARNED)
    write_ratings(folder / FOLDER, Rated.of(*data.ratings(fold, LEARNED)), data, choices)
    write_newcomers(folder, data, choices, known[0], fold, LEARNED)
    return _trained(folder, data, known, choices, vectors, config | {"fold": fold}, start, ready=ready)


def refit(
    data: Dataset,
    choices: SelectedParams,
    vectors: npt.NDArray[np.float32],
    config: dict[str, Any],
    folder: Path,
    start: Engine | None = None,
    base: Path | None = None,
    ready: Ready = lambda *_: None,
    value: Mapping[str, float] = NOTHING,
) -> str:
    """Repeat the rehearsal over all events, warm-started from the rehearsed models, and write a bundle.

    Args:
        data: The data set.
        choices: Selected models and hyper-parameters.
        vectors: [n_items, d] content vectors.
        config: Facts that a reader needs.
        folder: Where to write the bundle.
        start: The rehearsed models.
        base: Folder of an earlier version, whose unchanged content vectors are reused, byte for byte.
        ready: See fit_engine.
        value: What outcomes are worth in its lists.

    Returns:
        The bundle's digest.
    """
    write_ratings(folder / FOLDER, Rated.of(*data.ratings(None)), data, choices)
    known = known_events(data, None)
    write_newcomers(folder, data, choices, known[0], None)
    return _trained(folder, data, known, choices, vectors, config, start, base, ready, value)


def _trained(
    folder: Path,
    data: Dataset,
    known: tuple[Histories, Histories],
    choices: SelectedParams,
    vectors: npt.NDArray[np.float32],
    config: dict[str, Any],
    start: Engine | WarmStart | None,
    base: Path | None = None,
    ready: Ready = lambda *_: None,
    value: Mapping[str, float] = NOTHING,
) -> str:
    catalogue, clock = catalogue_of(data.items, vectors), data.clock == "time"
    engine = fit_engine(known[0], catalogue, choices, clock=clock, start=start, ready=ready)
    engine = replace(engine, outcome_values=dict(value))
    return assemble(folder, data, engine, known, vectors, config | {"moment": tonight(data.clock)}, base)

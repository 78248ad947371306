"""Stage evaluate: score the candidate's recommendations through the Reader, and decide.

Reads data/validate, data/finetune and what snapshot pinned; writes data/evaluate and metrics/evaluate.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nightreel.data.dataset import Dataset, load_dataset, with_named
from nightreel.data.split_protocols import GLOBAL
from nightreel.evaluation.behavioral.suite import run_behavioral_tests
from nightreel.evaluation.beyond_accuracy import CatalogueFacts
from nightreel.evaluation.champion import pinned_champion
from nightreel.evaluation.drift.data_drift import Profiled, drifted, known_data, write_drift
from nightreel.evaluation.gate.compare_to_champion import compare_to_champion
from nightreel.evaluation.gate.gate import Gate, GateEvidence
from nightreel.evaluation.gate.verdict import Verdict
from nightreel.evaluation.list_checks import Hidden
from nightreel.evaluation.logs.log_figures import read_logs
from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.model_scores import GATE_K, ModelScores, intervals, score_models
from nightreel.evaluation.rating_error import rating_errors, rating_lines, rating_metrics
from nightreel.evaluation.rehearsals import rehearsed
from nightreel.evaluation.reporting.console_table import table
from nightreel.evaluation.reporting.model_card import CardFacts, write_card
from nightreel.evaluation.reporting.outputs import cold_metrics, metrics, write_results
from nightreel.evaluation.reporting.report_data import report_data
from nightreel.evaluation.segments.cold_start import Row, lines
from nightreel.evaluation.segments.segments import cold_start_segments
from nightreel.evaluation.segments.slice_definitions import slices_of
from nightreel.evaluation.segments.slice_metrics import slice_rows
from nightreel.evaluation.showable_today import hidden_today
from nightreel.evaluation.test_reads import count_read
from nightreel.evaluation.test_set import TestSet
from nightreel.models.engine import BLEND
from nightreel.models.training.selected_params import SelectedParams
from nightreel.reader.reader import Reader
from nightreel.settings import Settings, load
from nightreel.stage import (
    log_progress,
    read_json,
    save_run_note,
    stage_main,
    staged_output,
    state_directory,
    write_json,
)
from nightreel.store.open import open_store

SNAPSHOT, VALIDATE, EMBED, FINETUNE = (Path("data", name) for name in ("snapshot", "validate", "embed", "finetune"))
OUT = Path("data/evaluate")
Measured = dict[str, tuple[ModelScores, dict[str, dict[str, Interval]]]]


def main() -> None:
    """One verdict on the candidate."""
    settings, data = load(), load_dataset(VALIDATE)
    named = with_named(data)
    cuts, recipe = read_json(VALIDATE / "splits.json")["protocols"], read_json(SNAPSHOT / "recipe.json")["recipe"]
    names = [data.gate, *(name for name in data.protocols if name != data.gate)]
    hidden = hidden_today(SNAPSHOT)
    pairs = {name: rehearsed(data, name, cuts[name]["cuts"], hidden, FINETUNE) for name in names}
    vectors, genres = np.load(FINETUNE / "vectors.npy", mmap_mode="r"), data.items["genres"].to_pylist()
    catalogue = CatalogueFacts.of(genres, lambda: vectors)
    measured = _measure(settings, data, pairs, catalogue, Hidden.of(data.item_ids, hidden))
    scores, trials = measured[data.gate][0], [asked for asked, _ in pairs[data.gate]]
    challenger = pairs[data.gate][0][1]
    pinned = read_json(SNAPSHOT / "champion.json")["digest"]
    champion = pinned_champion(open_store(), pinned) if pinned else None
    known = known_data(open_store(), champion, settings.snapshot.source)
    profiled = drifted(data, np.load(EMBED / "vectors.npy"), known, challenger.config, settings.evaluate.drift)
    gate = Gate(settings.evaluate, settings.finetune.seed)
    evidence = _evidence(settings, data, named, pairs[data.gate], scores, genres, profiled)
    judgement = compare_to_champion(
        gate,
        evidence,
        champion,
        data,
        pairs[data.gate],
        blocked=recipe in read_json(SNAPSHOT / "blocked.json"),
        least_users=settings.validate_.gate_users,
        vectors=(EMBED, FINETUNE),
        hidden=hidden,
    )
    verdict = judgement.verdict
    rated = _rated(settings, data, pairs)
    cold = cold_start_segments(data, trials[0], challenger, verdict.model, vectors, settings)
    choices, (slices, gaps) = read_json(FINETUNE / "choices.json"), gate.slices(evidence, None, verdict.model)
    readers = [reader for _, reader in pairs[data.gate]] if verdict.model == BLEND else []
    with staged_output(OUT) as folder:
        write_results(folder, data, choices, measured, cold, judgement, pinned, challenger.digest)
        rows = slice_rows(evidence.slices, trials, scores, verdict.model, catalogue, gate.resample)
        told = {"ratings": rated, "slices": rows}
        write_json(folder / "report.json", report_data(named, trials, readers, measured, judgement, gate) | told)
        write_drift(folder, profiled, read_json(VALIDATE / "arrivals.json"))
        latest = pairs[GLOBAL][0][1] if GLOBAL in pairs else None
        write_json(folder / "logs.json", read_logs(data, latest, verdict.model, settings.evaluate.logs, gate.resample))
        write_card(
            folder,
            data,
            measured,
            settings,
            CardFacts(
                source=read_json(SNAPSHOT / "source.json"),
                validated=read_json(VALIDATE / "report.json"),
                choices=choices,
                embed=challenger.config.get("embed", {}),
                model=verdict.model,
                slices=slices,
                gaps=gaps,
                cold=cold,
                changes=profiled.changes,
            ),
        )
    more = {"cold start": cold_metrics(cold), "ratings": rating_metrics(rated)}
    write_json(Path("metrics/evaluate.json"), metrics(measured, data.gate, verdict.model, verdict.rules) | more)
    reads = {name: count_read(state_directory(), data.split_digest[name], recipe) for name in names}
    save_run_note("evaluate", {"test_reads": reads, "recipe": recipe})
    _show(data, measured, cold, verdict, reads[data.gate])


def _evidence(
    settings: Settings,
    data: Dataset,
    named: Dataset,
    pairs: list[tuple[TestSet, Reader]],
    scores: ModelScores,
    genres: list[list[str] | None],
    profiled: Profiled,
) -> GateEvidence:
    """The gate's evidence on the candidate. named: the data with the columns that define slices."""
    trials, challenger = [asked for asked, _ in pairs], pairs[0][1]
    return GateEvidence(
        scores=scores,
        slices=slices_of(named, trials, settings.evaluate.slices),
        behaviours=run_behavioral_tests(trials[0], challenger, genres, settings.evaluate),
        data_until=data.data_until,
        clock=data.clock,
        candidate=challenger.digest,
        item_ids=data.item_ids,
        source=settings.snapshot.source,
        behind=SelectedParams.read(FINETUNE).described() + " ranks the lists",
        changes=profiled.changes,
    )


def _measure(
    settings: Settings,
    data: Dataset,
    pairs: Mapping[str, list[tuple[TestSet, Reader]]],
    catalogue: CatalogueFacts,
    hidden: Hidden,
) -> Measured:
    cutoffs = sorted({*settings.evaluate.cutoffs, GATE_K})
    measured: Measured = {}
    for name, asked in pairs.items():
        scores = score_models(asked, cutoffs=cutoffs, catalogue=catalogue, hidden=hidden)
        rng = np.random.default_rng(settings.finetune.seed)
        measured[name] = scores, intervals(scores, settings.evaluate.replicates, rng)
    return measured


def _rated(settings: Settings, data: Dataset, pairs: Mapping[str, list[tuple[TestSet, Reader]]]) -> dict[str, Any]:
    replicates, seed = settings.evaluate.replicates, settings.finetune.seed
    heads = {name: [(trial.fold, reader.ratings) for trial, reader in asked] for name, asked in pairs.items()}
    found = {name: rating_errors(data, asked, replicates, seed) for name, asked in heads.items()}
    log_progress("\n".join(rating_lines(name, own) for name, own in found.items()))
    return found


def _show(data: Dataset, measured: Measured, cold: list[Row], verdict: Verdict, reads: int) -> None:
    for name, (scores, found) in measured.items():
        log_progress("\n" + table(name, scores, found, decides=name == data.gate))
    used = f"{reads:,} runs with different configurations have" if reads > 1 else "1 configuration has"
    log_progress(f"\n{lines(cold)}\n\n{used} been evaluated on this test split.")
    log_progress(verdict.sentence)


if __name__ == "__main__":
    stage_main(main)

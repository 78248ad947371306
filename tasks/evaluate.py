"""Stage evaluate: score the candidate's recommendations through the Reader, and decide.

Reads data/validate, data/finetune and what snapshot pinned; writes data/evaluate and metrics/evaluate.json.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nightreel.data.split_protocols import GLOBAL
from nightreel.evaluation.behavioral.suite import run_behavioral_tests
from nightreel.evaluation.drift.data_drift import write_drift
from nightreel.evaluation.gate.compare_to_champion import compare_to_champion
from nightreel.evaluation.gate.gate import Gate, GateEvidence, GateResult
from nightreel.evaluation.logs.log_figures import read_logs
from nightreel.evaluation.measurements import Measurements
from nightreel.evaluation.night_inputs import EMBED, FINETUNE, VALIDATE, NightInputs
from nightreel.evaluation.rating_error import rating_lines, rating_metrics
from nightreel.evaluation.reporting.console_table import table
from nightreel.evaluation.reporting.model_card import CardFacts, write_card
from nightreel.evaluation.reporting.outputs import cold_metrics, metrics, write_results
from nightreel.evaluation.reporting.report_data import report_data
from nightreel.evaluation.segments.cold_start import Row, lines
from nightreel.evaluation.segments.segments import cold_start_segments
from nightreel.evaluation.segments.slice_definitions import slices_of
from nightreel.evaluation.segments.slice_metrics import slice_rows
from nightreel.evaluation.segments.window_reach import window_reach
from nightreel.evaluation.test_reads import count_read
from nightreel.models.engine import BLEND
from nightreel.models.training.selected_params import SelectedParams
from nightreel.settings.params_file import load
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

OUT = Path("data/evaluate")


def main() -> None:
    """One verdict on the candidate: inputs, measurements, judgement, artifacts."""
    store = open_store()
    inputs = NightInputs.read(load(), store)
    measurements = Measurements.of(inputs, store)
    gate = Gate(inputs.settings.evaluate, inputs.settings.finetune.seed)
    evidence = gate_evidence(inputs, measurements)
    result = judge(inputs, gate, evidence)
    cold = cold_start_segments(
        inputs.data, inputs.test_sets[0], inputs.challenger, result.verdict.model, inputs.vectors, inputs.settings
    )
    write_artifacts(inputs, measurements, gate, evidence, result, cold)
    _show(inputs, measurements, result, cold)


def gate_evidence(inputs: NightInputs, measurements: Measurements) -> GateEvidence:
    """What the gate judges the candidate by."""
    data, settings = inputs.data, inputs.settings
    return GateEvidence(
        scores=measurements.gate,
        slices=slices_of(inputs.named, inputs.test_sets, settings.evaluate.slices),
        behaviours=run_behavioral_tests(inputs.test_sets[0], inputs.challenger, inputs.genres, settings.evaluate),
        data_until=data.data_until,
        clock=data.clock,
        candidate=inputs.challenger.digest,
        item_ids=data.item_ids,
        source=settings.snapshot.source,
        behind="lists ranked by " + SelectedParams.read(FINETUNE).described(),
        changes=measurements.drift.changes,
    )


def judge(inputs: NightInputs, gate: Gate, evidence: GateEvidence) -> GateResult:
    """The verdict, against the champion where there is one."""
    return compare_to_champion(
        gate,
        evidence,
        inputs.champion,
        inputs.data,
        inputs.gate_pairs,
        blocked=not {inputs.recipe, inputs.challenger.digest}.isdisjoint(inputs.snapshot("blocked")),
        least_users=inputs.settings.validate_.gate_users,
        vectors=(EMBED, FINETUNE),
        hidden=inputs.hidden,
    )


def write_artifacts(
    inputs: NightInputs,
    measurements: Measurements,
    gate: Gate,
    evidence: GateEvidence,
    result: GateResult,
    cold: list[Row],
) -> None:
    """data/evaluate and metrics/evaluate.json."""
    data, settings, model, measured = inputs.data, inputs.settings, result.verdict.model, measurements.by_protocol
    choices, (slices, gaps) = read_json(FINETUNE / "choices.json"), gate.slices(evidence, None, model)
    readers = [reader for _, reader in inputs.gate_pairs] if model == BLEND else []
    rows = slice_rows(evidence.slices, inputs.test_sets, measurements.gate, model, inputs.catalogue, gate.resample)
    latest = inputs.pairs[GLOBAL][0][1] if GLOBAL in inputs.pairs else None
    card = CardFacts(
        source=inputs.snapshot("source"),
        validated=read_json(VALIDATE / "report.json"),
        choices=choices,
        embed=inputs.challenger.config.get("embed", {}),
        model=model,
        slices=slices,
        gaps=gaps,
        cold=cold,
        changes=measurements.drift.changes,
    )
    report = report_data(inputs.named, inputs.test_sets, readers, measured, result, gate)
    pinned = inputs.snapshot("champion")["digest"]
    in_time = [test_set for test_set, _ in inputs.pairs.get(GLOBAL, [])]
    lists = measured[GLOBAL][0].lists[model] if in_time else np.empty((0, 0), np.int32)
    reached = window_reach(data, in_time, lists, settings.evaluate.bootstrap_replicates, settings.finetune.seed)
    with staged_output(OUT) as folder:
        write_results(folder, data, choices, measured, cold, result, pinned, inputs.challenger.digest)
        write_json(folder / "report.json", report | {"ratings": measurements.ratings, "slices": rows})
        write_drift(folder, measurements.drift, read_json(VALIDATE / "arrivals.json"))
        write_json(folder / "new_items.json", reached)
        write_json(folder / "logs.json", read_logs(data, latest, model, settings.evaluate.logs, gate.resample))
        write_card(folder, data, measured, settings, card)
    more = {"cold start": cold_metrics(cold), "ratings": rating_metrics(measurements.ratings)}
    write_json(Path("metrics/evaluate.json"), metrics(measured, data.gate, model, result.verdict.rules) | more)


def _show(inputs: NightInputs, measurements: Measurements, result: GateResult, cold: list[Row]) -> None:
    data, recipe = inputs.data, inputs.recipe
    reads = {name: count_read(state_directory(), data.split_digest[name], recipe) for name in inputs.pairs}
    save_run_note("evaluate", {"test_reads": reads, "recipe": recipe})
    log_progress("\n".join(rating_lines(name, own) for name, own in measurements.ratings.items()))
    for name, (scores, found) in measurements.by_protocol.items():
        log_progress("\n" + table(name, scores, found, decides=name == data.gate))
    count = reads[data.gate]
    used = f"{count:,} runs with different configurations have" if count > 1 else "1 configuration has"
    log_progress(f"\n{lines(cold)}\n\n{used} been evaluated on this test split.")
    log_progress(result.verdict.sentence)


if __name__ == "__main__":
    stage_main(main)

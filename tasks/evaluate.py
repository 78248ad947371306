"""evaluate: asks the Reader over the candidate bundles what everyone would be shown, scores it, and decides.

Reads data/validate, data/finetune and what snapshot pinned; writes data/evaluate and metrics/evaluate.json.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tasks.data.dataset import Dataset, load_dataset
from tasks.evaluation.beyond import Catalogue
from tasks.evaluation.champion import compare, pinned_champion
from tasks.evaluation.checks import Hidden
from tasks.evaluation.cold_start import Row, lines
from tasks.evaluation.conduct import conduct
from tasks.evaluation.dimensions import slices_of
from tasks.evaluation.gate import Evidence, Gate, judge
from tasks.evaluation.intervals import Interval
from tasks.evaluation.newcomers import newcomers
from tasks.evaluation.outputs import cold_metrics, metrics, write_results
from tasks.evaluation.rating_error import rating_errors, rating_lines, rating_metrics
from tasks.evaluation.reads import count_read
from tasks.evaluation.report_data import report_data
from tasks.evaluation.scores import GATE_K, Scores, intervals, measure
from tasks.evaluation.table import table
from tasks.evaluation.trial import Ranker, Trial, trial
from tasks.evaluation.verdict import Verdict
from tasks.index.assembly import rehearse
from tasks.index.reader import Reader
from tasks.index.stores import open_store
from tasks.models.choices import Choices
from tasks.models.engine import BLEND
from tasks.settings import Settings, load
from tasks.stage import note, read_json, say, stage_main, staged_output, state_directory, write_json

SNAPSHOT, VALIDATE, EMBED, FINETUNE = (Path("data", name) for name in ("snapshot", "validate", "embed", "finetune"))
OUT = Path("data/evaluate")
Measured = dict[str, tuple[Scores, dict[str, dict[str, Interval]]]]


def main() -> None:
    """One verdict on the candidate."""
    settings, data = load(), load_dataset(VALIDATE)
    cuts = read_json(VALIDATE / "splits.json")["protocols"]
    recipe = read_json(SNAPSHOT / "recipe.json")["recipe"]
    names = [data.gate, *(name for name in data.protocols if name != data.gate)]
    pairs = {name: _pairs(data, name, cuts[name]["cuts"]) for name in names}
    measured = _measure(settings, data, pairs)
    scores, trials = measured[data.gate][0], [asked for asked, _ in pairs[data.gate]]
    challenger = pairs[data.gate][0][1]
    pinned = read_json(SNAPSHOT / "champion.json")["digest"]
    champion = pinned_champion(open_store(), pinned) if pinned else None
    gate = Gate(settings.evaluate, settings.finetune.seed)
    evidence = Evidence(
        scores=scores, slices=slices_of(data, trials, settings.evaluate.slices),
        behaviours=conduct(trials[0], challenger, data.items["genres"].to_pylist(), settings.evaluate),
        data_until=data.data_until,
        clock=data.clock, candidate=challenger.digest, item_ids=data.item_ids, source=settings.snapshot.source,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        judgement = judge(
            gate, evidence, champion,
            blocked=recipe in read_json(SNAPSHOT / "blocked.json"),
            compare=lambda known: compare(
                known, data, scores, trials,
                least_users=settings.validate_.gate_users,
                challenger=challenger,
                open_champion=lambda: Reader.open(version=known.digest),
                retrain=_retrain(data, Path(scratch)),
            ),
        )  # fmt: skip
    verdict = judgement.verdict
    rated = _rated(settings, data, pairs)
    vectors = np.load(FINETUNE / "vectors.npy", mmap_mode="r")
    cold = newcomers(data, trials[0], challenger, verdict.model, vectors, settings)
    choices = read_json(FINETUNE / "choices.json")
    readers = [reader for _, reader in pairs[data.gate]] if verdict.model == BLEND else []
    with staged_output(OUT) as folder:
        write_results(folder, data, choices, measured, cold, judgement, pinned, challenger.digest)
        more = report_data(data, trials, readers, measured, judgement, gate)
        write_json(folder / "report.json", more | {"ratings": rated})
    also = {"cold start": cold_metrics(cold), "ratings": rating_metrics(rated)}
    write_json(Path("metrics/evaluate.json"), metrics(measured, data.gate, verdict.model, verdict.rules) | also)
    reads = {name: count_read(state_directory(), data.split_digest[name], recipe) for name in names}
    note("evaluate", {"test_reads": reads, "recipe": recipe})
    _show(data, measured, cold, verdict, reads[data.gate])


def _pairs(data: Dataset, protocol: str, cuts: list[list[float]]) -> list[tuple[Trial, Reader]]:
    """Each fold's question and the bundle that was rehearsed for it, the latest fold first."""
    pairs: list[tuple[Trial, Reader]] = []
    for number, fold in enumerate(data.protocols[protocol]):
        latest = protocol == data.gate and number == 0
        bundle = FINETUNE / "candidate" if latest else FINETUNE / "candidates" / fold
        pairs.append((trial(data, fold, cuts[number][1] if cuts else None), Reader.open_bundle(bundle)))
    return pairs


def _measure(settings: Settings, data: Dataset, pairs: Mapping[str, list[tuple[Trial, Reader]]]) -> Measured:
    cutoffs = sorted({*settings.evaluate.cutoffs, GATE_K})
    genres, vectors = data.items["genres"].to_pylist(), partial(np.load, FINETUNE / "vectors.npy", mmap_mode="r")
    catalogue, hidden = Catalogue.of(genres, vectors), Hidden.of(data.items, data.clock)
    measured: Measured = {}
    for name, asked in pairs.items():
        scores = measure(asked, cutoffs=cutoffs, catalogue=catalogue, hidden=hidden)
        rng = np.random.default_rng(settings.finetune.seed)
        measured[name] = scores, intervals(scores, settings.evaluate.replicates, rng)
    return measured


def _rated(settings: Settings, data: Dataset, pairs: Mapping[str, list[tuple[Trial, Reader]]]) -> dict[str, Any]:
    replicates, seed = settings.evaluate.replicates, settings.finetune.seed
    heads = {name: [(trial.fold, reader.ratings) for trial, reader in asked] for name, asked in pairs.items()}
    found = {name: rating_errors(data, asked, replicates, seed) for name, asked in heads.items()}
    say("\n".join(rating_lines(name, own) for name, own in found.items()))
    return found


def _retrain(data: Dataset, scratch: Path) -> Callable[[str, Choices], Ranker]:
    def retrain(fold: str, choices: Choices) -> Ranker:
        say(f"training the champion's choices again on {fold}")
        # A fine-tuned encoder belongs to the night that made it: today's vectors stand in for the champion's.
        vectors = EMBED if choices.encoder == "base" else FINETUNE
        rehearse(data, fold, choices, np.load(vectors / "vectors.npy"), {"key_fingerprint": None}, scratch / fold)
        return Reader.open_bundle(scratch / fold, check=False)

    return retrain


def _show(data: Dataset, measured: Measured, cold: list[Row], verdict: Verdict, reads: int) -> None:
    for name, (scores, found) in measured.items():
        say("\n" + table(name, scores, found, decides=name == data.gate))
    say(f"\n{lines(cold)}\n\nThis test split has been read by {reads:,} recipe{'s' if reads > 1 else ''}.")
    say(verdict.sentence)


if __name__ == "__main__":
    stage_main(main)

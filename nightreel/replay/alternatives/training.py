"""Program that trains other choices than the night's own on its log, as the stage refit would have done.

    python -m nightreel.replay.alternatives.training OUT [CHOICES]

It runs in the night's working directory after its last stage. CHOICES: folder of recorded choices, which are trained
from scratch as on a held night; without it the candidate's are trained, as if it had been promoted.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from nightreel.bundle import editorial_rules
from nightreel.bundle.assembly import refit
from nightreel.data.dataset import Dataset, load_dataset, with_profiles
from nightreel.evaluation.earlier_night import period_record
from nightreel.evaluation.gate.release_candidates import decided, relearned, relearns
from nightreel.models.training.selected_params import SelectedParams
from nightreel.reader.reader import Reader
from nightreel.settings.params_file import load
from nightreel.stage import read_json, stage_main

DATA = Path("data")
FINETUNE = DATA / "finetune"


def candidates(data: Dataset, candidate: Reader) -> SelectedParams:
    """What refit would have trained if the candidate had been promoted."""
    decision, threads = read_json(DATA / "evaluate/decision.json"), read_json(DATA / "snapshot/environment.json")
    chosen, settings = decided(decision, FINETUNE), load().finetune
    newest = period_record(data, candidate.engine, FINETUNE, settings, scored=False) if relearns(chosen) else None
    return relearned(chosen, newest, FINETUNE, settings, int(threads["threads"]))


def main() -> None:
    """Write the bundle, with the night's editorial rules, so that its lists are made as those that are served."""
    out, recorded = Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]]
    data, candidate = with_profiles(load_dataset()), Reader.open_bundle(FINETUNE / "candidate")
    choices = SelectedParams.read(recorded[0]) if recorded else candidates(data, candidate)
    vectors = np.load((DATA / "embed" if choices.encoder == "base" else FINETUNE) / "vectors.npy", allow_pickle=False)
    facts = {name: value for name, value in candidate.config.items() if name != "fold"}
    refit(data, choices, vectors, facts, out, start=None if recorded else candidate.engine)
    editorial_rules.write(out, pq.read_table(DATA / "validate/rules.parquet"))


if __name__ == "__main__":
    stage_main(main)

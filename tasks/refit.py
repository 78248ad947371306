"""refit: train the final bundle on all events, and check it with the gates that need no labels.

After `promote` it uses the candidate's hyper-parameters; on a held or rejected night those recorded in the live
version, so that the served models know the newest events whatever the verdict was.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from nightreel.bundle import editorial_rules
from nightreel.bundle.assembly import refit, write_exploration
from nightreel.bundle.exploration import SHARE
from nightreel.bundle.footprint import memory_mb, size_mb
from nightreel.data import hidden_tonight
from nightreel.data.dataset import Dataset, load_dataset, with_profiles
from nightreel.data.split_protocols import GLOBAL
from nightreel.evaluation.earlier_night import keep_period, period_record
from nightreel.evaluation.gate.refit_gates import Gated, gates, latency, too_costly
from nightreel.evaluation.gate.release_candidates import Shipment, decided, relearns, shipments
from nightreel.evaluation.validation import gate_fold
from nightreel.models.training.going_on.earlier_selection import SELECTION, CutRecord
from nightreel.models.training.selected_params import SelectedParams
from nightreel.outcome_values import WANTED
from nightreel.reader.interests import write_keywords
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from nightreel.settings.evaluate import Refit
from nightreel.settings.params_file import Settings, load
from nightreel.stage import log_progress, read_json, save_run_note, stage_main, staged_output, write_json
from nightreel.store.local_cache import fetch
from nightreel.store.open import open_store

VALIDATED, EMBED, FINETUNE, EVALUATE, OUT = (
    Path("data") / name for name in ("validate", "embed", "finetune", "evaluate", "refit")
)
SNAPSHOT, UNDERSTOOD = Path("data/snapshot"), Path("data/understand/items.parquet")
SEARCHES = Path("data/validate/searches.parquet")
BESIDE = ("card.json", "card.md")  # files in the bundle's root, not in its folder `rehearsal`


def champion_folder() -> Path | None:
    """The champion's bundle, whose unchanged content vectors are shared and not published again; None without one."""
    digest = read_json(SNAPSHOT / "champion.json")["digest"]
    return fetch(open_store(), digest) if digest else None


def newest_record(decision: dict[str, Any], data: Dataset, settings: Settings) -> CutRecord | None:
    """What the test period teaches: the ranker of a promoted candidate, and the night after; None where nobody learns
    from it."""
    goes_on = (FINETUNE / "warm" / gate_fold(data) / SELECTION).exists() and data.gate == GLOBAL
    learns = decision["decision"] == "promote" and relearns(decided(decision, FINETUNE))
    if not goes_on and not learns:
        return None
    engine = Reader.open_bundle(FINETUNE / "candidate").engine
    return period_record(data, engine, FINETUNE, settings.finetune, scored=goes_on)


def accompany(bundle: Path, data: Dataset, shipment: Shipment, newest: CutRecord | None, settings: Settings) -> None:
    """Add the model card, keywords, editorial rules and warm-start state, and the candidate's lists, hyper-parameters
    and data profile, with which a later night compares itself."""
    (bundle / "rehearsal").mkdir()
    for name, path in shipment.rehearsal.items():
        shutil.copyfile(path, bundle / name if name in BESIDE else bundle / "rehearsal" / name)
    shipment.choices.write(bundle / "rehearsal")
    write_keywords(bundle, data, UNDERSTOOD, SEARCHES)
    if (FINETUNE / "warm").exists():
        shutil.copytree(FINETUNE / "warm", bundle / "warm")
    if newest is not None:
        keep_period(bundle / "warm", data, newest, settings)
    editorial_rules.write(bundle, pq.read_table(VALIDATED / "rules.parquet"))


def build(
    bundle: Path, data: Dataset, shipment: Shipment, base: Path | None, newest: CutRecord | None, settings: Settings
) -> str:
    """Write the complete bundle and return its digest."""
    candidate, explore, value = (
        Reader.open_bundle(FINETUNE / "candidate"),
        settings.refit.explore,
        settings.refit.value,
    )
    vectors = np.load((EMBED if shipment.choices.encoder == "base" else FINETUNE) / "vectors.npy", allow_pickle=False)
    facts: dict[str, Any] = {key: value for key, value in candidate.config.items() if key != "fold"}
    facts |= {"label": shipment.label, **shipment.facts, **({SHARE: explore} if explore else {})}
    start = candidate.engine if shipment.start else None
    log_unknown(value, shipment.choices)
    refit(data, shipment.choices, vectors, facts, bundle, start=start, base=base, value=value)
    accompany(bundle, data, shipment, newest, settings)
    if explore:
        log_progress(write_exploration(bundle, data, vectors))
    return precompute(bundle, Reader.open_bundle(bundle, check=False), base)


def log_unknown(value: Mapping[str, float], choices: SelectedParams) -> None:
    """Tell which values have no effect, because the version has no head of the outcome."""
    known = {WANTED, *(choices.heads.curves if choices.heads else ())}
    if missing := [name for name in value if name not in known]:
        log_progress(
            f"refit.value: {', '.join(missing)} counts nothing tonight: no head of it tells more than its base rate "
            f"(this version's heads: {', '.join(sorted(known - {WANTED})) or 'none'})"
        )


def judged(limit: Refit, data: Dataset, bundle: Path, shipment: Shipment) -> Gated:
    """Apply the gates to a bundle. Figures that depend on the machine are saved outside DVC."""
    result = gates(limit, data, bundle, shipment.before, hidden_tonight.read(SNAPSHOT))
    reader = Reader.open_bundle(bundle, check=False)
    spent, size, memory = latency(reader, data), size_mb(bundle), memory_mb(bundle)
    save_run_note("refit", {"latency_ms": spent, "memory_mb": memory})
    figures = {**result.figures, "bundle mb": size}
    return Gated(figures, [*result.reasons, *too_costly(limit, spent, size, memory)])


def main() -> None:
    """Write data/refit: the final bundle, or the reasons why none is published."""
    settings = load()
    decision = read_json(EVALUATE / "decision.json")
    verdict = f"{decision['decision']} by evaluate: {decision['label']}"
    data, base = with_profiles(load_dataset()), champion_folder()
    threads = int(read_json(SNAPSHOT / "environment.json")["threads"])
    held = [] if decision["decision"] == "promote" else [verdict]
    newest = newest_record(decision, data, settings)
    metrics: dict[str, Any] = {"shipped": "nothing"}
    with staged_output(OUT) as out:
        for shipment in shipments(decision, base, FINETUNE, EVALUATE, settings.finetune, threads, newest):
            digest = build(out / "bundle", data, shipment, base, newest, settings)
            result = judged(settings.refit, data, out / "bundle", shipment)
            if not result.reasons:
                metrics = {"shipped": shipment.label, **result.figures}
                log_progress(f"trained the final bundle {digest[:12]} on all events (label: {shipment.label})")
                break
            held.append(f"hold of the {shipment.label} bundle by refit: {'; '.join(result.reasons)}")
            shutil.rmtree(out / "bundle")
        else:
            write_json(out / "held.json", {"empty": "; ".join(held)})
            log_progress("; ".join(held))
    write_json(Path("metrics/refit.json"), metrics)


if __name__ == "__main__":
    stage_main(main)

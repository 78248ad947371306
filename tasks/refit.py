"""refit: on promote, the rehearsal's operation over every event, and the label-free gates of the final bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tasks.data.dataset import load_dataset
from tasks.evaluation.final_bundle import footprint, gates
from tasks.index import business_rules
from tasks.index.assembly import refit
from tasks.index.cache import fetch
from tasks.index.interests import write_keywords
from tasks.index.reader import Reader
from tasks.index.stored import precompute
from tasks.index.stores import open_store
from tasks.models.choices import Choices
from tasks.settings import load
from tasks.stage import note, read_json, say, stage_main, staged_output, write_json

VALIDATED, FINETUNE, EVALUATE, OUT = (Path("data") / name for name in ("validate", "finetune", "evaluate", "refit"))
UNDERSTOOD, CHAMPION = Path("data/understand/items.parquet"), Path("data/snapshot/champion.json")


def chosen() -> Choices:
    """What was decided on, with its trees."""
    decided = read_json(EVALUATE / "decision.json")["choices"]
    trees = Choices.read(FINETUNE).trees if decided["blend"] == "trees" else ""
    return Choices.model_validate({**decided, "trees": trees})


def champion_folder() -> Path | None:
    """The pinned version, of whose content vectors those that have not changed are not published again."""
    digest = read_json(CHAMPION)["digest"]
    return fetch(open_store(), digest) if digest else None


def rehearsal(folder: Path) -> None:
    """What a later night needs to compare itself with this version: scores, lists, choices, a profile of the data."""
    folder.mkdir(parents=True)
    for name in ("per_user.parquet", "lists.parquet", "profile.json", "directions.npy"):
        shutil.copyfile(EVALUATE / name, folder / name)
    chosen().write(folder)


def main() -> None:
    """Write data/refit: the final bundle, or why there is none."""
    settings = load()
    decision = read_json(EVALUATE / "decision.json")
    if decision["decision"] != "promote":
        stopped = f"{decision['decision']} by evaluate: {decision['label']}"
        with staged_output(OUT) as out:
            write_json(out / "held.json", {"empty": stopped})
        write_json(Path("metrics/refit.json"), {"held": True})
        say(stopped)
        return
    data, vectors = load_dataset(), np.load(FINETUNE / "vectors.npy", allow_pickle=False)
    config = read_json(FINETUNE / "candidate" / "manifest.json")["config"]
    with staged_output(OUT) as out:
        bundle = out / "bundle"
        rehearsal(bundle / "rehearsal")
        write_keywords(bundle, data, UNDERSTOOD)
        for name in ("card.json", "card.md"):
            shutil.copyfile(EVALUATE / name, bundle / name)
        if (FINETUNE / "warm").exists():
            shutil.copytree(FINETUNE / "warm", bundle / "warm")
        facts = {key: value for key, value in config.items() if key != "fold"}
        candidate = Reader.open_bundle(FINETUNE / "candidate")
        facts |= {"label": decision["label"]}
        base = champion_folder()
        digest = refit(data, chosen(), vectors, facts, bundle, start=candidate.engine, base=base)
        figures, told, reasons = gates(settings.refit, data, bundle, candidate, FINETUNE / "reference.json")
        if not reasons:
            business_rules.write(bundle, pq.read_table(VALIDATED / "rules.parquet"))
            digest = precompute(bundle, Reader.open_bundle(bundle, check=False), base)
            figures["bundle mb"], told["memory_mb"], reasons = footprint(settings.refit, bundle)
        note("refit", told)
        if reasons:
            shutil.rmtree(bundle)
            write_json(out / "held.json", {"empty": f"hold by refit: {'; '.join(reasons)}"})
    write_json(Path("metrics/refit.json"), {"held": bool(reasons), **figures})
    say(f"hold by refit: {'; '.join(reasons)}" if reasons else f"final bundle {digest[:12]}")


if __name__ == "__main__":
    stage_main(main)

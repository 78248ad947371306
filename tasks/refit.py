"""refit: on promote, the rehearsal's operation over every event, and the label-free gates of the final bundle.

Where the new weights are unlike those that were judged (histories of six events, say, tell much more with a seventh),
the judged ones are published with every event's histories and counts: a night that is held then would be held always.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tasks.data.dataset import Dataset, load_dataset
from tasks.evaluation.final_bundle import Gated, gates, latency, too_costly
from tasks.index import business_rules
from tasks.index.assembly import refit
from tasks.index.cache import fetch
from tasks.index.footprint import memory_mb, size_mb
from tasks.index.interests import write_keywords
from tasks.index.reader import Reader
from tasks.index.stored import precompute
from tasks.index.stores import open_store
from tasks.models.choices import Choices
from tasks.settings import Refit, load
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


def accompany(bundle: Path, data: Dataset) -> None:
    """What the bundle holds beside what is learned and known."""
    rehearsal(bundle / "rehearsal")
    write_keywords(bundle, data, UNDERSTOOD)
    for name in ("card.json", "card.md"):
        shutil.copyfile(EVALUATE / name, bundle / name)
    if (FINETUNE / "warm").exists():
        shutil.copytree(FINETUNE / "warm", bundle / "warm")
    business_rules.write(bundle, pq.read_table(VALIDATED / "rules.parquet"))


def build(bundle: Path, data: Dataset, label: str, base: Path | None, limit: Refit) -> Gated:
    """The bundle's models and tables, and what the gates say of the new weights, which have gone where they failed."""
    candidate, choices = Reader.open_bundle(FINETUNE / "candidate"), chosen()
    vectors = np.load(FINETUNE / "vectors.npy", allow_pickle=False)
    facts = {key: value for key, value in candidate.config.items() if key != "fold"} | {"label": label}
    refit(data, choices, vectors, facts, bundle, start=candidate.engine, base=base)
    found = gates(limit, data, bundle, candidate, FINETUNE / "reference.json")
    if found.unlike:
        say(f"{'; '.join(found.unlike)}: the weights that were judged are published, with every event's histories")
        shutil.rmtree(bundle)
        judged, facts = candidate.engine.members, facts | {"weights": "as judged"}
        refit(data, choices, vectors, facts, bundle, base=base, ready=lambda name, _: judged[name])
    return found


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
    data, base = load_dataset(), champion_folder()
    with staged_output(OUT) as out:
        bundle = out / "bundle"
        found = build(bundle, data, decision["label"], base, settings.refit)
        accompany(bundle, data)
        reader = Reader.open_bundle(bundle, check=False)
        digest = precompute(bundle, reader, base)
        spent, size, memory = latency(reader, data), size_mb(bundle), memory_mb(bundle)
        note("refit", {"latency_ms": spent, "memory_mb": memory})
        if reasons := too_costly(settings.refit, spent, size, memory):
            shutil.rmtree(bundle)
            write_json(out / "held.json", {"empty": f"hold by refit: {'; '.join(reasons)}"})
    write_json(
        Path("metrics/refit.json"),
        {"held": bool(reasons), "as judged": bool(found.unlike), **found.figures, "bundle mb": size},
    )
    say(f"hold by refit: {'; '.join(reasons)}" if reasons else f"final bundle {digest[:12]}")


if __name__ == "__main__":
    stage_main(main)

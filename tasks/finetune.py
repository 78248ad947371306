"""finetune: fits the encoder and the members on train, chooses on validation, and rehearses into candidate bundles."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tasks.content.fitting import Lesson, fit_content
from tasks.data.dataset import Dataset, load_dataset
from tasks.data.histories import FloatArray, Histories, ItemArray
from tasks.evaluation.ranking import Truth, per_user
from tasks.index.assembly import rehearse
from tasks.models.catalogue import catalogue_of
from tasks.models.drift import reference_of
from tasks.models.learning import Judge, Learned, Task, learn, task_of, try_member, untrained
from tasks.models.rating_choice import with_ratings
from tasks.models.warm_start import find, keep, night_of, started
from tasks.settings import Settings, load
from tasks.stage import read_json, say, stage_main, staged_output, write_json, write_rows

OUT, WARM = Path("data/finetune"), Path("data/snapshot/warm")
ITEMS, UNDERSTOOD = Path("data/validate/items.parquet"), Path("data/understand/items.parquet")
Vectors = npt.NDArray[np.float32]
CONTENT: Final = "content_knn"
LEAVE_LAST_OUT = "leave_last_out"


def ndcg(lists: ItemArray, targets: Histories) -> FloatArray:
    """[n] NDCG@10 against rows of targets; indices beyond both are all that the catalogue needs to hold."""
    n_items = int(max(lists.max(initial=0), targets.items.max(initial=0))) + 1
    return per_user(lists, Truth.of(targets, n_items), (10,))["ndcg@10"]


def gate_fold(data: Dataset) -> str:
    """The fold whose choices are shipped: the gate's latest."""
    return data.protocols[data.gate][0]


def fold_task(data: Dataset, fold: str, positions: int) -> Task:
    """The fold's train and validation as a task; a fold cut at one time asks at that time."""
    train, valid = data.positives(fold, ("train",)), data.positives(fold, ("valid",))
    cut = fold != LEAVE_LAST_OUT and len(valid.times) > 0
    return task_of(train, valid, positions, float(valid.times.min()) if cut else None)


def bundle_config(fold_protocol: str, data: Dataset, settings: Settings) -> dict[str, Any]:
    """Facts of the sources that a reader or a comparison needs."""
    source, embed = read_json(Path("data/snapshot/source.json")), read_json(Path("data/embed/embed.json"))
    return {
        "name": source["name"],
        "terms": source["terms"],
        "pseudonymised": source["pseudonymised"],
        "key_fingerprint": source["key_fingerprint"],
        "split_digest": data.split_digest[fold_protocol],
        "embed": embed,
        "vector_index": settings.finetune.vector_index.model_dump(),
    }


def content_lesson(data: Dataset, settings: Settings, judge: Judge) -> Lesson:
    """What content vectors are fitted to: behaviour that every fold trains on, judged on validation."""
    return Lesson(
        train=data.trained_everywhere(), n_items=data.n_items, texts=(ITEMS, UNDERSTOOD), settings=settings,
        quality=lambda vectors: content_quality(data, vectors, settings, judge),
        used=CONTENT in settings.finetune.members,
    )  # fmt: skip


def content_quality(data: Dataset, vectors: Vectors, settings: Settings, judge: Judge) -> float:
    """Validation NDCG@10 of content kNN on the gate's latest fold, at its best setting."""
    base, task = untrained(settings.finetune, "base", "last_event"), fold_task(data, gate_fold(data), 1)
    _, trials = try_member(CONTENT, task, catalogue_of(data.items, vectors), base, settings.finetune, judge)
    return max(float(trial["ndcg@10"]) for trial in trials)


def learn_fold(
    data: Dataset, fold: str, vectors: Vectors, encoder: str, settings: Settings, judge: Judge, out: Path
) -> Learned:
    """Members and blend chosen on the fold's validation, asked about the time of its cut; a later night's start."""
    say(f"{fold}: choosing on validation")
    base = untrained(settings.finetune, encoder, "last_event" if fold == LEAVE_LAST_OUT else "data_until")
    task = fold_task(data, fold, settings.finetune.positions)
    catalogue, card = catalogue_of(data.items, vectors), read_json(Path("data/embed/embed.json"))
    facts = {"encoder": card, "vectors": vectors.shape[1], "backbone": base.model_dump()["backbone"]}
    night = night_of(data, task.inner, encoder, facts)
    nights = settings.finetune.warm_nights
    earlier = find(WARM / fold, night, catalogue, nights)
    begin = partial(started, earlier, fold) if nights else lambda _: None
    learned = learn(task, catalogue, settings.finetune, base, judge, begin)
    if nights:
        keep(out, night, learned.inner, learned.choices, earlier)
    return with_ratings(learned, data, fold, settings.finetune.ratings)


def main() -> None:
    """Read validate's and embed's outputs, write data/finetune."""
    settings, data = load(), load_dataset()
    threads = int(read_json(Path("data/snapshot/environment.json"))["threads"])
    judge = Judge(ndcg, data.exclude_seen, data.clock == "time", threads)
    if settings.finetune.backbone.model and "transformer" in settings.finetune.members:
        from tasks.models.checkpoint import opened

        opened(settings.finetune.backbone)  # refused now, not after the encoder was fitted
    base = np.load("data/embed/vectors.npy", allow_pickle=False)
    with staged_output(OUT) as out:
        content = fit_content(base, content_lesson(data, settings, judge), out)
        vectors, encoder = content.vectors, content.fitted
        np.save(out / "vectors.npy", vectors, allow_pickle=False)
        write_rows(out / "plots" / "encoder.csv", content.encoder_losses)
        write_rows(out / "plots" / "fusion.csv", content.fusion_losses)
        learned = {f: learn_fold(data, f, vectors, encoder, settings, judge, out / "warm" / f) for f in data.folds}
        for protocol, folds in data.protocols.items():
            for fold in folds:
                folder = out / "candidate" if fold == gate_fold(data) else out / "candidates" / fold
                one, config = learned[fold], bundle_config(protocol, data, settings)
                rehearse(data, fold, one.choices, vectors, config, folder, start=one.engine)
        chosen = learned[gate_fold(data)]
        chosen.choices.write(out)
        write_json(out / "reference.json", reference_of(chosen.engine, fold_task(data, gate_fold(data), 1).valid))
        scores = [{"fold": f, "model": m, "ndcg@10": s} for f, one in learned.items() for m, s in one.scores.items()]
        write_rows(out / "plots" / "validation.csv", scores)
        for name in ("curve", "trials", "ratings"):
            rows = [{"fold": fold, **row} for fold, one in learned.items() for row in getattr(one, name)]
            write_rows(out / "plots" / f"{name}.csv", rows)
    write_json(Path("metrics/finetune.json"), {fold: one.scores for fold, one in learned.items()})


if __name__ == "__main__":
    stage_main(main)

"""The third night and later ones: nothing is trained before the verdict, because last night's final models are tonight's
candidate, and last night's test period is the newest cut in time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nightreel.data.dataset import load_dataset
from nightreel.models.catalogue import catalogue_in
from nightreel.models.engine import mapped
from nightreel.models.linear.ease import Ease
from nightreel.stage import read_json
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.open import open_store
from tasks import evaluate, finetune, refit, snapshot, validate
from tests.support.datasets import prepare, understand_nothing, workspace, write_dataset
from tests.tasks.second_night.test_selection_goes_on import GOING_ON, SETTINGS
from tests.tasks.second_night.test_warm_nights import TRANSFORMER, embedded, shipped, until

pytestmark = pytest.mark.end_to_end

MEMBERS = SETTINGS["finetune.members"] | {
    "transformer": TRANSFORMER,
    "svd": {"factors": [4], "scaling": [0.3], "decay": [5]},
}


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after two published nights; its params.yaml names the third one's source, the folder `source`."""
    root = tmp_path_factory.mktemp("nights")
    whole = write_dataset(root / "whole", users=120, events=2400).folder
    first, second = until(whole, 0.90, root / "first"), until(whole, 0.95, root / "second")
    changes = SETTINGS | {"finetune.members": MEMBERS, "finetune.warm_nights": 6, "validate.gate_users": 5}
    folder = prepare(root / "work", first, changes)
    with workspace(folder):
        embedded()
        shipped()
        moved(first, second)
        snapshot.main()
        validate.main()
        shipped()
        moved(second, root / "source")
    shutil.copytree(whole, root / "source")
    return folder


def moved(before: Path, after: Path) -> None:
    """params.yaml names another source."""
    params = Path("params.yaml")
    params.write_text(params.read_text().replace(str(before), str(after)))


@pytest.fixture
def source(two_nights: Path) -> Iterator[Path]:
    """The third night's source, in the workspace after two nights, to be changed at will."""
    folder = two_nights.parent / "source"
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    with workspace(two_nights):
        yield folder
    shutil.rmtree(folder)
    kept.rename(folder)


def published() -> Path:
    """The folder of the live version's models."""
    store, live = open_store(), channels.live(open_store())
    assert isinstance(store, LocalStore) and live is not None
    return store.root / "versions" / live.digest / "engine"


def third_night(capsys: pytest.CaptureFixture[str]) -> str:
    """What the third night's finetune says."""
    snapshot.main()
    validate.main()
    capsys.readouterr()
    finetune.main()
    return capsys.readouterr().out


def test_the_published_models_are_the_candidate_and_are_judged_by_what_came_later(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = third_night(capsys)
    assert GOING_ON + " (2 in a row)" in told and "the newest among them" in told
    assert "taken over as they were published: ease, svd, transformer" in told
    assert "validation cut" not in told.replace("validation cuts", "")
    for name in ("ease", "svd", "transformer"):
        for path in sorted((published() / name).glob("*.npy")):
            own = np.load(Path("data/finetune/candidate/engine") / name / path.name)
            assert np.array_equal(own, np.load(path), equal_nan=True), f"{name}: {path.name}"
    data, part = load_dataset(), load_dataset().folds["global_time"]
    config = read_json(published().parent / "config.json")
    assert ((part == 2) == (data.events["time"].to_numpy() > config["learned_until"])).all()
    evaluate.main()
    assert "compared by rule (b), users whose test events are later than its data" in capsys.readouterr().out
    refit.main()
    newest = read_json(Path("data/refit/bundle/warm/global_time/selection/newest/selection.json"))["cut"]
    assert newest[0] > config["learned_until"] - 1e-3 and newest[1] <= data.events["time"].to_numpy().max()


def test_items_in_other_places_keep_what_was_learned_of_them(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = pq.read_table(source / "items.parquet")
    first = items.slice(0, 1).to_pylist()[0]
    new = pa.Table.from_pylist([first | {"item_id": name, "title": name} for name in ("0", "zz")], items.schema)
    pq.write_table(pa.concat_tables([new, items]), source / "items.parquet")
    vectors = np.load("data/embed/vectors.npy")
    try:
        snapshot.main()
        validate.main()
        known = [at for at, item in enumerate(load_dataset().item_ids) if item not in ("0", "zz")]
        assert len(known) == len(vectors) and known[0] == 1, "known items have other numbers than before"
        # embed is not run again here.
        wider = np.tile(vectors[:1], (len(known) + 2, 1))
        wider[known] = vectors
        np.save("data/embed/vectors.npy", wider)
        understand_nothing(Path())
        assert "taken over as they were published: ease, svd, transformer" in third_night(capsys)
        for name, array in (("svd", "told"), ("transformer", "items")):
            own = np.load(f"data/finetune/candidate/engine/{name}/{array}.npy")
            assert np.array_equal(own[known], np.load(published() / name / f"{array}.npy"))
        own, theirs = (
            Ease.load(mapped(folder / "ease"), catalogue_in(folder.parent, 0)).weights.toarray()
            for folder in (Path("data/finetune/candidate/engine"), published())
        )
        assert np.array_equal(own[np.ix_(known, known)], theirs) and own.any() and not own[0].any()
    finally:
        np.save("data/embed/vectors.npy", vectors)


@pytest.mark.parametrize("change", ["corrected", "late", "erased"])
def test_models_are_trained_anew_where_they_know_other_events(
    source: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    events = pq.read_table(source / "events.parquet")
    early = events["timestamp"][10]
    if change == "corrected":
        times = pc.if_else(pc.equal(events["timestamp"], early), events["timestamp"][9], events["timestamp"])
        events = events.set_column(events.column_names.index("timestamp"), "timestamp", times)
    elif change == "late":
        old = events.slice(0, 60)
        items = pa.array(np.roll(old["item_id"].to_numpy(zero_copy_only=False), 7))
        events = pa.concat_tables([old.set_column(old.column_names.index("item_id"), "item_id", items), events])
    else:
        events = events.filter(pc.not_equal(events["user_id"], events["user_id"][0]))
    pq.write_table(events, source / "events.parquet")
    told = third_night(capsys)
    assert "taken over as they were published" not in told
    reason = {
        "corrected": "everything is selected anew: the earlier selection was learned from 1 events that tonight",
        "late": "of the events before the test period are not among those that they learned from",
        "erased": "everything is selected anew: the earlier selection was learned from 1 users without any event",
    }[change]
    assert reason in told

"""Warm start: what a night keeps, on what the next one may go on from it, and why else it must not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.engine import Engine
from nightreel.models.neural.transformer.model import Transformer
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.fold_task import Cuts, leave_last_out_task, task_in_time
from nightreel.models.training.going_on.warm_start import Earlier, WarmStartContext, find, keep
from nightreel.models.training.selected_params import SelectedParams
from nightreel.models.training.training_positions import from_end, without_tail
from nightreel.stage import read_json, write_json
from tests.support.planted import ITEMS, catalogue, choices, histories

HYPER = {
    "dim": 8.0, "layers": 1.0, "heads": 2.0, "window": 10.0, "epochs": 0.5, "tokens": 1.0, "learning_rate": 0.005,
    "dropout": 0.1, "negatives": 20.0, "resumed_epochs": 0.0, "resumed_rate": 0.005, "most_new": 1.0,
}  # fmt: skip
FACTS = {"encoder": "planted", "clock": "time"}
FIRST = Earlier("there was no night before")
USERS = [f"u{n}" for n in range(80)]
NAMES = [f"i{n}" for n in range(ITEMS)]


def chosen(**changes: float) -> SelectedParams:
    members = {"popularity": choices().members["popularity"], "transformer": {**HYPER, **changes}}
    return choices().model_copy(update={"members": members})


def inner_of(train: Histories, *, cut: bool) -> Histories:
    """The part of `train`, all but validation, that a fold's first link learns from."""
    if cut:
        return task_in_time(train, Cuts(most=2, users=1, share=0.1, new=True)).inner
    return leave_last_out_task(without_tail(train, 1, 3), train.where(from_end(train) == 1), 2).inner


def night(inner: Histories, **changes: Any) -> WarmStartContext:
    nothing = inner.where(np.zeros(len(inner.items), bool))
    return replace(WarmStartContext(USERS, NAMES, FACTS, {"members": inner, "encoder": nothing}), **changes)


@pytest.fixture(scope="module")
def yesterday() -> Histories:
    """All but each user's last two events."""
    return without_tail(histories(), 2, 3)


@pytest.fixture(scope="module")
def engine(yesterday: Histories) -> Engine:
    return fit_engine(inner_of(yesterday, cut=False), catalogue(), chosen(), clock=True)


@pytest.fixture
def kept(yesterday: Histories, engine: Engine, tmp_path: Path) -> Path:
    keep(tmp_path / "warm", night(inner_of(yesterday, cut=False)), engine, chosen(), FIRST)
    return tmp_path / "warm"


def test_the_next_night_goes_on_from_the_very_weights(kept: Path, engine: Engine) -> None:
    earlier = find(kept, night(inner_of(histories(), cut=False)), catalogue(), 6)
    start = earlier.start(chosen())
    assert earlier.summary(chosen()) == "warm start (1 in a row): transformer"
    assert start is not None and set(start.members) == {"transformer"}
    assert start.rows.tolist() == list(range(ITEMS))
    for name, values in engine.members["transformer"].arrays().items():
        np.testing.assert_array_equal(start.members["transformer"].arrays()[name], values)


def test_nights_are_counted_from_the_last_one_that_learned_anew(kept: Path, engine: Engine, tmp_path: Path) -> None:
    tonight = night(inner_of(histories(), cut=False))
    assert read_json(kept / "state.json")["nights"] == 0
    keep(tmp_path / "next", tonight, engine, chosen(), find(kept, tonight, catalogue(), 1))
    assert read_json(tmp_path / "next" / "state.json")["nights"] == 1
    due = find(tmp_path / "next", tonight, catalogue(), 1)
    assert due.start(chosen()) is None and "1 nights in a row" in due.reason
    keep(tmp_path / "anew", tonight, engine, chosen(), due)
    assert read_json(tmp_path / "anew" / "state.json")["nights"] == 0


def test_equal_nights_keep_equal_bytes(kept: Path, yesterday: Histories, engine: Engine, tmp_path: Path) -> None:
    keep(tmp_path / "again", night(inner_of(yesterday, cut=False)), engine, chosen(), FIRST)
    names = sorted(path.name for path in kept.iterdir())
    assert names == ["encoder.parquet", "items.parquet", "members.parquet", "state.json", "transformer.safetensors"]
    for name in names:
        assert (kept / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_items_may_come_and_move_and_known_ones_stay_where_they_were(kept: Path, engine: Engine) -> None:
    """The catalogue comes in another order, with a new item first, and the encoder puts every vector elsewhere."""
    known, before = catalogue(), engine.members["transformer"]
    assert isinstance(before, Transformer)
    order = np.random.default_rng(4).permutation(ITEMS)
    vectors = np.concatenate([known.vectors[:1], -known.vectors[order]])
    tonight = Catalogue(vectors, np.zeros((ITEMS + 1, 2), np.float32), np.full(ITEMS + 1, 2000.0, np.float32))
    place = np.empty(ITEMS, np.int32)
    place[order] = np.arange(1, ITEMS + 1)
    inner = inner_of(histories(), cut=False)
    moved = Histories(inner.indptr, place[inner.items], inner.times)
    earlier = find(kept, night(moved, item_ids=["new", *(NAMES[at] for at in order)]), tonight, 6)
    engine_now = fit_engine(moved, tonight, chosen(), clock=True, start=earlier.start(chosen()))
    after = engine_now.members["transformer"]
    assert isinstance(after, Transformer)
    np.testing.assert_allclose(after.items[1:], before.items[order], atol=1e-6)
    np.testing.assert_allclose(after.items[0], vectors[0] @ before.weights["projection"], atol=1e-6)
    np.testing.assert_array_equal(after.weights["bias"][1:], before.weights["bias"][order])
    use = np.log1p(np.bincount(moved.items, minlength=ITEMS + 1))
    assert after.weights["bias"][0] == pytest.approx(use[0] - use.mean(), abs=1e-6)


def erased(inner: Histories) -> WarmStartContext:
    """A user who asked for it is in no event and in no list of users any more."""
    gone = inner.where(inner.rows != 0)
    rest = Histories(gone.indptr[1:], gone.items, gone.times)
    return night(rest, user_ids=USERS[1:])


REFUSED: dict[str, tuple[Callable[[Histories], WarmStartContext], str]] = {
    "held out": (lambda h: night(h.where(from_end(h) > 4)), r"models were trained on \d+ events that tonight's training must not"),
    "corrected": (lambda h: night(Histories(h.indptr, h.items, h.times + (h.rows == 3))), "events that tonight's training"),
    "erased": (erased, "models were trained on 1 users without any event"),
    "another key": (lambda h: night(h, user_ids=[f"x{n}" for n in range(80)]), "trained on 80 users"),
    "lost items": (lambda h: night(h, item_ids=["x", "y", *NAMES[2:]]), "2 items that are no longer in the catalogue"),
    "encoder": (lambda h: night(h, facts={**FACTS, "encoder": "another"}), "changed since the saved state: encoder"),
    "clock": (lambda h: night(h, facts={**FACTS, "clock": "order"}), "changed since the saved state: clock"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_what_does_not_fit_is_refused_with_its_reason(fault: str, kept: Path) -> None:
    change, reason = REFUSED[fault]
    earlier = find(kept, change(inner_of(histories(), cut=False)), catalogue(), 6)
    assert earlier.start(chosen()) is None
    assert earlier.summary(chosen()).startswith("trained from scratch: ")
    assert re.search(reason, earlier.reason), earlier.reason


def test_another_setting_another_format_and_no_state_are_refused(kept: Path, tmp_path: Path) -> None:
    tonight = night(inner_of(histories(), cut=False))
    earlier = find(kept, tonight, catalogue(), 6)
    assert earlier.start(chosen(dim=16.0)) is None
    assert earlier.summary(chosen(dim=16.0)) == "trained from scratch: hyper-parameters changed of transformer"
    assert "the published version has no saved state" in find(tmp_path / "nowhere", tonight, catalogue(), 6).reason
    write_json(kept / "state.json", read_json(kept / "state.json") | {"format": 2})
    assert "has format 2" in find(kept, tonight, catalogue(), 6).reason


@pytest.mark.parametrize("cut", [False, True], ids=["leave_last_out", "global_time"])
def test_later_links_of_the_chain_are_refused_and_the_first_is_not(
    cut: bool, yesterday: Histories, engine: Engine, tmp_path: Path
) -> None:
    """The weights that were published know events that tonight holds out: going on from them would be a leak."""
    tonight = night(inner_of(histories(), cut=cut))
    if cut:  # the log as it was a day ago: tonight's lessons ask for what it ends with
        yesterday = histories().where(histories().times < histories().times.max())
    links = {"inner": inner_of(yesterday, cut=cut), "published": yesterday}
    found = {}
    for link, learned in links.items():
        keep(tmp_path / link, night(learned), engine, chosen(), FIRST)
        found[link] = find(tmp_path / link, tonight, catalogue(), 6)
    assert found["inner"].reason == ""
    assert "events that tonight's training must not" in found["published"].reason


def test_what_the_encoder_learned_from_counts_too(yesterday: Histories, engine: Engine, tmp_path: Path) -> None:
    """Its vectors are what the members were taught with."""
    first, tonight = inner_of(yesterday, cut=False), inner_of(histories(), cut=False)
    keep(tmp_path / "warm", night(first, known={"members": first, "encoder": yesterday}), engine, chosen(), FIRST)
    earlier = find(tmp_path / "warm", night(tonight, known={"members": tonight, "encoder": tonight}), catalogue(), 6)
    assert "encoder was trained on" in earlier.reason
    fits = find(tmp_path / "warm", night(tonight, known={"members": tonight, "encoder": histories()}), catalogue(), 6)
    assert fits.reason == ""


def test_without_a_member_that_can_go_on_nothing_is_kept(tmp_path: Path, yesterday: Histories) -> None:
    simple = choices().model_copy(update={"members": {"popularity": choices().members["popularity"]}})
    inner = inner_of(yesterday, cut=False)
    for number, inside in enumerate((None, fit_engine(inner, catalogue(), simple, clock=True))):
        keep(tmp_path / str(number), night(inner), inside, simple, FIRST)
        assert not (tmp_path / str(number)).exists()

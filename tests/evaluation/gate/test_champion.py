"""A champion that was refit on today's test is compared by a fair rule, never by asking it directly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.bundle.format import BundleError, seal
from nightreel.data.dataset import Dataset
from nightreel.evaluation.catalogue_mapping import RemappedRanker
from nightreel.evaluation.champion import (
    Champion,
    Comparison,
    Unreadable,
    compare,
    pinned_champion,
    read_champion,
    shared_items,
)
from nightreel.evaluation.gate.gate import Gate, GateEvidence, decide
from nightreel.evaluation.model_scores import GATE_METRIC, ModelScores, score_models
from nightreel.evaluation.reporting.outputs import write_lists
from nightreel.evaluation.test_set import Ranker, TestSet, ask, build_test_set
from nightreel.models.training.selected_params import SelectedParams
from nightreel.store.backends.local import LocalStore
from tests.evaluation.rankers import Successors, plain, planted
from tests.support.settings import settings

SETTINGS = settings(evaluate={"cutoffs": [10], "bootstrap_replicates": 500}).evaluate
SOURCE = "films"
CHOICES = SelectedParams(
    members={"popularity": {"half_life_days": 7.0}}, blend="trees", columns=("a",), trees="a tree", cutoff=50, shortlist=50,
    half_life_days=(7.0,), buckets=4, encoder="base", moment="last_event",
)  # fmt: skip


class Asked(Exception):
    """The published bundle itself was asked."""


def never() -> Ranker:
    raise Asked


def never_retrain(fold: str, choices: SelectedParams) -> Ranker:
    raise AssertionError("trained again without need")


def rehearse(data: Dataset, fold: str) -> Successors:
    return Successors(data.positives(fold, ("train", "valid")), data.n_items)


def cut(data: Dataset, fold: str) -> float | None:
    times = data.positives(fold, ("test",)).times
    return float(times.min()) if fold == "global_time" else None


def rehearsed(data: Dataset) -> tuple[TestSet, Successors, ModelScores]:
    question = build_test_set(data, data.gate, cut(data, data.gate))
    ranker = rehearse(data, data.gate)
    return question, ranker, score_models([(question, ranker)], cutoffs=[10], **plain(data.n_items))


def published(store: LocalStore, data: Dataset, **config: Any) -> Champion:
    """What refit would ship of this data set, with the rehearsal's scores beside it."""
    folder = store.root.parent / "bundle"
    (folder / "rehearsal").mkdir(parents=True)
    pq.write_table(data.items, folder / "items.parquet")
    write_lists(folder / "rehearsal" / "lists.parquet", rehearsed(data)[2], "blend", data.user_ids, data.item_ids)
    CHOICES.write(folder / "rehearsal")
    facts = {"split_digest": data.split_digest[data.gate], "data_until": data.data_until, "clock": data.clock}
    version = seal(folder, facts | config)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        store.put(f"versions/{version}/{path.relative_to(folder).as_posix()}", path)
    store.put(f"versions/{version}/lineage.json", json.dumps({"params": {"snapshot": {"source": SOURCE}}}).encode())
    return read_champion(store, version)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def compared(champion: Champion, data: Dataset, **given: Any) -> Comparison:
    question, ranker, scores = rehearsed(data)
    wanted: dict[str, Any] = {"least_users": 5, "open_champion": never, "retrain": never_retrain}
    return compare(champion, data, scores, [question], challenger=ranker, **wanted | given)


def direct(data: Dataset) -> float:
    """What the refit twin scores when it is asked directly, with the histories passed in."""
    question = rehearsed(data)[0]
    twin = Successors(data.positives(None, ()), data.n_items)
    scores = score_models([(question, twin)], cutoffs=[10], **plain(data.n_items))
    return scores.mean("blend", GATE_METRIC)


def test_a_refit_twin_on_the_same_split_is_judged_by_its_rehearsal(store: LocalStore, tmp_path: Path) -> None:
    data = planted(tmp_path / "source")
    found = compared(published(store, data), data)
    assert found.rule == "a"
    assert np.array_equal(found.challenger, found.champion)
    # Asked directly, the twin would have looked far better than the very same model.
    assert direct(data) > 1.3 * found.challenger.mean()


def test_stored_lists_are_judged_without_what_is_hidden_today_and_refilled(store: LocalStore, tmp_path: Path) -> None:
    """The first item of the first user's list is hidden: the other nine move up, and place eleven is the tenth."""
    data = planted(tmp_path / "source")
    question, ranker, _ = rehearsed(data)
    scores = score_models([(question, ranker)], cutoffs=[20], **plain(data.n_items))
    champion = published(store, data)
    write_lists(tmp_path / "lists.parquet", scores, "blend", data.user_ids, data.item_ids)
    champion = replace(champion, lists=pq.read_table(tmp_path / "lists.parquet"))
    whole = compared(champion, data).lists
    assert whole is not None
    gone = int(whole[0, 0])
    found = compared(champion, data, hidden={data.item_ids[gone]}).lists
    assert found is not None and gone not in found
    stored = scores.lists["blend"][0, :20]
    assert found[0].tolist() == [item for item in stored.tolist() if item != gone][:10]
    untouched = (whole != gone).all(axis=1)
    assert untouched.any() and np.array_equal(found[untouched], whole[untouched])


def test_a_refit_twin_of_other_splits_is_trained_again(store: LocalStore, tmp_path: Path) -> None:
    data = planted(tmp_path / "source")
    champion = published(store, data, split_digest="of another day")
    asked_for: list[tuple[str, SelectedParams]] = []

    def retrain(fold: str, choices: SelectedParams) -> Ranker:
        asked_for.append((fold, choices))
        return rehearse(data, fold)

    found = compared(champion, data, retrain=retrain)
    assert found.rule == "c"
    assert asked_for == [("leave_last_out", CHOICES)]
    assert np.array_equal(found.challenger, found.champion)


def test_a_champion_whose_data_end_where_the_test_begins_is_asked_with_equal_histories(
    store: LocalStore, tmp_path: Path
) -> None:
    today = planted(tmp_path / "today", gate="global_time")
    begin = today.positives("global_time", ("test",)).times.min()
    before = planted(tmp_path / "before", gate="global_time", until=begin - 1)
    champion = published(store, before)
    own = Successors(before.positives(None, ()), before.n_items)
    found = compared(champion, today, open_champion=lambda: own)
    assert found.rule == "b"
    assert np.array_equal(found.challenger, found.champion)  # it learnt from the same events
    assert compared(champion, today, least_users=1000, retrain=lambda f, _: rehearse(today, f)).rule == "c"


@pytest.mark.parametrize("shift", [-3600.0, 3600.0])
def test_a_champion_that_knows_more_or_less_than_the_challenger_is_not_asked(
    store: LocalStore, tmp_path: Path, shift: float
) -> None:
    data = planted(tmp_path / "source", gate="global_time", events=2400)
    begin = float(data.positives("global_time", ("test",)).times.min())
    champion = published(store, data, split_digest="other", data_until=begin + shift * 24)
    assert compared(champion, data, retrain=lambda fold, _: rehearse(data, fold)).rule == "c"


def test_a_verdict_on_a_twin_is_not_worse(store: LocalStore, tmp_path: Path) -> None:
    data = planted(tmp_path / "source")
    verdict, found = decided(published(store, data), data)
    assert found is not None
    assert verdict.decision == "promote"
    assert verdict.label in ("not worse", "unproven")
    assert "rule (a)" in verdict.sentence
    assert verdict.rules[0].point == 0


def decided(
    champion: Champion | Unreadable | None, data: Dataset, *, blocked: bool = False, source: str = SOURCE
) -> Any:
    evidence = GateEvidence(
        scores=rehearsed(data)[2], slices=[], behaviours=[], data_until=data.data_until, clock=data.clock, candidate="c" * 64,
        item_ids=data.item_ids, source=source, behind="lists ranked by 20 trees over 2 models",
    )  # fmt: skip
    found = decide(Gate(SETTINGS, 0), evidence, champion, blocked=blocked, compare=lambda known: compared(known, data))
    return found.verdict, found.comparison


def test_a_champion_of_another_catalogue_is_held_unless_the_source_is_another(
    store: LocalStore, tmp_path: Path
) -> None:
    data = planted(tmp_path / "source")
    champion = published(store, data)
    renamed = Dataset(**{**vars(data), "items": pa.table({"item_id": [f"new-{n}" for n in range(data.n_items)]})})
    held, comparison = decided(champion, renamed)
    assert (held.decision, held.label, comparison) == ("hold", "not comparable", None)
    assert "knows 0% of today's items" in held.sentence
    replaced, _ = decided(champion, renamed, source="another folder")
    assert (replaced.decision, replaced.label) == ("promote", "replaced")
    assert "comes from 'films', not 'another folder'" in replaced.sentence


def test_a_blocked_recipe_is_held_and_no_champion_makes_a_baseline(store: LocalStore, tmp_path: Path) -> None:
    data = planted(tmp_path / "source")
    assert decided(published(store, data), data, blocked=True)[0].label == "blocked"
    assert decided(None, data)[0].label == "baseline"


def test_half_of_todays_items_is_enough(store: LocalStore, tmp_path: Path) -> None:
    champion = published(store, planted(tmp_path / "source"))
    assert shared_items(champion, ["i000", "other"]) == 0.5
    assert shared_items(champion, []) == 0


def test_a_champion_that_can_not_be_read_is_held_with_the_remedy(store: LocalStore, tmp_path: Path) -> None:
    data = planted(tmp_path / "source")
    champion = published(store, data)
    root = store.root / "versions" / champion.digest / "rehearsal"
    (root / "choices.json").write_text("{")
    damaged = pinned_champion(store, champion.digest)
    (root / "choices.json").unlink()
    gone = pinned_champion(store, champion.digest)
    for found, said in ((damaged, "a file is damaged"), (gone, "choices.json")):
        assert isinstance(found, Unreadable)
        verdict, comparison = decided(found, data)
        assert (verdict.decision, verdict.label, comparison) == ("hold", "champion unreadable", None)
        assert said in verdict.sentence
        assert "--stage-force evaluate" in verdict.sentence and "nightreel rollback" in verdict.sentence


def test_a_bundle_that_proves_damaged_when_it_is_asked_is_held_too(store: LocalStore, tmp_path: Path) -> None:
    today = planted(tmp_path / "today", gate="global_time")
    begin = today.positives("global_time", ("test",)).times.min()
    champion = published(store, planted(tmp_path / "before", gate="global_time", until=begin - 1))

    def torn() -> Ranker:
        raise BundleError("vectors.npy: its hash is not the manifest's.")

    with pytest.raises(Unreadable, match=r"can't be read: vectors\.npy: its hash is not the manifest's"):
        compared(champion, today, open_champion=torn)


def test_a_foreign_catalogue_is_translated_both_ways(tmp_path: Path) -> None:
    data = planted(tmp_path)
    question = build_test_set(data, "leave_last_out", None)
    own = Successors(data.positives("leave_last_out", ("train", "valid")), data.n_items)
    turned = np.arange(data.n_items)[::-1]

    class Turned(Successors):
        """The same ranker over the catalogue in reverse order, with ties broken as in the original."""

        def recommend_many(self, histories: Any, *, exclude: Any, **given: Any) -> Any:
            told, left = (
                type(h)(h.indptr, turned[h.items].astype(np.int32), h.times) for h in (histories, exclude)
            )  # fmt: skip
            answer = own.recommend_many(told, exclude=left, **given)
            return type(answer)(np.where(answer.items < 0, -1, turned[answer.items]).astype(np.int32))

    foreign = RemappedRanker(Turned(question.histories, data.n_items), data.item_ids[::-1], data.item_ids)
    assert np.array_equal(ask(foreign, question, 10, "blend"), ask(own, question, 10, "blend"))


def test_items_gone_from_today_leave_no_gap(tmp_path: Path) -> None:
    data = planted(tmp_path)
    question = build_test_set(data, "leave_last_out", None)
    own = Successors(question.histories, data.n_items)
    fewer = data.item_ids[10:]
    lists = ask(RemappedRanker(own, data.item_ids, fewer), _without_old(question), 10, "popularity")
    assert (lists >= 0).all()
    assert lists.max() < len(fewer)


def _without_old(question: TestSet) -> TestSet:
    """The trial in the indices of a catalogue that lost its first ten items."""

    def shifted(h: Any) -> Any:
        kept = h.where(h.items >= 10)
        return type(h)(kept.indptr, kept.items - 10, kept.times)

    assert question.exclude is not None
    return replace(question, histories=shifted(question.histories), exclude=shifted(question.exclude))

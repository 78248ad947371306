"""Sample users for the report: history, truth, the lists of challenger and champion, and explanations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray
from nightreel.evaluation.champion import Comparison
from nightreel.evaluation.reporting.feature_contributions import lifted
from nightreel.evaluation.reporting.word_clouds import Words
from nightreel.evaluation.test_set import TestSet
from nightreel.reader.explain.contributions import BEHAVIOUR, CONTENT, POPULAR
from nightreel.reader.explain.reasons import Why
from nightreel.reader.question import Question
from nightreel.reader.reader import Reader

SAMPLES = 20  # number of users
SHOWN = 8  # events shown of a history, the newest first
NAMED = 4  # liked items of the history that lift the first recommendation most
Sample = dict[str, Any]


def samples(
    data: Dataset,
    trials: Sequence[TestSet],
    readers: Sequence[Reader],
    served: ItemArray,
    ndcg: FloatArray,
    comparison: Comparison | None,
) -> list[Sample]:
    """Choose users at even distances from the largest loss to the largest gain against the champion, or by NDCG.

    Args:
        data: The validated data.
        trials: Test sets of the pooled rows.
        readers: Of the test sets, for explanations; empty if the lists are not the blend's.
        served: [n, 10] lists of the pooled rows.
        ndcg: [n] of the pooled rows.
        comparison: The comparison with the champion, if there is one.
    """
    rows = comparison.rows if comparison else np.arange(len(ndcg), dtype=np.int64)
    by = comparison.challenger - comparison.champion if comparison else ndcg
    order = np.argsort(by, kind="stable")
    picked = order[np.unique(np.linspace(0, max(len(order) - 1, 0), min(SAMPLES, len(order))).astype(int))]
    starts = np.cumsum([0, *(len(trial) for trial in trials)])
    titles, words = _titles(data.items), Words.of(data.items)
    found = []
    for at in picked.tolist():
        row = int(rows[at])
        fold = int(np.searchsorted(starts, row, side="right")) - 1
        trial, inside = trials[fold], row - int(starts[fold])
        wanted, past = _wanted(trial, inside), trial.histories[inside][0]
        items = served[row][served[row] >= 0].astype(np.int64)
        sample: Sample = {
            "user": data.user_ids[trial.users[inside]],
            "history": [titles[item] for item in past[::-1][:SHOWN].tolist()],
            "events": len(past),
            "wanted": [titles[item] for item in wanted],
            "challenger": _list(items, wanted, titles),
            "ndcg": float(ndcg[row]),
            "words": {"history": words.cloud(past.tolist()), "challenger": words.cloud(items.tolist())},
        }
        if readers:
            known = readers[fold].users.histories.take(data.bundle_rows[trial.users[[inside]]])
            sample |= _why(readers[fold], known, trial, inside, items, titles)
        if comparison is not None:
            sample["champion_ndcg"] = float(comparison.champion[at])
            if comparison.lists is not None:
                theirs = comparison.lists[at][comparison.lists[at] >= 0]
                sample["champion"] = _list(theirs, wanted, titles)
                sample["words"]["champion"] = words.cloud(theirs.tolist())
        found.append(sample)
    return found


def _why(reader: Reader, known: Histories, trial: TestSet, row: int, items: IntArray, titles: Sequence[str]) -> Sample:
    """Explanations. known: the test set's history, one row, with how the items were liked; why: of each item the
    strongest reason, and the votes by kind of signal; lifted, evidence: of the first item."""
    at = np.array([row])
    question = Question(
        past=known,
        exclude=None if trial.exclude is None else trial.exclude.take(at),
        moments=trial.moments[at],
    )
    standing = reader.standing()
    why = Why.of(reader, question, items, (standing.out, standing.hidden))
    shares = np.column_stack([why.votes.of_kind(kind) for kind in (BEHAVIOUR, CONTENT, POPULAR)])
    ranked = why.votes.ranked
    first = [why.reasons(n)[0].text if ranked[n] else "popular: added to fill the list" for n in range(len(items))]
    return {
        "why": [[text, [round(float(share), 3) for share in row]] for text, row in zip(first, shares, strict=True)],
        "lifted": lifted(reader.engine, question, items[:1], standing.out)[0] if len(items) else [],
        "evidence": _evidence(why, titles) if len(items) else [],
    }


def _evidence(why: Why, titles: Sequence[str]) -> list[list[Any]]:
    """The liked history items that lift the first item, and their shares in its votes."""
    speaks, history = why.votes.contributions(0), why.votes.history
    best = why.votes.evidence(0, NAMED, np.isin(history, why.lifting(0)))
    return [[titles[history[n]], round(float(speaks[n]), 3)] for n in best]


def _wanted(trial: TestSet, row: int) -> list[int]:
    n = trial.truth.n_items
    first, last = np.searchsorted(trial.truth.keys, [row * n, (row + 1) * n])
    found: IntArray = trial.truth.keys[first:last] % n
    return [int(item) for item in found]


def _list(items: ItemArray | IntArray, wanted: Sequence[int], titles: Sequence[str]) -> list[list[Any]]:
    """[title, whether it is in the truth], best first."""
    return [[titles[item], item in wanted] for item in items.tolist()]


def _titles(items: pa.Table) -> list[str]:
    name = "title" if "title" in items.column_names else "item_id"
    titles: list[str] = items[name].to_pylist()
    return titles

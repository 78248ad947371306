"""The newest event of the log is known to everything that a night publishes, and nothing empty is published."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nightreel.data.dataset import load_dataset
from nightreel.data.histories import Histories
from nightreel.evaluation.gate.refit_gates import gates
from nightreel.reader.reader import Reader
from nightreel.settings.params_file import load
from tests.support.datasets import events_table, prepare, workspace, write_dataset
from tests.tasks.test_finetune_and_refit import CHANGES, trained

pytestmark = pytest.mark.end_to_end
COUPLED = ("item_knn", "ease", "slist")
MEMBERS = CHANGES["finetune.members"] | {
    "item_knn": {"neighbors": [512], "shrink": [1], "decay": [5]},
    "ease": {"regularization": [20], "decay": [5], "top_weights": [512], "max_items": [1000]},
    "slist": CHANGES["finetune.members"]["slist"] | {"top_weights": [512]},
}
NEW, USER = "i077", "u000"  # an item that nobody has taken yet


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after refit, over a log whose last event is the first one of its item."""
    root = tmp_path_factory.mktemp("newest")
    planted = write_dataset(root / "source", users=150, events=3600)
    assert NEW in planted.cold_items
    rows = [*planted.rows, (USER, NEW, planted.rows[-1][2] + 60)]
    pq.write_table(events_table(rows), root / "source/events.parquet")
    folder = prepare(root / "work", root / "source", CHANGES | {"finetune.members": MEMBERS})
    return trained(folder)


def test_histories_and_every_model_know_the_newest_event(work: Path) -> None:
    reader = Reader.open_bundle(work / "data/refit/bundle")
    item, row = reader.items.index_of(NEW), int(reader.users.rows([USER])[0])
    past = reader.users.histories.row(row)
    assert item is not None and past.items[-1] == item
    earlier = Histories.from_rows([(past.items[:-1].tolist(), past.times[:-1].tolist())])
    for name in COUPLED:  # the event ties the new item to what its user had taken to before
        assert float(reader.score(earlier, [item], model=name)[0, 0]) > 0, name
    assert float(reader.score(earlier, [item], model="popularity")[0, 0]) > 0
    assert float(reader.engine.statistics.trends[-1].table[-1][item]) > 0
    candidate = Reader.open_bundle(work / "data/finetune/candidate")
    assert float(candidate.score(earlier, [item], model="popularity")[0, 0]) == 0, "held out while it was judged"


def test_a_bundle_with_nothing_to_show_is_not_published(work: Path) -> None:
    with workspace(work):
        data, before = load_dataset(), Reader.open_bundle(Path("data/finetune/candidate"))
        everything = data.item_ids
        found = gates(load().refit, data, Path("data/refit/bundle"), before, everything)
        assert found.reasons == ["none of its items may be shown today"]
        assert gates(load().refit, data, Path("data/refit/bundle"), before, everything[1:]).reasons == []

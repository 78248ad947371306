"""A night over a source with a table of users: what finetune selects is what the published bundle answers newcomers."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.models.training.selected_params import SelectedParams
from nightreel.reader.reader import Reader
from tests.support.datasets import prepare, write_dataset
from tests.tasks.test_finetune_and_refit import CHANGES, trained

pytestmark = pytest.mark.end_to_end


def test_countries_with_tastes_of_their_own_reach_newcomers(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "source", users=300, events=3600).folder
    rows = [f"u{n:03d},{'DE' if n % 2 else 'FR'},{n % 3}" for n in range(300)]
    (folder / "users.csv").write_text("\n".join(["user_id,country,tier", *rows, "new0,FR,1", "new1,DE,1", "new2,,"]))
    changes = CHANGES | {"evaluate.slices": ["users.country", "users.tier"], "snapshot.pseudonymise": "off"}
    night = trained(prepare(tmp_path / "night", folder, changes))
    chosen = SelectedParams.read(night / "data/finetune").newcomers
    assert chosen is not None and chosen.columns == ("country",) and chosen.ndcg > chosen.plain_ndcg
    reader = Reader.open_bundle(night / "data/refit/bundle")
    assert reader.newcomers is not None and "tier" in reader.newcomers.names
    for user, group in (("new0", 0), ("new1", 1)):
        listed = [int(each.item_id[1:]) % 2 for each in reader.recommend(user, k=10)]
        assert listed.count(group) >= 9, user
    assert [e.item_id for e in reader.recommend("new2", k=10)] == [e.item_id for e in reader.recommend(k=10)]

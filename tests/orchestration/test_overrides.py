"""Changed settings are checked before anything runs."""

from pathlib import Path

import pytest
import yaml

from nightreel import settings
from nightreel.errors import UserError
from nightreel.orchestration import overrides

PARAMS = Path(__file__).parents[2] / "params.yaml"


def test_values_are_yaml_and_go_to_their_place(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text())
    before = yaml.safe_load(PARAMS.read_text())
    overrides.write(path, overrides.parse(["evaluate.margin=0.07", "embed.tune.layers=1", "publish.dry_run=true"]))
    after = yaml.safe_load(path.read_text())
    assert (after["evaluate"]["margin"], after["embed"]["tune"]["layers"], after["publish"]["dry_run"]) == (
        0.07,
        1,
        True,
    )
    for section, field in (("evaluate", "margin"), ("publish", "dry_run")):
        after[section][field] = before[section][field]
    after["embed"]["tune"]["layers"] = before["embed"]["tune"]["layers"]
    assert after == before


def test_a_list_picks_named_entries(tmp_path: Path) -> None:
    values = overrides.changed(PARAMS, overrides.parse(["finetune.members=[ease, popularity]"]))
    assert list(values["finetune"]["members"]) == ["popularity", "ease"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trees=3", "is not of the form section.field=value"),
        ("evaluate.margin", "is not of the form section.field=value"),
        ("evaluate.margin=[", "the value is not valid YAML"),
        ("evaluate.margn=0.1", "evaluate.margn: no such setting; evaluate has cutoffs, margin"),
        ("evaluat.margin=0.1", "evaluat.margin: no such setting; params.yaml has snapshot"),
        ("evaluate.margin.deep=0.1", "evaluate.margin.deep: no such setting"),
        ("evaluate.margin=-1", "evaluate.margin: Input should be greater than 0"),
        ("finetune.members=[ease, nearest]", "there is no entry 'nearest'. Choose from popularity"),
    ],
)
def test_a_bad_change_is_one_message_that_names_the_field(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        overrides.changed(PARAMS, overrides.parse([text]))
    assert says in str(caught.value)


def test_a_folder_is_meant_from_where_the_command_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "films").mkdir()
    monkeypatch.chdir(tmp_path)
    changes = {"snapshot.source": "films", "snapshot.media": "s3://bucket/media", "evaluate.margin": 0.07}
    assert overrides.absolute(changes) == {**changes, "snapshot.source": str(tmp_path / "films")}
    assert overrides.absolute({"snapshot.source": "movielens-100k", "snapshot.media": ""}) == {
        "snapshot.source": "movielens-100k", "snapshot.media": "",
    }  # fmt: skip


def test_a_moment_stays_as_it_was_typed(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    changes = overrides.parse(["snapshot.moment=2026-11-30T03:00:00Z"])
    assert changes == {"snapshot.moment": "2026-11-30T03:00:00Z"}
    overrides.write(tmp_path / "params.yaml", changes)
    assert settings.load(tmp_path / "params.yaml").snapshot.moment == "2026-11-30T03:00:00Z"

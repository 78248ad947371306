"""Changed settings are checked before anything runs."""

from pathlib import Path

import pytest
import yaml

from nightreel.errors import UserError
from nightreel.models.registry import models, spec
from nightreel.orchestration import overrides
from nightreel.settings import params_file

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
        ("finetune.members.nearest={}", "nearest: there is no such model. Choose one of"),
        ("finetune.members.ease={foo: [1]}", "finetune.members.ease.foo: Extra inputs are not permitted"),
        ("finetune.members.ials.foo=[1]", "finetune.members.ials.foo: Extra inputs are not permitted"),
        ("finetune.members.ease.regularization=[]", "finetune.members.ease.regularization: holds no value to try"),
        ("finetune.members.ease.regularization=5", "finetune.members.ease.regularization: Input should be"),
        (
            "finetune.members.transformer.dim=[30]",
            "finetune.members.transformer: Value error, dim 30 is no multiple of",
        ),
        ("finetune.members.ease=off", "finetune.members.ease: Input should be a valid dictionary"),
        ("finetune.members.ease.decay.x=[1]", "finetune.members.ease.decay.x: no such setting"),
        ("finetune.with_many.ease={decoy: [1]}", "finetune.with_many.ease.decoy: Extra inputs"),
        ("validate.positive.played=0.5", "validate.positive.played"),
        ("publish.dry_run=perhaps", "publish.dry_run: Input should be a valid boolean"),
    ],
)
def test_a_bad_change_is_one_message_that_names_the_field(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        overrides.changed(PARAMS, overrides.parse([text]))
    assert says in str(caught.value)


@pytest.mark.parametrize("name", sorted(models()))
def test_every_model_is_added_with_its_defaults(name: str) -> None:
    values = overrides.changed(PARAMS, overrides.parse([f"finetune.members.{name}={{}}"]))
    assert values["finetune"]["members"][name] == {}
    assert len(spec(name).grid({})) == 1
    listed = overrides.changed(PARAMS, overrides.parse([f"finetune.members=[ease, {name}]"]))
    assert set(listed["finetune"]["members"]) == {"ease", name}


def test_a_field_that_params_yaml_leaves_out_is_set() -> None:
    values = overrides.changed(PARAMS, overrides.parse(["finetune.members.ials.factors=[16, 32]"]))
    assert values["finetune"]["members"]["ials"] == {"factors": [16, 32]}
    values = overrides.changed(PARAMS, overrides.parse(["validate.positive.play=0.5"]))
    assert values["validate"]["positive"]["play"] == 0.5


def test_off_means_off(tmp_path: Path) -> None:
    texts = ["snapshot.pseudonymise=off", "validate.exclude_seen=on", "publish.dry_run=off", "evaluate.margin=1e-2"]
    overrides.write(_copy(tmp_path), overrides.parse(texts))
    found = params_file.load(tmp_path / "params.yaml")
    assert (found.snapshot.pseudonymise, found.validate_.exclude_seen) == ("off", "on")
    assert found.publish.dry_run is False and found.evaluate.margin == 0.01
    plain = yaml.safe_load((tmp_path / "params.yaml").read_text())  # what any other program reads
    assert plain["publish"]["dry_run"] is False and plain["snapshot"]["pseudonymise"] == "off"


def test_off_means_off_in_params_yaml_itself(tmp_path: Path) -> None:
    path = _copy(tmp_path)
    path.write_text(path.read_text().replace("pseudonymise: auto", "pseudonymise: off"))
    assert params_file.load(path).snapshot.pseudonymise == "off"


def _copy(folder: Path) -> Path:
    path = folder / "params.yaml"
    path.write_text(PARAMS.read_text())
    return path


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
    assert params_file.load(tmp_path / "params.yaml").snapshot.moment == "2026-11-30T03:00:00Z"

"""The form: its fields are settings, its bounds theirs, its stages dvc.yaml's."""

from pathlib import Path
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from prefect.utilities.schema_tools.validation import ValidationError as Refused
from pydantic import ValidationError

from flows import form
from flows.form_schema import form_schema
from flows.nightly import nightly
from nightreel.orchestration import overrides
from nightreel.orchestration.dvc import pipeline
from nightreel.settings import params_file

ROOT = Path(__file__).parents[3]
BOXES: dict[str, type[form.Box]] = {
    "snapshot": form.SnapshotForm, "embed": form.EmbedForm, "finetune": form.FinetuneForm, "evaluate": form.EvaluateForm,
    "publish": form.PublishForm,
}  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return parameter_schema(nightly.fn).model_dump()


@pytest.fixture(scope="module")
def offered() -> dict[str, Any]:
    return form_schema(nightly)


def test_every_field_is_a_setting_with_its_words_and_bounds(schema: dict[str, Any]) -> None:
    for section, box in BOXES.items():
        whole = params_file.Settings.model_fields[section].annotation
        assert whole is not None
        own = whole.model_json_schema()["properties"]
        shown = schema["definitions"][box.__name__]["properties"]
        for name, field in shown.items():
            assert own[name]["description"].replace("\n", " ") in field["description"].replace("\n", " ")
            assert (
                "Default (params.yaml): `" in field["description"] and "default" not in field and "anyOf" not in field
            )
            for bound in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum"):
                assert field.get(bound) == own[name].get(bound), name


def test_a_default_is_shown_as_the_pipeline_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "params.yaml").read_text("utf-8").replace("pseudonymise: auto", "pseudonymise: off")
    (tmp_path / "params.yaml").write_text(text, "utf-8")
    monkeypatch.setattr(form, "HERE", tmp_path)
    shown = form.SnapshotForm.model_json_schema()["properties"]["pseudonymise"]["description"]
    assert "Default (params.yaml): `off`." in shown


def test_the_stages_to_force_are_those_of_dvc_yaml(schema: dict[str, Any]) -> None:
    names = [stage.name for stage in pipeline.read(ROOT)]
    assert schema["definitions"]["Run"]["properties"]["force"]["items"]["enum"] == names
    assert schema["required"] == []


def test_what_is_filled_in_becomes_changes_and_wins_over_texts() -> None:
    boxes = {"finetune": form.FinetuneForm(members=["ease"], seed=3), "publish": form.PublishForm(dry_run=False)}
    found = form.changes(boxes, ["finetune.seed=9", "evaluate.margin=0.1"])
    assert found == {
        "finetune.members": ["ease"], "finetune.seed": 3, "publish.dry_run": False, "evaluate.margin": 0.1,
    }  # fmt: skip
    assert list(overrides.changed(ROOT / "params.yaml", found)["finetune"]["members"]) == ["ease"]
    assert form.changes({name: box() for name, box in BOXES.items()}, []) == {}


@pytest.mark.parametrize("faulty", [{"seed": -1}, {"members": []}, {"members": ["nearest"]}, {"sed": 1}])
def test_faulty_values_are_refused(faulty: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        form.FinetuneForm(**faulty)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"nothing": 1}, "nothing"),
        ({"finetune": {"sed": 1}}, "sed"),
        ({"run": {"kk": 1}}, "kk"),
        ({"run": {"settings": ["finetune.sed=1"]}}, "finetune.sed=1"),
        ({"run": {"settings": ["no setting"]}}, "no setting"),
        ({"publish": {"dry_run": True, "channel": "test"}}, "channel"),
    ],
)
def test_the_server_refuses_what_is_unknown(offered: dict[str, Any], parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(Refused, match=named):
        validate(parameters, offered, raise_on_error=True)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {
            "run": {
                "k": 5,
                "settings": ["evaluate.margin=0.05", "finetune.trees.num_trees = 3", "finetune.members=[ease]"],
            }
        },
        {"finetune": {"members": ["ease"], "seed": None}, "publish": {"dry_run": True}},
    ],
)
def test_the_server_takes_what_is_right(offered: dict[str, Any], parameters: dict[str, Any]) -> None:
    validate(parameters, offered, raise_on_error=True)

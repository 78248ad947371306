"""The commands as a user types them: errors are one message, reading starts fast, `why` names the dep."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nightreel.settings import yaml_values
from tests.support import toy as project


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "--set", "finetune.sed=1"], "finetune.sed: no such setting"),
        (["run", "--set", "finetune.seed=-1"], "finetune.seed: Input should be greater than or equal to 0"),
        (["run", "--stage-force", "lern"], "--stage-force lern: there is no such stage. Choose one of fetch, learn"),
    ],
)
def test_a_mistake_is_one_message(toy: Path, words: list[str], says: str) -> None:
    done = project.typed(*words)
    assert done.returncode == 1 and says in done.stderr and "Traceback" not in done.stderr and not done.stdout
    assert not (toy / "dvc.lock").exists()


def test_a_traceback_is_shown_to_who_asks_for_it(toy: Path) -> None:
    done = project.nightreel(toy, "--traceback", "run", "--set", "finetune.sed=1")
    assert done.returncode == 1 and "Traceback" in done.stderr and "finetune.sed: no such setting" in done.stderr


@pytest.mark.parametrize(
    ("option", "what", "more"),
    [("--port", "Prefect", ()), ("--mlflow-port", "MLflow", ()), ("--store-port", "object store", ("--object-store",))],
)
def test_a_port_in_use_is_named_with_the_way_out(toy: Path, option: str, what: str, more: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = project.typed("up", *more, option, str(taken.getsockname()[1]))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    for said in (what, "in use", f"nightreel up {option}"):
        assert said in done.stderr


def test_outside_a_checkout(tmp_path: Path) -> None:
    done = project.nightreel(tmp_path, "why", PYTHONPATH=str(project.HERE))
    assert done.returncode == 1 and "no Nightreel checkout here or above" in done.stderr


@pytest.mark.end_to_end
@pytest.mark.parametrize("command", ["why", "env"])
def test_no_command_leaves_a_state_that_everybody_may_write(toy: Path, command: str) -> None:
    shutil.rmtree(toy / ".nightreel", ignore_errors=True)
    assert project.nightreel(toy, command).returncode == 0
    modes = [(toy / ".nightreel" / name).stat().st_mode for name in (".", "dvc")]
    assert not modes[0] & 0o002 and not modes[1] & 0o077


@pytest.mark.end_to_end
def test_why_names_the_changed_dep_and_what_comes_after(toy: Path) -> None:
    project.call(toy, "python", "-m", "dvc", "repro")
    found = json.loads(project.typed("why", "--json").stdout)
    assert found["learn"] == found["score"] == [] and found["fetch"] == [
        "runs every time, because it accesses the outside world"
    ]
    (toy / "toy" / "learn.py").write_text((toy / "toy" / "learn.py").read_text() + "\n")
    params = toy / "params.yaml"
    seed = yaml_values.read(params.read_text())["finetune"]["seed"]
    params.write_text(params.read_text().replace(f"seed: {seed}", "seed: 7"))
    found = json.loads(project.typed("why", "--json").stdout)
    assert found["learn"] == ["dep toy/learn.py: modified", f"setting finetune.seed: {seed} → 7"]
    assert found["score"] == ["after learn"] and found["send"] == ["after score"]
    assert "learn  dep toy/learn.py: modified" in project.typed("why").stdout


@pytest.mark.parametrize("module", ["main", "run"])
def test_help_and_reading_commands_and_the_start_of_a_run_import_nothing_slow(module: str) -> None:
    code = f"import sys; from nightreel.cli import main, {module}; main._register(); print([m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project.HERE)
    for name in ("prefect", "torch", "mlflow", "dvc", "pandas", "lightgbm", "scipy.optimize"):
        assert f"'{name}'" not in loaded.stdout


@pytest.mark.end_to_end
@pytest.mark.parametrize("changed", [["--set", "finetune.seed=7"], []], ids=["in a worktree", "in the checkout"])
def test_relative_places_in_the_environment_are_where_the_command_was_typed(toy: Path, changed: list[str]) -> None:
    """Stages of a changed run work in a folder that is thrown away; the old code left them the relative names."""
    names = ("MLFLOW_TRACKING_URI", "NIGHTREEL_STORE", "AWS_CONFIG_FILE", "NIGHTREEL_STATE")
    note = toy / "toy" / "note.py"
    told = toy / "told.json"
    line = f"Path({str(told)!r}).write_text(json.dumps({{n: os.environ[n] for n in {names!r}}}))"
    note.write_text(note.read_text().replace("def main():\n", f"def main():\n    {line}\n"))
    typed = toy / "source"  # a folder of the checkout
    typed.mkdir()
    given = {"MLFLOW_TRACKING_URI": "sqlite:///x.db", "NIGHTREEL_STORE": "s", "AWS_CONFIG_FILE": "aws"}
    done = project.nightreel(typed, "run", *changed, **given, NIGHTREEL_STATE="../state", PYTHONPATH=str(toy))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(told.read_text()) == {
        "MLFLOW_TRACKING_URI": f"sqlite:///{typed}/x.db",
        "NIGHTREEL_STORE": str(typed / "s"),
        "AWS_CONFIG_FILE": str(typed / "aws"),
        "NIGHTREEL_STATE": str(toy / "state"),
    }

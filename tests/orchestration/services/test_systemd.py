"""systemd's unit files: systemd finds no fault in them, and their commands and options exist."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from nightreel.cli import main

UNITS = sorted((Path(__file__).parents[3] / "systemd").iterdir())
SERVICES = [path for path in UNITS if path.suffix == ".service"]
PLACE = "/srv/nightreel"


def read(path: Path) -> configparser.RawConfigParser:
    unit = configparser.RawConfigParser(delimiters=("=",), strict=True)
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read_string(path.read_text("utf-8"))
    return unit


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_every_command_and_option_exists(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = read(path)["Service"]
    program, name, *words = shlex.split(unit["ExecStart"])
    assert program == f"{PLACE}/.venv/bin/nightreel" and unit["WorkingDirectory"] == PLACE
    monkeypatch.setattr(main.app, "registered_commands", list(main.app.registered_commands))
    main._register()
    group: Any = typer.main.get_command(main.app)
    group.commands[name].make_context(name, words)  # refuses what it does not know


def test_every_timer_has_its_service_and_every_folder_is_the_same() -> None:
    assert {path.stem for path in UNITS if path.suffix == ".timer"} <= {path.stem for path in SERVICES}
    for path in SERVICES:
        assert read(path)["Service"]["ReadWritePaths"] == PLACE, path


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    here = tmp_path / "srv"
    program = here / ".venv" / "bin" / "nightreel"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in UNITS:
        (tmp_path / path.name).write_text(path.read_text("utf-8").replace(PLACE, str(here)), "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / path.name) for path in UNITS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    ours = [line for line in done.stderr.splitlines() if "nightreel" in line]
    assert (done.returncode, ours) == (0, [])

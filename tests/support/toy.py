"""A small project with a real dvc.yaml: five stages that take milliseconds, shaped like the real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

OUTER = ("GIT_", "NIGHTREEL_", "TOY_", "PREFECT_", "AWS_", "MLFLOW_")
HERE = Path(__file__).resolve().parents[2]
CODE = ("flows", "nightreel", "tasks")

DVC_YAML = """
stages:
  send:
    cmd: python toy/send.py
    deps: [toy/send.py, data/score]
    params: [publish]
    always_changed: true
    outs: [data/send]
  fetch:
    cmd: python toy/fetch.py
    deps: [toy/fetch.py, source.txt]
    params: [snapshot]
    always_changed: true
    outs:
      - data/fetch: {persist: true}
  learn:
    cmd: python toy/learn.py
    deps: [toy/learn.py, data/fetch/words.txt]
    params: [finetune]
    outs: [data/learn]
  score:
    cmd: python toy/score.py
    deps: [toy/score.py, data/learn]
    outs: [data/score]
    metrics:
      - metrics/score.json: {cache: false}
  note:
    cmd: python toy/note.py
    deps: [toy/note.py, data/send]
    always_changed: true
    outs: [data/note]
"""

# Each stage reads its input, says a line and writes an output. TOY_* variables make one slow or faulty.
STAGE = """
import json, os, sys, time
from pathlib import Path
from nightreel.settings import params_file
from nightreel.errors import UserError
from nightreel.stage import log_progress, stage_main, staged_output

NAME = Path(__file__).stem
INPUTS = {"fetch": "source.txt", "learn": "data/fetch/words.txt", "score": "data/learn/words.txt",
          "send": "data/score/words.txt", "note": "data/send/words.txt"}

def main():
    if "--failed" in sys.argv:
        log_progress(f"noted that {sys.argv[2]} failed")
        Path(os.environ["NIGHTREEL_STATE"], "failed.json").write_text(json.dumps(sys.argv[1:]))
        return
    log_progress(f"{NAME} begins")
    if os.environ.get("TOY_SLOW") == NAME:
        Path(os.environ["TOY_PID"]).write_text(str(os.getpid()))
        time.sleep(float(os.environ.get("TOY_SECONDS", "60")))
    if os.environ.get("TOY_FAULT") == NAME:
        raise UserError(f"source.txt: line 3 is empty.\\nRemove the line and run again.")
    if os.environ.get("TOY_CRASH") == NAME:
        raise ZeroDivisionError("a bug")
    flaky = os.environ.get("TOY_FLAKY", "").split(":", 1)
    if flaky[0] == NAME:
        marks = Path(flaky[1])
        marks.write_text(marks.read_text() + "x" if marks.exists() else "x")
        if len(marks.read_text()) == 1:
            print("error: the server did not answer. Try again later.", file=sys.stderr, flush=True)
            sys.exit(75)
    trees = params_file.load().finetune.trees if NAME == "learn" else ""
    with staged_output(Path("data") / NAME) as folder:
        (folder / "words.txt").write_text(Path(INPUTS[NAME]).read_text() + f"{NAME}{trees}\\n")
    if NAME == "score":
        Path("metrics").mkdir(exist_ok=True)
        Path("metrics/score.json").write_text(json.dumps({"words": len(Path(INPUTS[NAME]).read_text())}))
    if NAME == "send" and "TOY_RECEIPT" in os.environ:
        Path("data/publish").mkdir(exist_ok=True)
        Path("data/publish/receipt.json").write_text(os.environ["TOY_RECEIPT"])

stage_main(main)
"""


def build(folder: Path, *, git: bool = True) -> Path:
    """The project in `folder`, committed where `git`; the flows' code comes along, as in a real checkout, and its
    bytecode, so that no copy of the project compiles it again."""
    for name in CODE:
        shutil.copytree(HERE / name, folder / name)
    (folder / ".dvc").mkdir()
    for name in ("params.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore", "prefect.yaml"):
        shutil.copy2(HERE / name, folder / name)
    (folder / "toy").mkdir()
    for stage in ("fetch", "learn", "score", "send", "note"):
        (folder / "toy" / f"{stage}.py").write_text(STAGE)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "source.txt").write_text("one\ntwo\n")
    if git:
        for words in (
            ["init", "-b", "main"],
            ["add", "-A"],
            ["commit", "-m", "Begin"],
            ["repack", "-adq"],
            ["prune-packed", "-q"],
        ):
            call(folder, "git", *words)
    return folder


def copy(template: Path, folder: Path) -> Path:
    """A project of its own, like another one. What nobody edits in place, its code and what git keeps, is linked: these
    are two thousand files, and to write and delete them for each test took longer than most of the tests."""

    def link_or_copy(source: str, target: str) -> None:
        top = Path(source).relative_to(template).parts[0]
        (os.link if top in CODE or ".git/objects/" in source else shutil.copy2)(source, target)

    return Path(shutil.copytree(template, folder, symlinks=True, copy_function=link_or_copy))


def call(folder: Path, *command: str) -> str:
    """Output of a command run in the project; a failing one fails the test with what it said."""
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def nightreel(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`nightreel WORDS` as a user types it, in the project."""
    command = [sys.executable, "-c", "from nightreel.cli.main import main; main()", *words]
    environ = environment() | variables
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=600)


def typed(*words: str) -> subprocess.CompletedProcess[str]:
    """`nightreel WORDS` in the working directory and this process, where a process of its own is not what is tested: it
    would take a second for its imports."""
    from nightreel.cli.main import main

    out, err, code = StringIO(), StringIO(), 0
    with (
        patch.dict(os.environ, environment(), clear=True),
        patch.object(sys, "argv", ["nightreel", *words]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(["nightreel", *words], code, out.getvalue(), err.getvalue())


def environment() -> dict[str, str]:
    """This process's environment without what git or an outer run has set."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(OUTER)}
    ours["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), ours["PATH"]])
    who = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_CONFIG_GLOBAL": os.devnull}
    return {**ours, **who, "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org", "PYTHONPATH": "."}

"""Shared by all stages: entry point, outputs, and the state directory, which outlives a run."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from nightreel import checkout, loopback, private_files
from nightreel.errors import TemporaryError, UserError, naming_a_full_disk, not_permitted

TEMPORARY = 75  # EX_TEMPFAIL of sysexits.h
_subject: ContextVar[str] = ContextVar("subject", default="")


def stage_main(main: Callable[[], float | None]) -> None:
    """Run a stage as a program; time and memory are saved as a run note.

    A UserError, a missing input or a full disk becomes one message on stderr and exit code 1; a transient failure, for
    which a retry may help, exit code 75 (EX_TEMPFAIL of sysexits.h). NIGHTREEL_TRACEBACK=1 shows the traceback.

    Args:
        main: The stage. It may return the bytes of memory that its child processes used.
    """
    began = time.monotonic()
    loopback.bypass()
    try:
        with naming_a_full_disk(state_directory()):
            prepare_state(state_directory())
            child_memory = main() or 0.0
            _keep_cost(Path(sys.argv[0]), time.monotonic() - began, child_memory)
    except UserError as error:
        _leave(str(error), error, TEMPORARY if isinstance(error, TemporaryError) else 1)
    except FileNotFoundError as error:
        path = error.filename or error  # pyarrow's error has no filename, but names it in its message
        _leave(f"{path}: not found. Run `nightreel why` to see which stage writes it.", error)
    except (ConnectionError, TimeoutError) as error:
        _leave(f"the connection failed ({error}). Check the network and the server, and run again.", error, TEMPORARY)
    except PermissionError as error:
        _leave(not_permitted(error), error)
    except MemoryError as error:
        _leave(_out_of_memory(str(error)), error)
    except OSError as error:
        if error.errno == errno.ENOMEM:  # a file that can't be mapped
            _leave(_out_of_memory(str(error)), error)
        raise


def _keep_cost(program: Path, seconds: float, child_memory: float) -> None:
    """Save the time and peak memory of a stage that ran as a program, for `record` and the report."""
    if program.parent.name == "tasks":
        save_run_note(
            f"{program.stem}.cost",
            {"wall_seconds": round(seconds, 2), "peak_mb": round((peak_memory() + child_memory) / 1e6, 1)},
        )


def peak_memory() -> float:
    """Peak memory of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's ru_maxrss includes the parent's memory
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # bytes, or kilobytes
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _out_of_memory(said: str) -> str:
    held = peak_memory() / 1e6
    return (
        f"memory ran out ({said or 'an array could not be made'}); this process held {held:,.0f} MB at most. Free "
        "memory, or lower what the stage needs, for example fewer finetune.members. Finished stages are kept."
    )


def _leave(message: str, error: Exception, code: int = 1) -> None:
    if os.environ.get("NIGHTREEL_TRACEBACK") == "1":
        raise error
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


def log_progress(message: str) -> None:
    """Print a line of progress; flushed, because the flow streams it."""
    print(f"{_subject.get()}{message}", flush=True)


@contextmanager
def progress_of(subject: str) -> Iterator[None]:
    """Begin each line of progress in the block with what it is about, such as one of several folds."""
    before = _subject.set(f"{subject}: ")
    try:
        yield
    finally:
        _subject.reset(before)


def state_directory() -> Path:
    """The directory of everything that outlives a run: store, MLflow database, caches, locks.

    NIGHTREEL_STATE, else `.nightreel` beside the dvc.yaml that is found here or above (of the main checkout, in a
    linked git worktree), else the `.nightreel` here or above.
    """
    named = os.environ.get("NIGHTREEL_STATE")
    if named:
        return Path(named).expanduser().resolve()
    here = Path.cwd()
    root = checkout.find(here)
    return checkout.above(here) if root is None else checkout.state_of(root)


def cache_folder() -> Path:
    """Where this machine keeps copies and notes of remote stores: in the state directory if it exists, else in the
    user's cache, so that a service creates no state directory."""
    state = state_directory()
    if state.is_dir() or os.environ.get("NIGHTREEL_STATE"):
        return state / "cache"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "nightreel"


def prepare_state(state: Path) -> None:
    """Create the state directory if it is missing, with a .gitignore that hides it from every repository around it.

    Raises:
        UserError: It can't be created or written, for example because it belongs to another user.
    """
    ignore = state / ".gitignore"
    try:
        state.mkdir(parents=True, exist_ok=True)
        # DVC makes both writable by everybody if they are missing, and loads its cache as code.
        private_files.keep_from_all(state)
        private_files.create_folder(state / "dvc")
        if not ignore.exists():
            ignore.write_text("# Keys, databases and versions of Nightreel.\n*\n", "utf-8")
    except PermissionError as error:
        raise UserError(not_permitted(error, state)) from None
    except OSError as error:
        raise UserError(
            f"{state}: can't be written ({error.strerror or error}). Name another state directory in NIGHTREEL_STATE."
        ) from None


@contextmanager
def staged_output(target: Path) -> Iterator[Path]:
    """A folder to write to; it replaces `target` only if the block ends without an error."""
    working = target.with_name(f".{target.name}.partial")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    try:
        yield working
    except BaseException:
        shutil.rmtree(working, ignore_errors=True)
        raise
    if target.exists():
        shutil.rmtree(target)
    working.rename(target)


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON (sorted keys, no NaN) atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    working = path.with_name(f".{path.name}.partial")
    working.write_text(text + "\n", "utf-8")
    working.rename(path)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV for `dvc plots`; no file if there are no rows."""
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def read_json(path: Path) -> Any:
    """Read the JSON of a stage's output; raises UserError, naming the file, if it can't be parsed."""
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: is not JSON ({error}). Delete it and run the stage again.") from None


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file that may be missing; empty if it can't be read or holds no object."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def save_run_note(stage: str, facts: dict[str, Any]) -> None:
    """Save non-deterministic run facts (cache hits, timings, URLs) outside DVC, for the `record` stage."""
    write_json(state_directory() / "notes" / f"{stage}.json", facts)

"""What a bundle costs a service: its bytes, and the memory of a process that answers from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tasks.stage import UserError

MB = 2**20
ANSWER = """
import sys
from pathlib import Path
from tasks.index.reader import Reader
reader = Reader.open_bundle(Path(sys.argv[1]), check=False)
reader.recommend(history=list(reader.items.ids[:1]), k=10)
"""


def size_mb(folder: Path) -> float:
    """Of all files of a bundle."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MB


def memory_mb(folder: Path) -> float:
    """Peak resident memory of a fresh process that opens the bundle and answers one history; mapped files count by
    what is touched of them. Raises UserError if that process fails."""
    process = subprocess.Popen([sys.executable, "-c", ANSWER, str(folder)], stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace")
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise UserError(f"{folder}: a fresh process can't answer from the bundle: {said.strip() or 'it was killed'}.")
    return used.ru_maxrss / (MB if sys.platform == "darwin" else 1024)

"""Footprint of a bundle: its bytes, and the memory of a process that serves from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nightreel.errors import UserError

MB = 2**20
ANSWER = """
import sys
from pathlib import Path
from nightreel.reader.reader import Reader
from nightreel.stage import peak_memory
reader = Reader.open_bundle(Path(sys.argv[1]), check=False)
reader.recommend(history=list(reader.items.ids[:1]), k=10)
print(peak_memory())
"""


def size_mb(folder: Path) -> float:
    """Size of all files of a bundle, in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MB


def memory_mb(folder: Path) -> float:
    """Peak resident memory, in MB, of a new process that opens the bundle and recommends for one history. Memory-mapped
    files count as far as they are read. Raises UserError if the process fails."""
    done = subprocess.run([sys.executable, "-c", ANSWER, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{folder}: a new process can't open the bundle: {done.stderr.strip() or 'it was killed'}.")
    return float(done.stdout.split()[-1]) / MB

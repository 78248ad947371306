"""The exit codes that stages and flow agree on."""

import subprocess
import sys

import pytest

from tests.support import toy as project


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        ("UserError('items.csv: no title. Add one.')", 1, "error: items.csv: no title. Add one."),
        ("TemporaryError('s3: silent. Try later.')", 75, "error: s3: silent. Try later."),
        ("ConnectionResetError(104, 'reset by peer')", 75, "error: the connection failed"),
        ("TimeoutError('timed out')", 75, "error: the connection failed (timed out)"),
        ("FileNotFoundError(2, 'gone', 'data/a.json')", 1, "error: data/a.json: not found"),
        ("OSError(28, 'full', '/data')", 1, "error: /data: no space left on the device"),
    ],
)
def test_a_fault_becomes_a_message_and_a_code(raised: str, code: int, says: str) -> None:
    program = f"from nightreel.stage import *\nfrom nightreel.stage import TemporaryError, UserError\ndef f(): raise {raised}\nstage_main(f)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project.HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == code and done.stderr.startswith(says) and "Traceback" not in done.stderr

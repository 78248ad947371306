"""python -m flows.mlflow_ui PORT: MLflow's server over the runs that `record` wrote, on loopback.

The database is made before the server starts: two processes that migrate a fresh one break it.
"""

from __future__ import annotations

import os
import sys

from tasks import tracking
from tasks.stage import state_directory


def main(port: str) -> None:
    """Become the server."""
    uri = tracking.prepare(state_directory())
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    os.execv(sys.executable, [*command, "--host", "127.0.0.1", "--port", port, "--workers", "1"])


if __name__ == "__main__":
    main(sys.argv[1])

"""What a child process gets of this process's environment: a server what it needs, a stage no foreign secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping

SYSTEM = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "TEMP",
        "TMP",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "DO_NOT_TRACK",
        "NIGHTREEL_STATE",
        "NIGHTREEL_UP",
    }
)
"""Variables without which a program may not find its files, its language or the network; proxies in either case."""
SYSTEM_PREFIXES = ("LC_", "PYTHON", "XDG_", "OMP_", "OPENBLAS_", "MKL_", "COVERAGE_")
WORKER = frozenset({"PATH", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"})
SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTH|PRIVATE|(^|_)(API_?|ACCESS_?)?KEY(_|$)", re.IGNORECASE
)
USED_BY_STAGES = ("NIGHTREEL_", "AWS_", "MLFLOW_", "HF_", "HUGGING_FACE_", "DVC_", "GIT_", "SSH_", "XDG_", "LC_")
"""Prefixes of variables that a stage uses itself: sources, stores, records, models."""
DATABASE_OF_PREFECT = ("PREFECT_SERVER_DATABASE_", "PREFECT_API_DATABASE_")
"""Prefixes of variables that only Prefect's server needs; the first is their present name."""
OF_THE_FLOW = "NIGHTREEL_NOTIFY"
"""Addresses of notifications, with their passwords: the flow sends them, not its stages."""


def of_server(environment: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    """The environment of a server: what any program needs, and the variables with these prefixes.

    Example:
        >>> of_server({"LANG": "C", "AWS_SECRET_ACCESS_KEY": "s", "MLFLOW_DEFAULT": "d"}, "MLFLOW_")
        {'LANG': 'C', 'MLFLOW_DEFAULT': 'd'}
    """
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in SYSTEM or name.startswith((*SYSTEM_PREFIXES, *prefixes))
    }


def of_worker(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that only computes: how to find its libraries, and no address, name or secret.

    Example:
        >>> of_worker({"LANG": "C", "PYTHONPATH": ".", "HTTP_PROXY": "http://proxy", "AWS_SECRET_ACCESS_KEY": "s"})
        {'LANG': 'C', 'PYTHONPATH': '.'}
    """
    return {name: value for name, value in environment.items() if name in WORKER or name.startswith(("PYTHON", "LC_"))}


def of_client(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that talks to Prefect's server: everything but how to reach the server's database.

    Example:
        >>> of_client({"LANG": "C", "PREFECT_SERVER_DATABASE_PASSWORD": "s", "PREFECT_API_URL": "http://127.0.0.1"})
        {'LANG': 'C', 'PREFECT_API_URL': 'http://127.0.0.1'}
    """
    return {name: value for name, value in environment.items() if not name.startswith(DATABASE_OF_PREFECT)}


def of_stage(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a stage: everything but how to reach Prefect, and secrets that no stage uses.

    Example:
        >>> of_stage({"LANG": "C", "NIGHTREEL_NOTIFY": "mailto://n:p@h", "GITHUB_TOKEN": "t", "HF_TOKEN": "h"})
        {'LANG': 'C', 'HF_TOKEN': 'h'}
    """
    return {
        name: value
        for name, value in environment.items()
        if (name.startswith(USED_BY_STAGES) and name != OF_THE_FLOW)
        or not (name.startswith(("PREFECT_API_", "PREFECT_SERVER_")) or SECRET.search(name) or name == OF_THE_FLOW)
    }

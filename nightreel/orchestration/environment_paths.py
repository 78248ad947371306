"""Makes relative paths in environment variables absolute when a command starts, since stages run in other folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nightreel.tracking import address

ADDRESSES = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_DEFAULT_ARTIFACT_ROOT",
    "MLFLOW_ARTIFACTS_DESTINATION",
    "NIGHTREEL_STORE",
)
"""Variables that hold an address or a folder."""
PATHS = (
    "NIGHTREEL_STATE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "PREFECT_HOME",
    "HF_HOME",
    "HF_HUB_CACHE",
    "TORCH_HOME",
    "XDG_CACHE_HOME",
    "TMPDIR",
)
"""Variables that hold a file or folder: settings, credentials, certificates, caches."""


def settle(here: Path | None = None) -> None:
    """Make the relative paths in this process's environment absolute, for its children, too.

    Args:
        here: The folder in which the command was started; default: the working directory.
    """
    os.environ.update(settled(os.environ, here or Path.cwd()))


def settled(environment: Mapping[str, str], here: Path) -> dict[str, str]:
    """Resolve the relative paths in an environment.

    Args:
        environment: All variables.
        here: The folder that paths are relative to.

    Returns:
        Name → absolute value, of the variables that change.
    """
    found = {name: environment[name] for name in (*ADDRESSES, *PATHS) if environment.get(name)}
    whole = {
        name: address.absolute(value, here) if name in ADDRESSES else str((here / Path(value).expanduser()).resolve())
        for name, value in found.items()
        if name in ADDRESSES or not Path(value).is_absolute()
    }
    return {name: value for name, value in whole.items() if value != found[name]}

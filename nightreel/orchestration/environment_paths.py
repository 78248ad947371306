"""Relative paths in the environment, made absolute once, where a command was typed: stages run elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nightreel.tracking import address

ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "NIGHTREEL_STORE")
"""An address, or a folder."""
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
"""A file or a folder of settings, credentials, certificates or caches."""


def settle(here: Path | None = None) -> None:
    """Make what is relative in this process's environment absolute, for its children too.

    Args:
        here: The folder in which the command was typed; default: the working directory.
    """
    os.environ.update(settled(os.environ, here or Path.cwd()))


def settled(environment: Mapping[str, str], here: Path) -> dict[str, str]:
    """The variables of an environment that are relative, as they have to be.

    Args:
        environment: All variables.
        here: What they are relative to.

    Returns:
        Name → absolute value, of those alone whose value changes.
    """
    found = {name: environment[name] for name in (*ADDRESSES, *PATHS) if environment.get(name)}
    whole = {
        name: address.absolute(value, here) if name in ADDRESSES else str((here / Path(value).expanduser()).resolve())
        for name, value in found.items()
        if name in ADDRESSES or not Path(value).is_absolute()
    }
    return {name: value for name, value in whole.items() if value != found[name]}

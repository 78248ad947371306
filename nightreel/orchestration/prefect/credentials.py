"""User name and password of the Prefect servers that Nightreel starts, kept in a file that only its owner may read.

Without them any web page that is open on this machine could start flow runs, and with them shell commands.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from nightreel import private_files
from nightreel.errors import UserError

FILE = "prefect-api.json"
USER = "nightreel"
CLIENT = "PREFECT_API_AUTH_STRING"
SERVER = "PREFECT_SERVER_API_AUTH_STRING"
ADDRESS = "prefect_credentials"
"""Under this name `nightreel up` says where they are, if the server is its own."""


def prepare(state: Path) -> bool:
    """Create the credentials if there are none, or anew if other users could have read them.

    Args:
        state: The state directory.

    Returns:
        Whether they are new.
    """
    path = state / FILE
    if path.exists() and not private_files.readable_by_others(path):
        return False
    value = {"user": USER, "password": secrets.token_urlsafe(24)}
    private_files.create(path, json.dumps(value).encode() + b"\n", replace=path.exists())
    return True


def auth_string(state: Path) -> str:
    """`user:password`, as Prefect's settings and the login of its page take it.

    Raises:
        UserError: The file is missing or damaged.
    """
    path = state / FILE
    try:
        value = json.loads(path.read_text("utf-8"))
        return f"{value['user']}:{value['password']}"
    except PermissionError:
        raise UserError(f"{path}: can't be read by this user. Run the command as its owner.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: is missing or damaged. Delete it and start `nightreel up` again.") from None


def of_client(state: Path) -> dict[str, str]:
    """The environment variable by which Prefect's clients log in."""
    return {CLIENT: auth_string(state)}


def of_server(state: Path, port: int) -> dict[str, str]:
    """The environment variables that close a server on loopback to everybody else.

    Args:
        state: The state directory.
        port: The server's port. Its own pages may be opened by either name of this machine.
    """
    own = ",".join(f"http://{host}:{port}" for host in ("127.0.0.1", "localhost"))
    return {
        SERVER: auth_string(state),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": own,
        # The page asks the server it came from, under whatever name and port it was opened.
        "PREFECT_SERVER_UI_API_URL": "/api",
    }

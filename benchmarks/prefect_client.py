"""A client of a Prefect server that Nightreel started, as Prefect's page is one: logged in, with a CSRF token."""

from __future__ import annotations

import uuid
from pathlib import Path

import httpx

from nightreel.orchestration.prefect import credentials


def logged_in(api: str, state: Path) -> httpx.Client:
    """The client; addresses are relative to `api`.

    Args:
        api: The server's API.
        state: The state directory that holds the credentials.
    """
    user, _, password = credentials.auth_string(state).partition(":")
    name = str(uuid.uuid4())
    # A client of its own asks for the token: one that has asked can't be entered with `with` any more.
    with httpx.Client(base_url=api, auth=(user, password), timeout=60, trust_env=False) as first:
        token = first.get("/csrf-token", params={"client": name}).raise_for_status().json()["token"]
    headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": name}
    return httpx.Client(base_url=api, auth=(user, password), headers=headers, timeout=60, trust_env=False)

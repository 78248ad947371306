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
    client = httpx.Client(base_url=api, auth=(user, password), timeout=60, trust_env=False)
    name = str(uuid.uuid4())
    token = client.get("/csrf-token", params={"client": name}).raise_for_status().json()["token"]
    client.headers.update({"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": name})
    return client

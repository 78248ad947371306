"""The baseline of the service's request rate: a FastAPI application with one route that does nothing."""

from __future__ import annotations

from fastapi import FastAPI


def build() -> FastAPI:
    """The application."""
    app = FastAPI()

    @app.get("/")
    async def nothing() -> dict[str, str]:
        return {}

    return app

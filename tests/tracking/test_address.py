"""Addresses of MLflow: relative ones are taken from a folder, others stay, and no message has a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.tracking.address import absolute, database_file, shown

HERE = Path("/home/me/work")


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("sqlite:///runs.db", "sqlite:////home/me/work/runs.db"),
        ("sqlite:///./a/../runs.db", "sqlite:////home/me/work/runs.db"),
        ("sqlite:////data/runs.db", "sqlite:////data/runs.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:/data/runs.db?mode=ro&uri=true", "sqlite:///file:/data/runs.db?mode=ro&uri=true"),
        ("mlruns", "/home/me/work/mlruns"),
        ("./mlruns", "/home/me/work/mlruns"),
        ("../mlruns", "/home/me/mlruns"),
        ("/data/mlruns", "/data/mlruns"),
        ("file:mlruns", "file:///home/me/work/mlruns"),
        ("file://mlruns", "file:///home/me/work/mlruns"),
        ("file:./mlruns", "file:///home/me/work/mlruns"),
        ("file:///data/mlruns", "file:///data/mlruns"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("postgresql+psycopg://u:p@host/db", "postgresql+psycopg://u:p@host/db"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("databricks", "databricks"),
    ],
)
def test_relative_addresses_are_taken_from_a_folder(given: str, whole: str) -> None:
    assert absolute(given, HERE) == whole
    assert absolute(whole, Path("/elsewhere")) == whole


def test_messages_have_no_password() -> None:
    assert shown("http://me:secret@host:5000/base?token=x") == "http://host:5000/base"
    assert shown("postgresql://me:secret@host/db") == "postgresql://host/db"
    assert shown("sqlite:////data/runs.db") == "/data/runs.db"
    assert database_file("http://host") is None

"""Addresses of MLflow: relative ones are taken from a folder, others stay, and no message has a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.tracking.address import absolute, artifact_root, database_file, shown, tracking_uri, without_secrets

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
    for odd in ("s/ecret", "s#ecret", "s?ecret", "s[ecret", "s@ecret", "s:ecret"):
        assert shown(f"postgresql://me:{odd}@host/db?password=secret&sslmode=require") == "postgresql://host/db"
    assert shown("sqlite:////data/runs.db") == "/data/runs.db"
    assert shown("file:///home/me@work/runs") == "file:///home/me@work/runs"
    assert database_file("http://host") is None


def test_what_is_kept_in_a_file_names_the_same_place_whatever_the_password() -> None:
    old, new = (without_secrets(f"postgresql://me:{word}@host/db") for word in ("old", "new"))
    assert old == new == "postgresql://host/db" != without_secrets("postgresql://me:old@host/other")
    for local in ("sqlite:////data/runs.db", "file:///data/runs", "/data/runs", "databricks"):
        assert without_secrets(local) == local


def test_mlflows_own_variables_name_the_database_and_where_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_DEFAULT_ARTIFACT_ROOT")
    for name in ("MLFLOW_TRACKING_URI", *names):
        monkeypatch.delenv(name, raising=False)
    assert artifact_root(tmp_path, tracking_uri(tmp_path)) == f"file://{tmp_path}/mlflow/artifacts"
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql://me:secret@host/db")
    assert artifact_root(tmp_path, tracking_uri(tmp_path)) == f"file://{tmp_path}/mlflow/artifacts"
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", "s3://films/mlflow")
    assert artifact_root(tmp_path, tracking_uri(tmp_path)) == "s3://films/mlflow"
    monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", "mlflow-artifacts:/")
    assert artifact_root(tmp_path, tracking_uri(tmp_path)) == "s3://films/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert tracking_uri(tmp_path) == "http://mlflow.example"
    assert artifact_root(tmp_path, "http://mlflow.example") is None, "a server decides itself"

"""What is relative in the environment is taken from where a command was typed."""

from __future__ import annotations

from pathlib import Path

from nightreel.orchestration.environment_paths import settled


def test_relative_paths_are_made_absolute_and_the_rest_stays(tmp_path: Path) -> None:
    given = {
        "MLFLOW_TRACKING_URI": "sqlite:///x.db",
        "MLFLOW_REGISTRY_URI": "http://host:5000",
        "NIGHTREEL_STORE": "store",
        "NIGHTREEL_STATE": "../state",
        "AWS_CONFIG_FILE": "aws/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/etc/aws/credentials",
        "SSL_CERT_FILE": "",
        "PYTHONPATH": ".",
    }
    assert settled(given, tmp_path) == {
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/x.db",
        "NIGHTREEL_STORE": str(tmp_path / "store"),
        "NIGHTREEL_STATE": str(tmp_path.parent / "state"),
        "AWS_CONFIG_FILE": str(tmp_path / "aws" / "config"),
    }
    assert settled({"NIGHTREEL_STORE": "s3://bucket/nightreel"}, tmp_path) == {}
    assert settled({"NIGHTREEL_STORE": "file://store"}, tmp_path) == {"NIGHTREEL_STORE": f"file://{tmp_path}/store"}

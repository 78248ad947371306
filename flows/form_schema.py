"""python -m flows.form_schema: print the forms of this checkout, by deployment, as one line of JSON Schema."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.utilities.callables import parameter_schema

from nightreel.settings import yaml_values

PREFECT_YAML = Path(__file__).parent.parent / "prefect.yaml"


def deployed_flows() -> dict[str, Flow[..., Any]]:
    """The flow of each deployment in prefect.yaml, by the deployment's name."""
    found = {}
    for each in yaml_values.read(PREFECT_YAML.read_text("utf-8"))["deployments"]:
        path, _, name = each["entrypoint"].partition(":")
        found[each["name"]] = getattr(import_module(path.removesuffix(".py").replace("/", ".")), name)
    return found


def form_schema(flow: Flow[..., Any]) -> dict[str, Any]:
    """A flow's parameters. Prefect's own schema accepts unknown ones, which would fail only when the run starts."""
    return parameter_schema(flow).model_dump_for_openapi() | {"additionalProperties": False}


if __name__ == "__main__":
    print(json.dumps({f"{flow.name}/{name}": form_schema(flow) for name, flow in deployed_flows().items()}))

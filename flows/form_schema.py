"""python -m flows.form_schema: print the form of this checkout as one line of JSON Schema."""

from __future__ import annotations

import json
from typing import Any

from prefect.utilities.callables import parameter_schema

from flows.nightly import nightly


def form_schema() -> dict[str, Any]:
    """The flow's parameters. Prefect's own schema accepts unknown ones, which would fail only when the run starts."""
    return parameter_schema(nightly).model_dump_for_openapi() | {"additionalProperties": False}


if __name__ == "__main__":
    print(json.dumps(form_schema()))

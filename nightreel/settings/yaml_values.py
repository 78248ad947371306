"""Reads the project's YAML files and `--set` values as YAML 1.2 does, and DVC with it: `off`, `no`, dates are text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    FAST = yaml.SafeLoader
else:
    FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader in C where PyYAML was built with it: six times as fast. Every command begins by reading YAML."""
SURPRISES = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
"""What YAML 1.1 makes of plain words: booleans of yes, no, on and off, and dates."""


class _Loader(FAST):
    """PyYAML's safe loader with the booleans of YAML 1.2."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag not in SURPRISES]
    for first, known in FAST.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(SURPRISES[0], re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def read(text: str | bytes) -> Any:
    """The value of a YAML text, or of its bytes in UTF-8; raises yaml.YAMLError.

    Example:
        >>> read("{a: off, b: no, c: true, d: 2026-11-30, e: 0.5}")
        {'a': 'off', 'b': 'no', 'c': True, 'd': '2026-11-30', 'e': 0.5}
    """
    return yaml.load(text, _Loader)

"""Fills generated tables into pages of the site, so that no text is kept twice: a hook of MkDocs.

A page says `<!-- generated: NAME -->`; the functions below say what each name stands for.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import typer
import yaml
from annotated_types import Ge, Gt, Le, Lt, MinLen
from mkdocs.exceptions import PluginError
from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the site describes this checkout, whatever else is installed

from nightreel.cli import main as cli  # noqa: E402
from nightreel.data.contract.tables import TABLES, as_markdown  # noqa: E402
from nightreel.models import registry  # noqa: E402
from nightreel.settings.params_file import Settings  # noqa: E402

MARKER = re.compile(r"^<!-- generated: (?P<name>[a-z-]+) -->$", re.MULTILINE)
ELSEWHERE = re.compile(r"""<(?:script|img|link|iframe|source)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>""")
BOUNDS = {Ge: ("from", "ge"), Gt: ("above", "gt"), Le: ("to", "le"), Lt: ("below", "lt")}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for each page."""
    return MARKER.sub(lambda marker: GENERATED[marker["name"]](), markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Called by MkDocs for each page: it may load nothing from elsewhere, since a reader may have no network."""
    if found := ELSEWHERE.search(output):
        raise PluginError(f"{page.file.src_uri}: loads from elsewhere: {found[0]}. Put the file into docs/.")
    return output


def parameters() -> str:
    """Every field of params.yaml, a heading and a table for each section and each part of one."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    return "\n".join(_sections(Settings, values, ""))


def _sections(model: type[BaseModel], values: Mapping[str, Any], path: str) -> Iterator[str]:
    """A part's own fields first, then the parts below it."""
    rows, below = [], []
    for name, field in model.model_fields.items():
        key = field.alias or name
        kind = _model(field.annotation)
        if kind is not None:
            below.append((kind, values.get(key, {}), f"{path}.{key}".strip("."), field.description))
        else:
            rows.append(_row(f"{path}.{key}".strip("."), field, values.get(key)))
    if rows:
        yield "| field | value | allowed | what it does |\n|---|---|---|---|"
        yield from rows
        yield ""
    for kind, inner, where, description in below:
        yield f"{'##' if '.' not in where else '###'} {where}\n"
        about = description or (inspect.getdoc(kind) if kind.__doc__ and kind.__doc__ != BaseModel.__doc__ else "")
        yield f"{_line(about or '')}\n"
        yield from _sections(kind, inner or {}, where)


def _model(annotation: Any) -> type[BaseModel] | None:
    return annotation if inspect.isclass(annotation) and issubclass(annotation, BaseModel) else None


def _row(path: str, field: FieldInfo, value: Any) -> str:
    # A table of grids by member is shown on the page about models; here it would fill the page.
    shown = "" if isinstance(value, dict) and len(str(value)) > 120 else _code(value)
    short = path.rpartition(".")[2]
    return f"| `{short}` | {shown} | {_allowed(field)} | {_line(field.description or '')} |"


def _code(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).strip()
    return f"`{_cell(text.removesuffix('...').strip())}`"


def _allowed(field: FieldInfo) -> str:
    limits = [
        f"{word} {getattr(found, name):g}"
        for found in field.metadata
        for kind, (word, name) in BOUNDS.items()
        if type(found) is kind
    ]
    limits += ["not empty" for found in field.metadata if type(found) is MinLen]
    return " ".join([_kind(field.annotation), *limits])


def _kind(annotation: Any) -> str:
    """A type in words."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _kind(inside[0])
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" if value else "empty" for value in inside)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(one) for one in inside)
    if origin is tuple:
        return "list of " + " and ".join(dict.fromkeys(_kind(one) for one in inside if one is not Ellipsis))
    if origin is dict:
        return f"table of {_kind(inside[1])} by name"
    words = {float: "number", int: "integer", str: "text", bool: "`true` or `false`", type(None): "empty"}
    return words.get(annotation, str(getattr(annotation, "__name__", annotation)))


def models() -> str:
    """The registry: a row for each model, as it is stated where the model is written."""
    in_use = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["finetune"]["members"]
    lines = ["| name | what it is | source | cost | how much data | by default |", "|---|---|---|---|---|---|"]
    for name, spec in sorted(registry.models().items()):
        text = " ".join((inspect.getdoc(sys.modules[spec.cls.__module__]) or "").split())
        about = text.partition(". ")[0].rstrip(".") + "."
        cells = [about, spec.paper, spec.cost, spec.ceiling, _yes(name in in_use)]
        lines.append(f"| `{name}` | " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join(lines)


def grids() -> str:
    """Every model's hyper-parameters: what each means, its default, and the values that validation selects from."""
    members = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["finetune"]["members"]
    parts = []
    for name, spec in sorted(registry.models().items()):
        parts.append(f"### {name}\n\n| setting | default | values that are tried | what it is |\n|---|---|---|---|")
        for field, info in spec.config.hyper_fields().items():
            tried = members.get(name, {}).get(field, "–")
            about = _cell(" ".join((info.description or "").split()))
            parts.append(f"| `{field}` | `{info.default:g}` | {tried} | {about} |")
        parts.append("")
    return "\n".join(parts)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def commands() -> str:
    """Every command with its arguments and options, as `--help` has them."""
    if not cli.app.registered_commands or len(cli.app.registered_commands) < 10:
        cli._register()
    group = typer.main.get_command(cli.app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    return "\n".join(line for command in group.commands.values() for line in _command(command))


def _command(command: Any) -> Iterator[str]:
    if command.hidden:
        return
    yield f"## nightreel {command.name}\n\n{_line(inspect.cleandoc(command.help or ''))}\n"
    options = [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]
    if not options:
        return
    yield "| | default | what it does |\n|---|---|---|"
    for one in options:
        argument = one.param_type_name == "argument"
        names = (
            (one.metavar or one.name.upper()).strip("[]") if argument else ", ".join([*one.opts, *one.secondary_opts])
        )
        value = "" if one.default in (None, False, "", ()) or callable(one.default) else f"`{one.default}`"
        value = "required" if one.required else "" if "Sentinel" in value or "UNSET" in value else value
        yield f"| `{names}` | {value} | {_line(getattr(one, 'help', None) or '')} |"
    yield ""


def _line(text: str) -> str:
    return _cell(" ".join(text.split()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


GENERATED: dict[str, Callable[[], str]] = {
    **{f"table-{name}": lambda table=table: as_markdown(table) for name, table in TABLES.items()},  # type: ignore[misc]
    "parameters": parameters,
    "models": models,
    "grids": grids,
    "commands": commands,
}

"""The command `rerank`: a user's list in the order of a language model. It changes nothing that is published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nightreel.cli.options import AsJson, At, Channel, K, Version
from nightreel.cli.versions.releases import print_json, print_lists, row_of
from nightreel.errors import UserError

if TYPE_CHECKING:
    from nightreel.reader.reader import Reader
    from nightreel.settings.understand import Writer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(rerank)


def rerank(
    user: Annotated[str, typer.Argument(metavar="USER", help="A user's id.")],
    k: K = 10,
    top: Annotated[int, typer.Option(min=2, max=200, help="Best items of the blend that the model orders.")] = 50,
    model: Annotated[str, typer.Option(metavar="FOLDER|NAME", help="Instead of understand.writer.model.")] = "",
    endpoint: Annotated[str, typer.Option(metavar="URL", help="Instead of understand.writer.endpoint.")] = "",
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """The best next items for a user, ordered by a language model; the blend's order where its answer is unusable."""
    from nightreel.reader.reader import Reader
    from nightreel.understanding.llm.client import open_model
    from nightreel.understanding.llm.rerank import rerank as ask

    writer = _writer(model, endpoint, top)
    reader = Reader.open(at, channel=channel, version=version)
    listed = reader.recommend(user, k=max(top, k))
    row = int(reader.users.rows([user])[0])
    history = [_line(reader, int(item)) for item in reader.users.histories[row][0]]
    shown = [_line(reader, reader.items.require(each.item_id)) for each in listed[:top]]
    found = ask(open_model(writer), history, shown)
    order = [*found.order, *range(len(shown), len(listed))]
    rows = [row_of(reader, listed[at].item_id, rank, listed[at].score) for rank, at in enumerate(order[:k], 1)]
    if as_json:
        return print_json({"version": reader.digest, "user": user, "recommendations": rows, "not_used": found.fault})
    if found.fault:
        typer.secho(f"the blend's order: the model's answer {found.fault}", fg="yellow", err=True)
    return print_lists(reader, {f"For user {user}, ordered by {Path(writer.model).name}": rows})


def _writer(model: str, endpoint: str, top: int) -> Writer:
    from nightreel.settings import load
    from nightreel.understanding.llm.rerank import TOKENS

    writer = load().understand.writer
    named = {"model": model or writer.model, "endpoint": endpoint or writer.endpoint}
    if not named["model"]:
        raise UserError("No language model is named. Give --model FOLDER, or --model NAME and --endpoint URL.")
    return writer.model_copy(update={**named, "max_tokens": max(writer.max_tokens, TOKENS * top)})


def _line(reader: Reader, item: int) -> str:
    genres = ", ".join(reader.items.genres[item])
    return f"{reader.items.titles[item]} [{genres}]" if genres else str(reader.items.titles[item])

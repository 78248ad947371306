"""`nightreel rerank`: a user's list in the order of a language model. Nothing published is changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nightreel.cli.help_groups import ASK
from nightreel.cli.options import AsJson, At, Channel, K, Version
from nightreel.cli.output import print_json, print_lists, row_of
from nightreel.errors import UserError

if TYPE_CHECKING:
    from nightreel.reader.reader import Reader
    from nightreel.settings.understand import Writer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=ASK)(rerank)


def rerank(
    user: Annotated[str, typer.Argument(metavar="USER", help="A user's id.")],
    k: K = 10,
    top: Annotated[int, typer.Option(min=2, max=200, help="How many of the blend's best items are reordered.")] = 50,
    model: Annotated[
        str, typer.Option(metavar="FOLDER|NAME", help="The language model, instead of understand.writer.model.")
    ] = "",
    endpoint: Annotated[
        str, typer.Option(metavar="URL", help="Its server, instead of understand.writer.endpoint.")
    ] = "",
    at: At = None,
    channel: Channel = "live",
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Let a language model reorder a user's list; keeps the blend's order if its answer is unusable."""
    from nightreel.reader.options import RequestOptions
    from nightreel.reader.reader import Reader
    from nightreel.understanding.llm.client import open_model
    from nightreel.understanding.llm.rerank import rerank as reorder

    writer = _writer(model, endpoint, top)
    reader = Reader.open(at, channel=channel, version=version)
    listed = reader.recommend(user, k=max(top, k), options=RequestOptions(explore=0.0))
    row = int(reader.users.rows([user])[0])
    past = reader.users.histories.row(row)
    history = [_line(reader, int(item)) for item in past.items[past.may_be_named]]
    shown = [_line(reader, reader.items.require(each.item_id)) for each in listed[:top]]
    answer = reorder(open_model(writer), history, shown)
    order = [*answer.order, *range(len(shown), len(listed))]
    rows = [row_of(reader, listed[index].item_id, rank, listed[index].score) for rank, index in enumerate(order[:k], 1)]
    if as_json:
        return print_json({"version": reader.digest, "user": user, "recommendations": rows, "not_used": answer.fault})
    if answer.fault:
        typer.secho(f"shown in the blend's order, because the model's answer {answer.fault}", fg="yellow", err=True)
    return print_lists(reader, {f"For user {user}, ordered by {Path(writer.model).name}": rows})


def _writer(model: str, endpoint: str, top: int) -> Writer:
    from nightreel.settings.params_file import of_checkout
    from nightreel.understanding.llm.rerank import TOKENS

    writer = of_checkout().understand.writer
    named = {"model": model or writer.model, "endpoint": endpoint or writer.endpoint}
    if not named["model"]:
        raise UserError("No language model is set. Give --model FOLDER, or --model NAME and --endpoint URL.")
    return writer.model_copy(update={**named, "max_tokens": max(writer.max_tokens, TOKENS * top)})


def _line(reader: Reader, item: int) -> str:
    genres = ", ".join(reader.items.genres[item])
    return f"{reader.items.titles[item]} [{genres}]" if genres else str(reader.items.titles[item])

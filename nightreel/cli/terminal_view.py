"""A nightly run's terminal output: the stages' progress, then the summary."""

from __future__ import annotations

import time

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nightreel.durations import in_words
from nightreel.orchestration.dvc.stage_run import Outcome
from nightreel.orchestration.summary import Row, RunSummary, SampleUser

SIGNS = {"ran": "[green]✓[/] ran", "cached": "[green]✓[/] from cache", "unchanged": "[dim]· unchanged[/]"}


class TerminalView:
    """Progress listener that prints to a console: each stage's own lines, dimmed, then one line when it is done."""

    def __init__(self, console: Console, width: int) -> None:
        """Take the console, and the length of the longest stage name in characters."""
        self.console = console
        self.width = width
        self.began = time.monotonic()

    def begin(self, stage: str) -> None:
        """Print nothing yet, so that an unchanged stage takes one line and not two."""

    def line(self, stage: str, text: str) -> None:
        """Print a line of a running stage."""
        self.console.print(Text(f"  {stage:<{self.width}} │ {text}", style="dim"), soft_wrap=True, highlight=False)

    def end(self, outcome: Outcome) -> None:
        """Print the line of a finished stage."""
        name = f"[bold]{outcome.stage:<{self.width}}[/]"
        took = f"[dim]{outcome.seconds:6.1f} s[/]" if outcome.how != "unchanged" else ""
        self.console.print(f"  {name} {SIGNS[outcome.how]:<28} {took}", highlight=False)

    def summary(self, summary: RunSummary, next_steps: dict[str, str]) -> None:
        """Print row counts, metrics, decision, version, a sample user's list and the next steps (command → meaning)."""
        parts: list[RenderableType] = []
        if summary.rows:
            parts += [_table("Rows", [dict(row) for row in summary.rows])]
        if summary.metrics:
            title = f"Test metrics @10 · {summary.protocol} · full ranking of the catalogue"
            parts += [
                _table(title, [{name.removesuffix("@10"): v for name, v in row.items()} for row in summary.metrics])
            ]
        if summary.ratings:
            parts += [_table(f"Rating prediction · {summary.protocol}", [dict(row) for row in summary.ratings])]
        if summary.beyond:
            values = ", ".join(_beyond(name.removesuffix("@10"), value) for name, value in summary.beyond.items())
            parts += [Text(f"Beyond accuracy @10, of the evaluated lists: {values}", style="dim")]
        parts += [Text.assemble(("Decision  ", "bold"), summary.sentence or "none"), _version(summary)]
        parts += [Text.assemble(("MLflow    ", "bold"), summary.recorded)]
        if summary.sample:
            parts += [_sample(summary.sample)]
        parts += [_steps(next_steps)]
        for part in parts:
            self.console.print(Padding(part, (1, 0, 0, 2), expand=False), highlight=False)
        self.console.print(f"\n  [dim]{in_words(time.monotonic() - self.began)} in total[/]", highlight=False)


def _beyond(name: str, value: float) -> str:
    """A metric beyond accuracy with its unit."""
    units = {"coverage": "{:.1%}", "novelty": "{:.2f} bits"}
    return f"{name} {units.get(name, '{:.3f}').format(value)}"


def _steps(steps: dict[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, style="dim")
    for command, shows in steps.items():
        table.add_row(command, shows)
    return table


def _version(summary: RunSummary) -> Text:
    digest = f"{summary.digest[:12]}, " if summary.digest else ""
    return Text.assemble(("Version   ", "bold"), f"{digest}{summary.published}")


def _sample(sample: SampleUser) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", title_style="bold")
    table.add_column("#", justify="right")
    table.add_column("title", overflow="fold")
    table.add_column("item id", style="dim", overflow="fold")
    for row in sample.recommendations:
        table.add_row(str(row["rank"]), Text(row["title"]), Text(row["item_id"]))
    liked = f", who last liked {'; '.join(sample.history)}" if sample.history else ""
    return Group(Text.assemble((f"For user {sample.user}", "bold"), liked), table)


def _table(title: str, rows: list[Row]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", title_style="bold")
    for name in rows[0]:
        table.add_column(name, justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(_figure(row.get(name, "")) for name in rows[0]))
    return table


def _figure(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)

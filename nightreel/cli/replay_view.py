"""A replay in a terminal: two lines a night as they come, then the table of all nights and their mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.replay import instants
from nightreel.replay.night import Row, day
from nightreel.replay.night_scores import EASE, POPULARITY, RANKERS, SERVED
from nightreel.replay.paired import Overall
from nightreel.replay.plan import ReplayPlan

NAMES = {SERVED: "nightreel", POPULARITY: "popularity", EASE: "EASE×pop"}
COLOURS = {"promote": "green", "hold": "yellow", "reject": "yellow", "failed": "red"}


class ReplayView:
    """Tells of the nights; to stderr where stdout is for JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self.console = Console(stderr=as_json, highlight=False)

    @contextmanager
    def busy(self, what: str) -> Iterator[Callable[[str], None]]:
        """A line that says what is going on, where there is a terminal; yields a way to say more."""
        with self.console.status(what) as status:
            yield lambda more: status.update(f"{what}: {more}")

    def begin(self, plan: ReplayPlan) -> None:
        """What is going to happen."""
        told, hours = [instants.told(night) for night in plan.nights], plan.step_s / 3600
        step = f"{hours:g} hours" if hours % 24 else "day" if hours == 24 else f"{hours / 24:g} days"
        nights = f"{len(told)} nights, {told[0]} to {told[-1]}, each" if len(told) > 1 else f"1 night, {told[0]},"
        self.console.print(
            f"[bold]nightreel replay[/] {plan.log.source.name}: {nights} judged on the {step} after it, "
            f"in {plan.folder}",
            soft_wrap=True,
        )

    def night(self, row: Row, number: int) -> None:
        """A night that is over."""
        colour = COLOURS.get(row["decision"], "white")
        self.console.print(
            Text.assemble((f"{number:>3} ", "dim"), (day(row["night"]), "bold"), "  ", (verdict(row), colour)),
            Text(f"    {row['reason'] or ''}", style="dim"),
            sep="\n",
            soft_wrap=True,
        )
        figures = ", ".join(f"{NAMES[name]} {figure(row[name])}" for name in RANKERS)
        users = f"{row['users']:,} users ({row['newcomers']:,} newcomers)"
        self.console.print(
            f"    readers get {served(row)}; NDCG@10 of {users}: {figures}; {row['seconds']:.0f} s",
            soft_wrap=True,
        )

    def end(self, plan: ReplayPlan, rows: Sequence[Row], found: Overall | None) -> None:
        """The table, the mean, and where all of it is."""
        table = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            title_justify="left",
            title_style="bold",
            title="NDCG@10 on the step after each night",
        )
        for name in ("night", "verdict", "version"):
            table.add_column(name, no_wrap=True)
        for name in ("users", *NAMES.values(), "s"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            figures = (figure(row[name]) for name in RANKERS)
            version = (row["version"] or "none")[:8]
            table.add_row(
                day(row["night"]), row["decision"], version, f"{row['users']:,}", *figures, f"{row['seconds']:.0f}"
            )
        if found is not None:
            table.add_section()
            means = (figure(found.means[name].point) for name in RANKERS)
            table.add_row(f"mean of {found.nights}", "", "", f"{found.rows:,}", *means, "", style="bold")
        self.console.print(Padding(table, (1, 0, 0, 0)))
        for line in lines(rows, found):
            self.console.print(line, soft_wrap=True)
        self.console.print(f"[dim]{plan.folder}: nights.parquet, judged.parquet, nights/…/log.txt[/]", soft_wrap=True)


def lines(rows: Sequence[Row], found: Overall | None) -> list[str]:
    """What the table comes to, in sentences."""
    told = []
    if found is None:
        told.append("Nothing was published on any night, so there is nothing to compare.")
    else:
        for name, gap in found.differences.items():
            told.append(f"nightreel against {NAMES[name]}: {_gap(gap, found.means[name].point)}")
        told.append(
            f"[dim]Intervals of 95%, paired, {found.users:,} users drawn anew with all their nights; each night counts "
            "alike.[/]"
        )
        for group, whom in (("_known", "users with a history"), ("_newcomers", "newcomers, who had none")):
            means = [(name, _mean([row[f"{name}{group}"] for row in rows if row["version"]])) for name in RANKERS]
            if means[0][1] is not None:
                told.append(f"Of {whom}: " + ", ".join(f"{NAMES[name]} {figure(mean)}" for name, mean in means))
    failed = [day(row["night"]) for row in rows if row["error"]]
    if failed:
        told.append(f"[red]Failed: {', '.join(failed)}[/]; the reason stands above and in the night's log.txt.")
    if len({row["code"] for row in rows}) > 1:
        told.append("[yellow]The code changed between these nights: delete the folder to replay all of them by one.[/]")
    return told


def verdict(row: Row) -> str:
    """A night's decision, what kind of it, and what went out where that is something else."""
    told = f"{row['decision']} ({row['label']})" if row["label"] else str(row["decision"])
    other = row.get("published_label")  # rows of an earlier version of the code have none
    return f"{told}, {other}" if other not in (None, row["label"]) else told


def served(row: Row) -> str:
    """The version that readers get after the night."""
    if row["version"] is None:
        return "nothing"
    since = "this night" if row["since"] == row["night"] else day(row["since"])
    return f"{row['version'][:8]} since {since}"


def figure(value: float | None) -> str:
    """A figure of quality."""
    return "–" if value is None else f"{value:.4f}"


def _gap(gap: Interval, base: float) -> str:
    share = f" ({gap.point / base:+.1%})" if base > 0 else ""
    told = "better" if gap.low > 0 else "worse" if gap.high < 0 else "no difference that can be told from chance"
    return f"{gap.point:+.4f}{share}, 95% {gap.low:+.4f} to {gap.high:+.4f}: {told}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None

"""A replay's terminal output: a few lines for each finished night, then a table of all nights and their mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nightreel.cli.new_items_view import reach_table
from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.segments.item_reach import FIRST
from nightreel.replay import instants
from nightreel.replay.night import day
from nightreel.replay.night_run import Row
from nightreel.replay.night_scores import EASE, FIRST_RECIPE, POPULARITY, RANKERS, SERVED
from nightreel.replay.paired import Overall
from nightreel.replay.plan import ReplayPlan

NAMES = {SERVED: "nightreel", POPULARITY: "popularity", EASE: "EASE×pop", FIRST_RECIPE: "first recipe"}
HEADS = NAMES | {EASE: "EASE\n×pop", FIRST_RECIPE: "first\nrecipe"}  # two lines, so that the table fits 80 columns
COLOURS = {"promote": "green", "hold": "yellow", "reject": "yellow", "failed": "red", "missed": "red"}


class ReplayView:
    """Prints the progress and the results of a replay; to stderr if stdout is for JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self.console = Console(stderr=as_json, highlight=False)

    @contextmanager
    def busy(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show a status line in a terminal; yields a function that adds details to it."""
        with self.console.status(what) as status:
            yield lambda more: status.update(f"{what}: {more}")

    def begin(self, plan: ReplayPlan) -> None:
        """Print which nights will be replayed."""
        times, hours = [instants.format_time(night) for night in plan.nights], plan.step_s / 3600
        step = f"{hours:g} hours" if hours % 24 else "day" if hours == 24 else f"{hours / 24:g} days"
        nights = f"{len(times)} nights, {times[0]} to {times[-1]}, each" if len(times) > 1 else f"1 night, {times[0]},"
        self.console.print(
            f"[bold]nightreel replay[/] {plan.log.source.name}: {nights} scored on the {step} after it, "
            f"in {plan.folder}",
            soft_wrap=True,
        )

    def night(self, row: Row, number: int) -> None:
        """Print the result of a finished night."""
        colour = COLOURS.get(row["decision"], "white")
        self.console.print(
            Text.assemble((f"{number:>3} ", "dim"), (day(row["night"]), "bold"), "  ", (verdict(row), colour)),
            Text(f"    {row['reason'] or ''}", style="dim"),
            sep="\n",
            soft_wrap=True,
        )
        figures = ", ".join(f"{NAMES[name]} {figure(row[name])}" for name in rankers([row]))
        users = f"{row['users']:,} users ({row['newcomers']:,} without a history)"
        self.console.print(
            f"    serving {served(row)}; NDCG@10 over {users}: {figures}; {row['seconds']:.0f} s",
            soft_wrap=True,
        )

        if row.get("troubles"):
            right = ("as expected", "green") if row["as_expected"] else (wrong(row), "red")
            self.console.print(
                Text.assemble(f"    {', '.join(row['troubles'])}: {row['outcome']}, ", right), soft_wrap=True
            )

    def end(self, plan: ReplayPlan, rows: Sequence[Row], found: Overall | None) -> None:
        """Print the table, the means, and where the files are."""
        table = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            padding=(0, 1, 0, 0),
            title_justify="left",
            title_style="bold",
            title="NDCG@10 on the step after each night",
        )
        for name in ("night", "verdict", "version"):
            table.add_column(name, no_wrap=True)
        shown = rankers(rows)
        for name in ("users", *(HEADS[name] for name in shown), "s"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            figures = (figure(row.get(name)) for name in shown)
            version = (row["version"] or "none")[:8]
            table.add_row(
                day(row["night"]), row["decision"], version, f"{row['users']:,}", *figures, f"{row['seconds']:.0f}"
            )
        if found is not None:
            table.add_section()
            means = (figure(found.means[name].point) for name in shown)
            table.add_row(f"mean of {found.nights}", "", "", f"{found.rows:,}", *means, "", style="bold")
        self.console.print(Padding(table, (1, 0, 0, 0)))
        if found is not None and found.new_items:
            self.console.print(Padding(reach_table(found.new_items), (1, 0, 0, 0)))
        for line in lines(rows, found):
            self.console.print(line, soft_wrap=True)
        self.console.print(
            f"[dim]{plan.folder}: nights.parquet, judged.parquet, item_reach.parquet, nights/…/log.txt[/]",
            soft_wrap=True,
        )


def lines(rows: Sequence[Row], found: Overall | None) -> list[str]:
    """The conclusions from the table, in sentences."""
    sentences = []
    if found is None:
        sentences.append("No night published a version, so there is nothing to compare.")
    else:
        for name, gap in found.differences.items():
            sentences.append(f"nightreel against {NAMES[name]}: {_gap(gap, found.means[name].point)}")
        sentences.append(
            f"[dim]Paired 95% intervals, bootstrapped over {found.users:,} users with all their nights; every night "
            "has the same weight.[/]"
        )
        for group, whom in (("_known", "Users with a history"), ("_newcomers", "Users without a history")):
            served_rows = [row for row in rows if row["version"]]
            means = [(name, _mean([row.get(f"{name}{group}") for row in served_rows])) for name in rankers(rows)]
            if means[0][1] is not None:
                sentences.append(f"{whom}: " + ", ".join(f"{NAMES[name]} {figure(mean)}" for name, mean in means))
    sentences += of_the_gate(rows)
    sentences += of_new_items(rows)
    sentences += of_troubles(rows)
    failed = [day(row["night"]) for row in rows if row["error"] and not row.get("as_expected")]
    if failed:
        sentences.append(f"[red]Failed: {', '.join(failed)}[/]; the reason is above and in the night's log.txt.")
    if len({row["code"] for row in rows}) > 1:
        sentences.append(
            "[yellow]The code changed between these nights. Delete the folder to replay all of them with one version "
            "of the code.[/]"
        )
    return sentences


def of_the_gate(rows: Sequence[Row]) -> list[str]:
    """Whether what the nights published was better than what it replaced, on the step after, and whether what they did
    not publish would have been better than what was served; nothing without such nights."""
    sentences = []
    if promoted := [row for row in rows if row.get("gained") is not None]:
        better, worse = _sure(promoted, "gained")
        sentences.append(
            f"Of {len(promoted)} versions that replaced another one, {len(better)} were surely better than it on the "
            f"step after, {len(worse)} surely worse{_named(worse)}; on average {_change(promoted, 'gained')}."
        )
    if held := [row for row in rows if row.get("held_gained") is not None]:
        better, worse = _sure(held, "held_gained")
        sentences.append(
            f"Of {len(held)} candidates that were not published, {len(worse)} were surely worse on the step after than "
            f"what was served, {len(better)} surely better{_named(better)}; on average {_change(held, 'held_gained')}."
        )
    return sentences


def of_new_items(rows: Sequence[Row]) -> list[str]:
    """How new items fared over all nights; nothing where nobody took one."""
    served = [row for row in rows if row.get("new_reached") is not None]
    wanted = sum(row["new_wanted"] for row in served)
    if not wanted:
        return []
    reached, places = sum(row["new_reached"] for row in served), _mean([row["new_places"] for row in served]) or 0.0
    content = [row["new_by_content"] for row in served]
    alone = "" if None in content else f" (by content alone: {sum(content):,})"
    return [
        f"New items, without an event before the night: of {wanted:,} that people took, {reached:,} were among the "
        f"first {FIRST} of their lists{alone}; they had {places:.1%} of these places."
    ]


def verdict(row: Row) -> str:
    """A night's decision and label, and the label of the published version if it differs."""
    decision = f"{row['decision']} ({row['label']})" if row["label"] else str(row["decision"])
    other = row.get("published_label")  # rows of an earlier version of the code have none
    return f"{decision}, {other}" if other not in (None, row["label"]) else decision


def wrong(row: Row) -> str:
    """What is not as the script expects."""
    unnamed = f"; not named: {', '.join(row['unnamed'])}" if row["unnamed"] else ""
    return f"expected {' or '.join(row['expected'])}{unnamed}"


def of_troubles(rows: Sequence[Row]) -> list[str]:
    """The conclusions from a script, in sentences."""
    scripted = [row for row in rows if "as_expected" in row]
    if not scripted:
        return []
    other = [f"{day(row['night'])} ({row['outcome']}, {wrong(row)})" for row in scripted if not row["as_expected"]]
    lost = {name: sum(row[name] for row in scripted) for name in ("lost_rows", "came_back", "lost_versions")}
    return [
        f"[red]Not as expected: {'; '.join(other)}[/]" if other else "Every night was as the script expects.",
        f"Silent: {sum(row['silent'] for row in scripted)} nights. Lost: {lost['lost_rows']} rows, {lost['came_back']} "
        f"withdrawn items or users that came back, {lost['lost_versions']} versions.",
    ]


def served(row: Row) -> str:
    """The version that is served after the night, and since when."""
    if row["version"] is None:
        return "nothing"
    since = "this night" if row["since"] == row["night"] else day(row["since"])
    return f"{row['version'][:8]} since {since}"


def figure(value: float | None) -> str:
    """A metric's value as text; a dash for None."""
    return "–" if value is None else f"{value:.4f}"


def rankers(rows: Sequence[Row]) -> list[str]:
    """Those of RANKERS that these nights have."""
    return [name for name in RANKERS if any(name in row for row in rows)]


def _sure(rows: Sequence[Row], field: str) -> tuple[list[str], list[str]]:
    """The nights on which a paired difference is surely above 0, and those on which it is surely below."""
    above = [day(row["night"]) for row in rows if row[f"{field}_low"] > 0]
    return above, [day(row["night"]) for row in rows if row[f"{field}_high"] < 0]


def _named(nights: Sequence[str]) -> str:
    return f" ({', '.join(nights)})" if nights else ""


def _change(rows: Sequence[Row], field: str) -> str:
    return f"NDCG@10 {_mean([row[field] for row in rows]) or 0.0:+.4f}"


def _gap(gap: Interval, base: float) -> str:
    share = f" ({gap.point / base:+.1%})" if base > 0 else ""
    result = "better" if gap.low > 0 else "worse" if gap.high < 0 else "no significant difference"
    return f"{gap.point:+.4f}{share}, 95% {gap.low:+.4f} to {gap.high:+.4f}: {result}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None

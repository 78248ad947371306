"""Deployed flows on past nights: replay judges them, backfill publishes them into a channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from pydantic import Field

from flows.beginning import reported
from nightreel.errors import UserError
from nightreel.orchestration.project import Project
from nightreel.replay import series
from nightreel.replay.night import day
from nightreel.replay.night_run import Row
from nightreel.replay.paired import Overall
from nightreel.replay.plan import ReplayOptions, ReplayPlan

Nights = Annotated[int, Field(ge=1, le=1000)]


@flow(name="replay", persist_result=False)
def replay(
    source: str,
    nights: Nights = 7,
    step: str = "1d",
    first: str = "",
    settings: list[str] = [],  # noqa: B006
    first_recipe: bool = False,
    held_candidates: bool = False,
) -> State[None]:
    """Run past nights of a log, and judge each by what users did next. Nothing that is served changes.

    If the run is stopped, another one with the same fields goes on with the next unfinished night.

    Args:
        source: Folder or s3:// prefix with items.* and events.*, whose timestamps are times.
        nights: Number of nights.
        step: Time from one night to the next: 12h, 1d, 7d, 30d.
        first: Time of the first night, in UTC. Empty: as late as possible.
        settings: Settings of every night that differ from params.yaml, one `section.field=value` per entry.
        first_recipe: Also train the first version's choices every night, and judge them; costs about a refit a night.
        held_candidates: Also train and judge candidates that were held or rejected.
    """
    options = ReplayOptions(
        source,
        nights,
        step,
        first.strip() or None,
        None,
        settings,
        first_recipe=first_recipe,
        held_candidates=held_candidates,
    )
    return reported(lambda project: _replayed(project, options))


@flow(name="backfill", persist_result=False)
def backfill(
    source: str,
    channel: str,
    nights: Nights = 7,
    step: str = "1d",
    first: str = "",
    settings: list[str] = [],  # noqa: B006
    into_live: bool = False,
) -> State[None]:
    """Run past nights of a log, and publish each into a channel of the store that is served.

    If the run is stopped, another one with the same fields goes on with the next unfinished night.

    Args:
        source: Folder or s3:// prefix with items.* and events.*, whose timestamps are times.
        channel: A channel that is not in use, such as backfill.
        nights: Number of nights.
        step: Time from one night to the next: 12h, 1d, 7d, 30d.
        first: Time of the first night, in UTC. Empty: as late as possible.
        settings: Settings of every night that differ from params.yaml, one `section.field=value` per entry.
        into_live: Let the channel be `live`, and replace what users are served.
    """
    options = ReplayOptions(
        source, nights, step, first.strip() or None, None, settings, publish=channel.strip(), into_live=into_live
    )
    return reported(lambda project: _replayed(project, options))


def _replayed(project: Project, options: ReplayOptions) -> str:
    done = series.run(options, _Log(), _this_server)
    nights = [f"{day(row['night'])}: {row['outcome']}, {row['reason'] or row['error'] or ''}" for row in done.rows]
    means = done.overall.means if done.overall else {}
    figures = ", ".join(f"{name} {mean.point:.4f}" for name, mean in means.items())
    told = "\n".join([f"{len(done.rows)} nights, NDCG@10: {figures or 'none'}", *nights, f"files: {done.folder}"])
    if done.wrong:
        raise UserError(f"{len(done.wrong)} of {told}")
    return told


def _this_server(place: Project) -> AbstractContextManager[Callable[[], None]]:
    """The nights are runs of the server that this flow belongs to."""
    return nullcontext(lambda: None)


class _Log:
    """Writes what happens into the run's log."""

    @contextmanager
    def busy(self, what: str) -> Iterator[Callable[[str], None]]:
        """Log what begins."""
        log = get_run_logger()
        log.info(what)
        yield lambda more: log.info("%s: %s", what, more)

    def begin(self, plan: ReplayPlan) -> None:
        """Log where the files are."""
        get_run_logger().info("%d nights, in %s", len(plan.nights), plan.folder)

    def night(self, row: Row, number: int) -> None:
        """Log what came of a night."""
        get_run_logger().info("night %d, %s: %s. %s", number, day(row["night"]), row["outcome"], row["reason"])

    def end(self, plan: ReplayPlan, rows: Sequence[Row], found: Overall | None) -> None:
        """Everything was logged."""

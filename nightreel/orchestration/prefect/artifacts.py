"""A night on Prefect's pages: a progress bar while it runs, then a metrics table and a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from nightreel.orchestration.dvc.stage_run import Outcome
from nightreel.orchestration.summary import RunSummary


class ProgressArtifacts:
    """Follows a night: stage output into the task's log, stages done into a progress artifact."""

    def __init__(self, stages: Sequence[str]) -> None:
        self.stages = list(stages)
        self.done = 0
        self.bar = cast("UUID", create_progress_artifact(progress=0.0, key="progress", description="Stages done"))

    def begin(self, stage: str) -> None:
        """Say which stage is under way."""
        self._tell(f"{stage} is under way")

    def line(self, stage: str, text: str) -> None:
        """Into the log of the task that runs."""
        get_run_logger().info(text)

    def end(self, outcome: Outcome) -> None:
        """Count it."""
        self.done += 1
        self._tell(f"{outcome.stage}: {outcome.how}")
        get_run_logger().info("%s: %s, %.1f s", outcome.stage, outcome.how, outcome.seconds)

    def _tell(self, what: str) -> None:
        share = 100.0 * self.done / len(self.stages)
        update_progress_artifact(self.bar, share, description=f"{self.done} of {len(self.stages)} stages done; {what}")


def publish(summary: RunSummary) -> None:
    """The metrics table and the summary of a night that ended well."""
    table = [{name: _figure(value) for name, value in row.items()} for row in summary.metrics]
    create_table_artifact(table=table, key="metrics", description=f"Models on the gate split ({summary.protocol})")
    create_markdown_artifact(markdown=markdown(summary), key="summary", description=headline(summary))


def publish_failure(error: BaseException, still: str = "") -> None:
    """The summary of a night that did not. still: what is served, and what was withdrawn."""
    text = f"```\n{error}\n```\n\n{still or 'What was published before is still live.'}"
    create_markdown_artifact(markdown=text, key="summary", description="Failed")


def headline(summary: RunSummary) -> str:
    """Decision and version in a line."""
    return f"{summary.decision or 'no decision'} · {summary.digest[:12] if summary.digest else 'no version'}"


def markdown(summary: RunSummary) -> str:
    """The summary as Markdown: decision, version, sample, accounting, stages."""
    parts = [f"**Decision:** {_cell(summary.sentence)}", f"**Version:** {_version(summary)}"]
    parts += [f"**Record:** {_cell(summary.recorded)}"]
    if summary.pages:
        parts += ["**Pages:** " + ", ".join(f"[{name}]({address})" for name, address in summary.pages.items())]
    if summary.sample:
        shown = [[row["rank"], row["title"], row["item_id"]] for row in summary.sample.recommendations]
        liked = ", ".join(f"*{_cell(title)}*" for title in summary.sample.history)
        parts += ["## What a user would be shown", _table(["#", "title", "item"], shown)]
        parts += [f"User `{summary.sample.user}`, who last took to {liked}."]
    if summary.rows:
        names = list(summary.rows[0])
        parts += ["## Rows", _table(names, [[row.get(name, "") for name in names] for row in summary.rows])]
    stages = [[o.stage, o.how, f"{o.seconds:.1f} s"] for o in summary.outcomes]
    return "\n\n".join([*parts, "## Stages", _table(["stage", "outcome", "time"], stages)])


def _version(summary: RunSummary) -> str:
    return f"`{summary.digest}`, {summary.published}" if summary.digest else summary.published


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: Any) -> str:
    """Text that can't break a Markdown table."""
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _figure(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value

"""Prefect artifacts of a run: a progress bar while it runs, then a metrics table and a summary."""

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

from nightreel.markdown_text import fenced, on_one_line
from nightreel.orchestration.dvc.stage_run import Outcome
from nightreel.orchestration.summary import RunSummary


class ProgressArtifacts:
    """Progress listener: writes stage output to the task's log and the number of finished stages to an artifact."""

    def __init__(self, stages: Sequence[str]) -> None:
        self.stages = list(stages)
        self.done = 0
        self.bar = cast("UUID", create_progress_artifact(progress=0.0, key="progress", description="Stages completed"))

    def begin(self, stage: str) -> None:
        """Show which stage is running."""
        self._update(f"{stage} is running")

    def line(self, stage: str, text: str) -> None:
        """Write a line to the log of the running task."""
        get_run_logger().info(text)

    def end(self, outcome: Outcome) -> None:
        """Count a finished stage."""
        self.done += 1
        self._update(f"{outcome.stage}: {outcome.how}")
        get_run_logger().info("%s: %s, %.1f s", outcome.stage, outcome.how, outcome.seconds)

    def _update(self, what: str) -> None:
        share, total = 100.0 * self.done / len(self.stages), len(self.stages)
        update_progress_artifact(self.bar, share, description=f"{self.done} of {total} stages completed; {what}")


def publish(summary: RunSummary) -> None:
    """Publish the metrics table and the summary of a successful run."""
    table = [{name: _figure(value) for name, value in row.items()} for row in summary.metrics]
    create_table_artifact(table=table, key="metrics", description=f"Test metrics @10 ({summary.protocol})")
    create_markdown_artifact(markdown=markdown(summary), key="summary", description=headline(summary))


def publish_failure(error: BaseException, still: str = "") -> None:
    """Publish the summary of a failed run. still: what is served, and what was withdrawn."""
    text = f"{fenced(str(error))}\n\n{still or 'The version published before is still live.'}"
    create_markdown_artifact(markdown=text, key="summary", description="Failed")


def headline(summary: RunSummary) -> str:
    """Decision and version in one line."""
    return f"{summary.decision or 'no decision'} · {summary.digest[:12] if summary.digest else 'no version'}"


def markdown(summary: RunSummary) -> str:
    """The summary as Markdown: decision, version, sample user, row counts, stages."""
    parts = [f"**Decision:** {_cell(summary.sentence)}", f"**Version:** {_version(summary)}"]
    parts += [f"**MLflow:** {_cell(summary.recorded)}"]
    if summary.pages:
        parts += ["**Pages:** " + ", ".join(f"[{name}]({address})" for name, address in summary.pages.items())]
    if summary.sample:
        shown = [[row["rank"], row["title"], row["item_id"]] for row in summary.sample.recommendations]
        liked = ", ".join(f"*{_cell(title)}*" for title in summary.sample.history)
        parts += ["## Recommendations for a sample user", _table(["#", "title", "item"], shown)]
        parts += [f"User `{summary.sample.user}`{f', who last liked {liked}' if liked else ''}."]
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
    return on_one_line(f"{value:,}" if isinstance(value, int) else value)


def _figure(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value

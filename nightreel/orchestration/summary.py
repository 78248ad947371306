"""The summary of a run, read from its stages' files: the same for the terminal and for Prefect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.orchestration.dvc.stage_run import Outcome
from nightreel.orchestration.live_version import channel_of, served, withdrawn
from nightreel.orchestration.pages import pages
from nightreel.orchestration.project import Project
from nightreel.stage import read_object
from nightreel.tracking import outcome

COLUMNS = ("ndcg@10", "recall@10", "hit_rate@10", "mrr@10", "map@10")
BEYOND = ("coverage@10", "novelty@10", "diversity@10")
COUNTS = ("in", "clean", "quarantined", "erased")
SHOWN = 5  # titles of the sample's history
Row = dict[str, Any]


@dataclass(frozen=True)
class SampleUser:
    """A user, the items they last liked, and their recommendations."""

    user: str
    pseudonym: bool
    history: tuple[str, ...]
    """Titles, newest first."""
    recommendations: tuple[Row, ...]
    """rank, item_id, title."""


@dataclass(frozen=True)
class RunSummary:
    """Row counts, metrics, the decision, the version and a sample user."""

    outcomes: tuple[Outcome, ...]
    rows: tuple[Row, ...]
    """table and its COUNTS."""
    protocol: str
    metrics: tuple[Row, ...]
    """model, the COLUMNS, the first one's 95% interval; best first."""
    ratings: tuple[Row, ...]
    """Model, RMSE with its 95% interval, and MAE of predicted ratings, on the same protocol; empty if not measured."""
    beyond: Row
    """Coverage, novelty and diversity of the served model."""
    decision: str
    sentence: str
    digest: str | None
    published: str
    """What happened to the version, in words."""
    recorded: str
    """The run in MLflow, or why it is not recorded there."""
    sample: SampleUser | None
    pages: Mapping[str, str]
    """Name → address of the run's pages."""

    def as_json(self) -> Row:
        """Plain values, for --json."""
        return {
            "stages": {o.stage: {"outcome": o.how, "seconds": round(o.seconds, 2)} for o in self.outcomes},
            "rows": list(self.rows),
            "protocol": self.protocol,
            "metrics": list(self.metrics),
            "ratings": list(self.ratings),
            "beyond": self.beyond,
            "decision": self.decision,
            "sentence": self.sentence,
            "digest": self.digest,
            "published": self.published,
            "recorded": self.recorded,
            "sample": self.sample
            and {
                "user": self.sample.user,
                "history": list(self.sample.history),
                "recommendations": list(self.sample.recommendations),
            },
            "pages": dict(self.pages),
        }


def summarise(project: Project, outcomes: Sequence[Outcome], k: int, began: float = 0.0) -> RunSummary:
    """Read the summary from the stages' files; what a stage did not write is left empty.

    Args:
        project: Where the run took place.
        outcomes: Of its stages.
        k: Number of recommendations for the sample user.
        began: When the run began, in epoch seconds.
    """
    data = project.root / "data"
    verdict, receipt = read_object(data / "evaluate" / "verdict.json"), read_object(data / "publish" / "receipt.json")
    served = read_object(project.root / "metrics" / "evaluate.json").get("gate", {})
    digest = receipt.get("digest")
    return RunSummary(
        outcomes=tuple(outcomes),
        rows=_rows(read_object(data / "validate" / "report.json")),
        protocol=str(verdict.get("gate", "")),
        metrics=_metrics(verdict.get("intervals", {})),
        ratings=_ratings(read_object(data / "evaluate" / "report.json"), str(verdict.get("gate", ""))),
        beyond={name: served[name] for name in BEYOND if name in served},
        decision=str(verdict.get("decision", "")),
        sentence=str(verdict.get("sentence", "")),
        digest=digest,
        published="; ".join(filter(None, [_published(receipt), _beside(project, receipt, began)])),
        recorded=outcome.of(project.state, str(read_object(data / "snapshot" / "recipe.json").get("recipe", ""))),
        sample=_sample(data / "refit" / "bundle", receipt, k) if receipt else None,
        pages=pages(project),
    )


def _rows(report: Row) -> tuple[Row, ...]:
    tables = ((name, found) for name, found in report.get("tables", {}).items() if found["in"])
    return tuple({"table": name, **{part: found[part] for part in COUNTS}} for name, found in tables)


def _metrics(intervals: Row) -> tuple[Row, ...]:
    """A row per model from model → metric → [point, low, high]."""
    rows = []
    for model, found in intervals.items():
        points = {name: round(found[name][0], 6) for name in COLUMNS if name in found}
        _, low, high = found[COLUMNS[0]]
        first = {COLUMNS[0]: points.pop(COLUMNS[0]), "95%": f"{low:.3f}–{high:.3f}"}
        rows.append({"model": model} | first | points)
    return tuple(sorted(rows, key=lambda row: -float(row[COLUMNS[0]])))


def _ratings(report: Row, protocol: str) -> tuple[Row, ...]:
    models = report.get("ratings", {}).get(protocol, {}).get("models", {})
    if not models:
        return ()
    from nightreel.models.factorization.rating_model import SHOWN  # numpy is not needed otherwise

    rows = []
    for model, found in models.items():
        rmse, mae = found["rmse"], found["mae"]["point"]
        rows.append(
            {
                "predicted by": SHOWN[model],
                "RMSE": rmse["point"],
                "95%": f"{rmse['low']:.3f}–{rmse['high']:.3f}",
                "MAE": mae,
            }
        )
    return tuple(sorted(rows, key=lambda row: float(row["RMSE"])))


def _published(receipt: Row) -> str:
    if not receipt:
        return "nothing was published"
    if receipt.get("published"):
        again = ": the previous version's models, refitted on tonight's log" if receipt["label"] == "refreshed" else ""
        return f"{receipt['label']}, live on channel {receipt.get('channel')}{again}"
    return (
        "built but not published (dry run)" if receipt.get("dry_run") else f"nothing published: {receipt.get('reason')}"
    )


def _beside(project: Project, receipt: Row, began: float) -> str:
    """What was withdrawn tonight and, if nothing was published, what is still served."""
    if receipt.get("published"):
        return withdrawn(project, began)
    return served(project, str(receipt.get("channel") or channel_of(project)), began)


def _sample(bundle: Path, receipt: Row, k: int) -> SampleUser | None:
    """A user with a history of median length, and k recommendations from this run's version.

    From the live version, or from the bundle itself after a dry run; None if there is no version.
    """
    from nightreel.reader.options import RequestOptions
    from nightreel.reader.reader import Reader
    from nightreel.store.backends.base import StoreError

    try:
        trial = bool(receipt.get("dry_run")) and (bundle / "manifest.json").exists()
        reader = Reader.open_bundle(bundle, check=False) if trial else Reader.open(channel=str(receipt.get("channel")))
    except StoreError:
        return None
    ids, histories = reader.users.ids, reader.histories
    lengths = histories.lengths[: len(ids)]
    if not lengths.any():
        return None
    row = int(abs(lengths - sorted(lengths[lengths > 0])[(lengths > 0).sum() // 2]).argmin())
    user, past = str(ids[row]), histories.row(row)
    # Pseudonymised users can't be requested by id, so the history is used instead.
    known = {"history": [reader.items.ids[i] for i in past.items]} if reader.config["pseudonymised"] else {"user": user}
    liked = past.items[past.may_be_named][::-1]
    return SampleUser(
        user=user,
        pseudonym=bool(reader.config["pseudonymised"]),
        history=tuple(reader.items.titles[i] for i in liked if not reader.standing().hidden[i])[:SHOWN],
        recommendations=tuple(
            {"rank": found.rank, "item_id": found.item_id, "title": found.title}
            for found in reader.recommend(k=k, options=RequestOptions(explore=0.0), **known)
        ),
    )

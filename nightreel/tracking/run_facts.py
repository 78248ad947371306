"""Collects the facts of a run from its files, for `record`."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from nightreel.bundle.format import MANIFEST, digest_of
from nightreel.settings.params_file import Settings
from nightreel.stage import read_json
from nightreel.tracking.dvc_lock import Lock, Points, curves, flat, numbers
from nightreel.tracking.facts import Facts, StageFacts, Version

DATA, METRICS = Path("data"), Path("metrics")
ARTIFACTS = (
    ("params.yaml", "run"),
    ("dvc.lock", "run"),
    ("data/snapshot/source.json", "snapshot"),
    ("data/validate/report.md", "validate"),
    ("data/validate/report.json", "validate"),
    ("data/understand/understand.json", "understand"),
    ("data/finetune/choices.json", "finetune"),
    ("data/finetune/plots", "finetune/plots"),
    ("data/evaluate/verdict.json", "evaluate"),
    ("data/evaluate/decision.json", "evaluate"),
    ("data/evaluate/report.json", "evaluate"),
    ("data/evaluate/cold_start.json", "evaluate"),
    ("data/evaluate/drift.json", "evaluate"),
    ("data/evaluate/logs.json", "evaluate"),
    ("data/evaluate/card.md", "evaluate"),
    ("data/evaluate/card.json", "evaluate"),
    ("data/evaluate/plots", "evaluate/plots"),
    ("data/publish/receipt.json", "publish"),
)


def common_facts(
    settings: Settings,
    lock: Lock,
    recipe: str,
    tags: dict[str, str],
    stages: tuple[StageFacts, ...],
    points: Points,
    version: Version | None,
    live: str | None,
) -> Facts:
    """The facts that every run is recorded with: parameters, dataset hashes and the existing files."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    tags |= {"nightreel.lock": lock.fingerprint, "nightreel.dry_run": str(settings.publish.dry_run).lower()}
    if head.returncode == 0:
        tags["mlflow.source.git.commit"] = head.stdout.strip()
    done = {stage.name for stage in stages if not stage.failed}
    chosen = lock.values.keys() - {"publish", "record"}  # not part of the recipe, so they may differ within one run
    wanted = [(Path(path), folder) for path, folder in ARTIFACTS if folder == "run" or folder.split("/")[0] in done]
    return Facts(
        experiment=settings.record.experiment,
        recipe=recipe,
        tags=tags,
        params=flat({name: lock.values[name] for name in lock.values if name in chosen}),
        points=points,
        stages=stages,
        datasets={p: md5 for s in stages if s.name in ("snapshot", "validate") for p, md5 in s.outs.items()},
        artifacts=tuple((path, folder) for path, folder in wanted if path.exists()),
        version=version,
        live=live,
        ended=int(time.time() * 1000),
    )


def stage_facts(state: Path, lock: Lock, name: str, *, failed: bool) -> StageFacts:
    """The facts of a stage from the lock, metrics, plots and notes; for a failed one, only its name."""
    notes = [state / "notes" / f"{name}{kind}.json" for kind in ("", ".cost")]
    key, deps, outs = lock.stages[name] if name in lock.stages and not failed else ("", {}, {})
    plots = () if failed else sorted((DATA / name / "plots").glob("*.csv"))
    points = () if failed else numbers(METRICS / f"{name}.json", "")
    return StageFacts(
        name=name,
        key=key,
        deps=deps,
        outs=outs,
        points=points + tuple(point for path in plots for point in curves(path)),
        notes={k: v for note in notes if note.exists() and not failed for k, v in read_json(note).items()},
        failed=failed,
    )


def bundle_version(live: str | None) -> Version | None:
    """The final bundle or, if evaluate or refit held it, the candidate."""
    final = DATA / "refit" / "bundle"
    folder = final if (final / MANIFEST).exists() else DATA / "finetune" / "candidate"
    if not (folder / MANIFEST).exists():
        return None
    digest = digest_of(folder)
    return Version(digest, folder, None if digest == live else "challenger")

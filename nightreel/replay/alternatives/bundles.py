"""What a replayed night might have published instead, trained on its log so that it can be judged on the same step.

The first recipe: the recorded choices (hyper-parameters and ranker) of the first published version, trained anew every
night, as a held night refreshes the live version. If every promotion was worth it, what is served is better by and by;
a chain of promotions that each lost a little falls below it.

The held candidate: on a night that published the live version's choices, or nothing, what a promotion would have
published.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from nightreel.errors import UserError
from nightreel.models.training.selected_params import SelectedParams
from nightreel.orchestration.dvc.stage_run import StageEnvironment, run_directly
from nightreel.orchestration.project import Project
from nightreel.reader.reader import Reader
from nightreel.replay.night_run import Diary, Row
from nightreel.replay.night_scores import FIRST_RECIPE, HELD
from nightreel.replay.plan import ReplayPlan

PROGRAM = "nightreel.replay.alternatives.training"
NAMES = {FIRST_RECIPE: "first recipe", HELD: "candidate"}
"""In the night's log."""


@dataclass(frozen=True)
class Alternatives:
    """The alternatives of one night.

    Attributes:
        plan: The replay, which says which of them are wanted.
        lock: File descriptor of the run lock.
    """

    plan: ReplayPlan
    lock: int

    @property
    def folder(self) -> Path:
        """Where their bundles are: the first recipe's of the last night that trained it, the candidate's of tonight."""
        return self.plan.folder / "alternatives"

    def forget_candidate(self) -> None:
        """Remove the candidate of the night before."""
        shutil.rmtree(self.folder / HELD, ignore_errors=True)

    def train(self, copy: Project, row: Row, diary: Diary) -> None:
        """Train what is wanted, after a night's stages.

        Args:
            copy: The worktree in which they ran.
            row: `decision` and `published` of the night.
            diary: For the output.

        Raises:
            UserError: The training failed, or this release can't train the first version's choices.
        """
        shipped = copy.root / "data" / "refit" / "bundle" if row["published"] else None
        if self.plan.first_recipe:
            self._train_first_recipe(copy, shipped, diary)
        if self.plan.held_candidates and (row["decision"] != "promote" or not row["published"]):
            self._run(copy, HELD, diary)

    def readers(self, served: Reader | None) -> dict[str, Reader]:
        """The alternatives by name, under the withdrawals of what is served; before the first recipe was trained, what
        is served stands for it. Empty if nothing is served."""
        if served is None:
            return {}
        found = {
            name: Reader.open_bundle(self.folder / name, check=False).under(served.withdrawals)
            for name in (FIRST_RECIPE, HELD)
            if (self.folder / name).exists()
        }
        return {FIRST_RECIPE: served, **found} if self.plan.first_recipe else found

    def _train_first_recipe(self, copy: Project, shipped: Path | None, diary: Diary) -> None:
        choices = self.folder / "first_choices"
        if not choices.exists():
            if shipped is None:
                return
            _recorded(shipped / "rehearsal").write(choices)
        if shipped is not None and _recorded(shipped / "rehearsal") == _recorded(choices):
            diary.line(NAMES[FIRST_RECIPE], "is what the night published: nothing to train")
            shutil.copytree(shipped, self._empty(FIRST_RECIPE))
            self._keep(FIRST_RECIPE)
        else:
            self._run(copy, FIRST_RECIPE, diary, choices)

    def _run(self, copy: Project, name: str, diary: Diary, *choices: Path) -> None:
        diary.progress(f"training the {NAMES[name]}")
        words = [sys.executable, "-m", PROGRAM, str(self._empty(name)), *map(str, choices)]
        place = StageEnvironment(copy.root, copy.environment(), self.lock)
        if run_directly(shlex.join(words), place, lambda text: diary.line(NAMES[name], text)):
            raise UserError(
                f"{diary.file.name}: the {NAMES[name]} could not be trained beside the night; the last lines say why. "
                "The same command goes on with this night; without the option, it needs another --state."
            )
        self._keep(name)

    def _empty(self, name: str) -> Path:
        """A folder to write a bundle to; it does not exist yet."""
        working = self.folder / f".{name}.partial"
        shutil.rmtree(working, ignore_errors=True)
        working.parent.mkdir(parents=True, exist_ok=True)
        return working

    def _keep(self, name: str) -> None:
        """Put the complete bundle in place of the one before."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / f".{name}.partial").rename(self.folder / name)


def _recorded(folder: Path) -> SelectedParams:
    """The choices in a folder.

    Raises:
        UserError: There are none that this release can read.
    """
    try:
        return SelectedParams.read(folder)
    except (FileNotFoundError, ValidationError):
        raise UserError(
            f"{folder}: the first version records no choices that this release can train. Leave --first-recipe out, "
            "and give another --state."
        ) from None

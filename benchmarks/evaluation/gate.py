"""Error rates of the gate: planted regressions that it must stop, and A/A pairs that it must let pass.

    python -m benchmarks.evaluation.gate                                   # 100 of each for every number of users
    python -m benchmarks.evaluation.gate --repeats 20 --users 1000,20000

benchmarks.evaluation.planted_regressions makes the users and the models; every repeat samples new users. Planted:

    A/A                   the same model, trained with another seed
    5% loss               each hit is lost with probability 0.05
    broken slice          one language of five (a tenth of the users) loses a fifth of its hits; all others gain as much
    popularity collapse   all hits stay, but all other positions have the same ten items: accuracy can't detect it
    leaked seen items     in one list of a hundred the last position has a seen item
    NaN scores            one list of a thousand has a score that is not a number
    stale data            the data end three days before the champion's

The decision is made by nightreel.evaluation.gate.gate.decide with the rules of params.yaml, as in `evaluate`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.evaluation.planted_regressions import ITEMS, NOW, PLANTS, K, Night, Plant, lists, ranks, world
from nightreel.evaluation.champion import Champion, Comparison
from nightreel.evaluation.gate.gate import Gate, GateEvidence, decide
from nightreel.evaluation.gate.verdict import CHAMPION_RULE, Verdict
from nightreel.evaluation.list_checks import Hidden, faults
from nightreel.evaluation.metrics.ranking import per_user
from nightreel.evaluation.model_scores import GATE_METRIC, ModelScores
from nightreel.models.training.selected_params import SelectedParams
from nightreel.settings.params_file import load

USERS = (100, 300, 1000, 3000, 10_000, 20_000)
LEAST_STOPPED, MOST_SAME, SAME = 0.99, 0.10, "A/A"


@dataclass(frozen=True)
class Tally:
    """A plant's verdicts at one number of users: how often each; and of the champion's rule, the users that it said it
    would need (where it could not tell), and the least loss that it would have found."""

    labels: Counter[str] = field(default_factory=Counter)
    needed: list[int] = field(default_factory=list)
    detectable: list[float] = field(default_factory=list)

    def add(self, found: Verdict) -> None:
        """One more verdict."""
        self.labels[f"{found.decision}: {found.label}"] += 1
        rule = next(rule for rule in found.rules if rule.name == CHAMPION_RULE)
        self.needed.extend([rule.users_needed] if rule.users_needed else [])
        self.detectable.extend([rule.detectable] if rule.detectable is not None else [])

    @property
    def stopped(self) -> float:
        """Of all verdicts, those that don't promote."""
        return 1.0 - self.share("promote")

    def share(self, word: str) -> float:
        """Of all verdicts, those that hold a word."""
        return sum(count for label, count in self.labels.items() if word in label) / max(self.labels.total(), 1)


Tallies = dict[str, Tally]


CHOICES = SelectedParams(
    members={}, blend="fusion", columns=(), cutoff=K, shortlist=K, half_life_days=(), buckets=1, encoder="base",
    moment="last_event",
)  # fmt: skip
IDS = tuple(str(item) for item in range(ITEMS))
CHAMPION = Champion("c" * 64, {"clock": "time", "data_until": NOW}, IDS, "films", CHOICES, None)


def verdict(gate: Gate, plant: Plant, n: int, agreement: float, rng: np.random.Generator) -> Verdict:
    """One challenger, with a regression planted in it, against a champion of the same model and another seed."""
    asked = world(n, rng)
    theirs, rank = lists(asked, ranks(asked, agreement, rng)), ranks(asked, agreement, rng)
    night = plant(asked, rank, Night(lists(asked, rank), np.ones(n, bool), NOW), rng)
    popular = lists(asked, ranks(asked, agreement, rng, worse=0.6))
    found = {
        name: per_user(each, asked.trial.truth, [K]) for name, each in (("blend", night.lists), ("popularity", popular))
    }
    open_to_all = Hidden(np.zeros(ITEMS, bool))
    scores = ModelScores(
        users=asked.trial.users, folds=["fold"] * n, values=found, lists={"blend": night.lists}, beyond_accuracy={},
        faults={"blend": faults(asked.trial, night.lists, night.sound, open_to_all)}, cold=0,
    )  # fmt: skip
    evidence = GateEvidence(
        scores, asked.slices, [], night.data_until, "time", "d" * 64, IDS, "films", "lists ranked by the blend"
    )
    own, champion = found["blend"][GATE_METRIC], per_user(theirs, asked.trial.truth, [K])[GATE_METRIC]
    fair = Comparison("c", asked.trial.users, asked.trial.users, own, champion, theirs)
    return decide(gate, evidence, CHAMPION, blocked=False, compare=lambda _: fair).verdict


def main() -> None:
    """Run every plant at every number of users, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--users", type=lambda text: tuple(map(int, text.split(","))), default=USERS)
    parser.add_argument("--agreement", type=float, default=0.9, help="correlation of t between two seeds")
    asked = parser.parse_args()
    settings = load()
    gate = Gate(settings.evaluate, settings.finetune.seed)
    counts = {n: tally(gate, n, asked.repeats, asked.agreement) for n in asked.users}
    console = Console(width=120)
    for n, tallies in counts.items():
        console.print(details(n, tallies, asked.repeats))
    console.print(curve(counts))


def tally(gate: Gate, n: int, repeats: int, agreement: float) -> Tallies:
    """Each plant's verdicts at n users."""
    tallies = {name: Tally() for name in PLANTS}
    for repeat in range(repeats):
        for number, (name, plant) in enumerate(PLANTS.items()):
            tallies[name].add(verdict(gate, plant, n, agreement, np.random.default_rng([repeat, number, n])))
    return tallies


def details(n: int, tallies: Tallies, repeats: int) -> Table:
    """What was decided at n users, and why; the bars are for 20,000."""
    table = Table(title=f"{n:,} test users, {repeats} of each", title_justify="left")
    for column in ("planted", "stopped", "bar", "met", "verdicts"):
        table.add_column(column, justify="right" if column == "stopped" else "left")
    for name, own in tallies.items():
        stopped, same = own.stopped, name == SAME
        met = stopped <= MOST_SAME if same else stopped >= LEAST_STOPPED
        bar = f"at most {MOST_SAME:.0%}" if same else f"at least {LEAST_STOPPED:.0%}"
        shown = (bar, "yes" if met else "NO") if n >= USERS[-1] else ("", "")
        table.add_row(
            name, f"{stopped:.0%}", *shown, ", ".join(f"{what} {many}" for what, many in own.labels.most_common())
        )
    return table


def curve(counts: dict[int, Tallies]) -> Table:
    """Both rates by number of users, how often the gate said that it could not tell, and what it would have needed."""
    table = Table(title="Stopped, by number of test users (in brackets: passed as unproven)", title_justify="left")
    table.add_column("planted")
    for n in counts:
        table.add_column(f"{n:,}", justify="right")
    for name in PLANTS:
        told = [each[name] for each in counts.values()]
        table.add_row(name, *(f"{own.stopped:.0%} ({own.share('unproven'):.0%})" for own in told))
    same = [each[SAME] for each in counts.values()]
    table.add_section()
    table.add_row("A/A that could not be told", *(f"{own.share('unproven'):.0%}" for own in same))
    table.add_row("  users needed, as said (median)", *(f"{_middle(own.needed, ',.0f')}" for own in same))
    table.add_row("least loss found 4 times of 5", *(f"{_middle(own.detectable, '.1%')}" for own in same))
    return table


def _middle(values: Sequence[float], form: str) -> str:
    return format(median(values), form) if values else "–"


if __name__ == "__main__":
    main()

"""A workspace in which every stage but record has run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nightreel.data.histories import Histories
from nightreel.stage import write_json
from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.tracking import sender
from nightreel.tracking.address import tracking_uri
from tests.support.small_bundle import write_bundle

ROOT = Path(__file__).parents[2]
STAGES = ("snapshot", "validate", "understand", "embed", "finetune", "evaluate", "refit", "publish", "record")
ITEMS, USERS = ["a", "b", "c"], ["u", "v"]
LEARNT = Histories.from_rows([([0, 1], [1.0, 2.0]), ([1], [3.0])])


def here(state: Path, uri: str, live: str | None) -> Iterator[dict[str, Any]]:
    """What the process that records tells, from this process: its start takes seconds, and test_process.py has it."""
    told: list[dict[str, Any]] = []
    sender.send(state, live, told.append)
    yield from told


@dataclass(frozen=True)
class Run:
    """A workspace in which every stage but record has run."""

    folder: Path
    state: Path

    def stages(self, **keys: str) -> None:
        """dvc.lock with one dep and one out a stage; `keys` changes the hash of a stage's dep."""
        entries = {
            name: {
                "cmd": f"python -m tasks.{name}",
                "deps": [{"path": f"tasks/{name}.py", "md5": keys.get(name, "0" * 32)}],
                "outs": [{"path": f"data/{name}", "md5": "1" * 32 + ".dir"}],
            }
            for name in STAGES[:-1]
        }
        Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": entries}))

    def ended(self, recipe: str, decision: str = "promote", *, published: bool = True, seed: int = 0) -> str:
        """What the stages leave; returns the digest of the final bundle, or of the candidate where it is held."""
        write_json(Path("data/snapshot/recipe.json"), {"recipe": recipe})
        verdict = {"decision": decision, "label": "better", "sentence": f"{decision}: for a reason"}
        write_json(Path("data/evaluate/verdict.json"), verdict)
        plots = Path("data/evaluate/plots")
        plots.mkdir(parents=True, exist_ok=True)
        (plots / "by_k.csv").write_text("protocol,model,k,ndcg\ntime,blend,5,0.1\ntime,blend,10,0.2\n")
        write_json(Path("metrics/evaluate.json"), {"gate": {"ndcg@10": 0.25, "users": 90}})
        target = Path("data/refit/bundle") if decision == "promote" else Path("data/finetune/candidate")
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree("data/refit", ignore_errors=True)
        digest = write_bundle(target, ITEMS, USERS, LEARNT, seed)
        out = published and decision == "promote"
        receipt = {"decision": decision, "digest": digest if decision == "promote" else None, "published": out}
        write_json(Path("data/publish/receipt.json"), receipt)
        if out:
            store = LocalStore(self.state / "store")
            seen = channels.live(store)
            channels.move(store, "live", digest, previous=seen.digest if seen else None, seen=seen)
        return digest

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient  # seconds, which fast tests need not wait for when this module is collected

        return MlflowClient(tracking_uri=tracking_uri(self.state))

    def runs(self, **tags: str) -> list[Any]:
        query = " and ".join(f"tags.`nightreel.{name}` = '{value}'" for name, value in tags.items())
        found = self.client.search_experiments(filter_string="name = 'films'")
        return list(self.client.search_runs([e.experiment_id for e in found], filter_string=query))

    def alias(self, name: str) -> str | None:
        """The digest of the model version with an alias."""
        model = self.client.get_registered_model("films")
        if name not in model.aliases:
            return None
        return str(self.client.get_model_version("films", model.aliases[name]).tags["nightreel.digest"])

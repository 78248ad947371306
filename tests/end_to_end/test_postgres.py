"""`nightreel up` with Prefect and MLflow on PostgreSQL and MLflow's files on S3: three nights, one of them cancelled.

One story: each test goes on where the one before left off.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.speed.free_ports import free_ports
from nightreel.orchestration.prefect.run_server import free_port
from tests.end_to_end.conftest import Checkout
from tests.end_to_end.started_up import Up, started
from tests.end_to_end.test_up import running
from tests.support import datasets, toy
from tests.support.postgres import PASSWORD, Postgres

pytestmark = pytest.mark.end_to_end
FEW = {"finetune": {"members": ["popularity", "ease"]}}
RUNS = """select r.run_uuid, r.status, r.artifact_uri from runs r join tags t on t.run_uuid = r.run_uuid
          where t.key = 'nightreel.kind' and t.value = 'run' order by r.start_time"""


@dataclass
class Story:
    """A checkout whose `up` is started, stopped and started again on the same databases and ports."""

    root: Path
    data: datasets.Planted
    words: list[str]
    variables: dict[str, str]
    stack: ExitStack = field(default_factory=ExitStack)
    up: Up = field(init=False)
    flow_runs: list[str] = field(default_factory=list)

    def begin(self) -> None:
        self.up = self.stack.enter_context(started(self.root, *self.words, **self.variables))
        self.up.variables = json.loads(toy.nightreel(self.root, "env", "--json").stdout)

    def submit(self, **run: Any) -> str:
        deployment = self.up.api("GET", f"/deployments/name/{self.up.addresses['deployment']}")
        body = {"parameters": FEW | ({"run": run} if run else {})}
        made = self.up.api("POST", f"/deployments/{deployment['id']}/create_flow_run", body)
        self.flow_runs.append(str(made["id"]))
        return self.flow_runs[-1]

    def objects(self, prefix: str) -> set[str]:
        """What the object store has below a prefix of its bucket, at most 1,000."""
        keys = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
        settings = {name: self.up.variables[variable] for name, variable in keys.items()}
        address = self.up.addresses["object_store"]
        client = boto3.client("s3", endpoint_url=address, region_name="us-east-1", **settings)
        return {each["Key"] for each in client.list_objects_v2(Bucket="nightreel", Prefix=prefix).get("Contents", [])}

    def told(self, *words: str) -> Any:
        return json.loads(self.up.nightreel(*words, "--json"))


@pytest.fixture(scope="module")
def story(checkout: Checkout, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    postgres.create("prefect", "mlflow")
    data = datasets.write_dataset(tmp_path_factory.mktemp("films"), users=80, items=60, events=1600)
    root = checkout("postgres")
    params = (root / "params.yaml").read_text("utf-8").splitlines()
    params = [f"  source: {data.folder}" if line.startswith("  source: /") else line for line in params]
    (root / "params.yaml").write_text("\n".join(params) + "\n", "utf-8")
    toy.call(root, "git", "commit", "-qam", "A source of its own")
    variables = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres.prefect("prefect"),
        "MLFLOW_BACKEND_STORE_URI": postgres.url("mlflow"),
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": "s3://nightreel/mlflow",
    }
    made = Story(root, data, ["--object-store", "--store-port", str(free_ports(8))], variables)
    with made.stack:
        made.begin()
        yield made


def test_the_first_night_is_published_and_recorded(story: Story, postgres: Postgres) -> None:
    assert story.up.finished(story.submit())["state_name"] == "Completed"
    (version,) = story.told("versions")["versions"]
    assert version["channels"] == ["live"]
    ((_, status, place),) = postgres.sql("mlflow", RUNS)
    assert status == "FINISHED" and place.startswith("s3://nightreel/mlflow/")


def test_a_cancelled_night_leaves_nothing_half_written(story: Story, postgres: Postgres) -> None:
    before = story.told("versions")
    cancelled = story.submit(force=["finetune"])
    stage = running(psutil.Process(story.up.process.pid), "tasks.finetune")
    story.up.api("POST", f"/flow_runs/{cancelled}/set_state", {"state": {"type": "CANCELLING"}})
    stage.wait(timeout=60)
    assert story.up.finished(cancelled)["state_type"] == "CANCELLED"
    assert story.told("versions") == before and story.told("nights")[0]["outcome"] == "stopped"
    story.up.nightreel("verify")
    assert len(postgres.sql("mlflow", RUNS)) == 1


def test_another_checkout_on_the_same_database_is_refused_and_the_third_night_goes_on(
    story: Story, checkout: Checkout
) -> None:
    one_more_day(story.data)
    third = story.submit()
    running(psutil.Process(story.up.process.pid), "tasks.snapshot")
    other, port = checkout("other"), str(free_port())
    words = ("up", "--port", port, "--mlflow-port", str(free_port()))
    by_server = {"PREFECT_API_URL": story.up.addresses["prefect_api"], "PREFECT_API_AUTH_STRING": story.up.login}
    by_database = {name: story.variables[name] for name in story.variables if name.startswith("PREFECT_")}
    for variables in (by_server, by_database):
        done = toy.nightreel(other, *words, **variables)
        assert done.returncode == 1 and "another `nightreel up` (worker 'nightreel " in done.stderr, done.stderr
        assert "Give each checkout a database or server of its own." in done.stderr and "Traceback" not in done.stderr
    assert not (other / ".nightreel" / "deployed.json").exists()
    assert story.up.finished(third)["state_type"] == "COMPLETED"


def one_more_day(data: datasets.Planted) -> None:
    """Everybody plays one more item, a day after the last event."""
    path = data.folder / "events.parquet"
    events = pq.read_table(path)
    at = events["timestamp"].to_pylist()
    more = events.group_by("user_id", use_threads=False).aggregate([("item_id", "first"), ("event", "first")])
    columns = {"user_id": more["user_id"], "item_id": more["item_id_first"], "event": more["event_first"]}
    shift = max(at) - min(at)
    columns["timestamp"] = pa.array([max(at) + shift / 60] * more.num_rows, events.schema.field("timestamp").type)
    rest = {name: pa.nulls(more.num_rows, events.schema.field(name).type) for name in events.column_names}
    new = pa.table({name: columns.get(name, rest[name]) for name in events.column_names}, schema=events.schema)
    pq.write_table(pa.concat_tables([events, new]), path.with_suffix(".new"))
    shutil.move(path.with_suffix(".new"), path)


def what_is_known(story: Story, postgres: Postgres) -> dict[str, Any]:
    """What every interface says of the nights."""
    nights = story.told("nights")
    runs = {each: story.up.api("GET", f"/flow_runs/{each}")["state_type"] for each in story.flow_runs}
    tables = postgres.sql("prefect", "select id::text, state_type::text from flow_run where deployment_id is not null")
    return {
        "nights": [(night["flow_run"], night["outcome"], night["version"]) for night in nights],
        "status": [night["outcome"] for night in story.told("status")["nights"]],
        "runs": runs,
        "in PostgreSQL": {name: state for name, state in tables if name in story.flow_runs},
        "MLflow": [(status, place) for _, status, place in postgres.sql("mlflow", RUNS)],
        "versions": story.told("versions"),
    }


def test_every_interface_knows_three_nights_also_after_a_new_start(story: Story, postgres: Postgres) -> None:
    known = what_is_known(story, postgres)
    one, two, three = story.flow_runs
    assert [(run, outcome) for run, outcome, _ in known["nights"]][1:] == [(two, "stopped"), (one, "promoted")]
    assert known["nights"][0][0] == three and known["nights"][0][1] in ("promoted", "refreshed")
    assert known["status"][:3] == [outcome for _, outcome, _ in known["nights"]]
    assert known["runs"] == {one: "COMPLETED", two: "CANCELLED", three: "COMPLETED"} == known["in PostgreSQL"]
    assert [status for status, _ in known["MLflow"]] == ["FINISHED", "FINISHED"]
    assert len(known["versions"]["versions"]) == 2
    story.up.process.send_signal(signal.SIGINT)
    assert story.up.process.wait(timeout=120) == 0
    story.begin()
    assert what_is_known(story, postgres) == known


def test_files_of_the_runs_are_on_s3_and_mlflows_page_shows_them(story: Story, postgres: Postgres) -> None:
    for run, _, place in postgres.sql("mlflow", RUNS):
        prefix = place.removeprefix("s3://nightreel/")
        names = story.objects(prefix)
        assert f"{prefix}/run/params.yaml" in names and any(name.endswith("/MLmodel") for name in names)
        page = story.up.addresses["mlflow"] + "/get-artifact"
        answer = httpx.get(page, params={"run_uuid": run, "path": "run/params.yaml"}, timeout=60)
        assert answer.status_code == 200 and "finetune:" in answer.text
    state = story.root / ".nightreel"
    assert not (state / "prefect" / "prefect.db").exists() and not (state / "mlflow" / "mlflow.db").exists()


def test_dvc_pushes_every_night_into_the_object_store(story: Story) -> None:
    environment = toy.environment() | story.up.variables
    push = ["dvc", "push", "--quiet", "--all-commits"]
    done = subprocess.run(push, cwd=story.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    remote = story.objects("store/dvc/files/md5/")
    cached = [path for path in (story.root / ".dvc" / "cache" / "files" / "md5").rglob("*") if path.is_file()]
    assert len(remote) > 10 and {"".join(path.parts[-2:]) for path in cached} >= {
        "".join(key.rsplit("/", 2)[-2:]) for key in remote
    }


def test_the_password_is_nowhere(story: Story) -> None:
    secrets = [PASSWORD.encode(), quote(PASSWORD, safe="").encode()]
    state = story.root / ".nightreel"
    files = [
        path
        for part in ("logs", "mlflow", "nights", "notes", "flow-runs", "prefect")
        for path in (state / part).rglob("*")
    ]
    files += [*state.glob("*.json"), *state.glob("*.html"), *story.root.glob(".dvc/config*")]
    read = [path for path in files if path.is_file()]
    assert len(read) > 10 and not [path for path in read if any(s in path.read_bytes() for s in secrets)]
    for process in psutil.Process(story.up.process.pid).children(recursive=True):
        assert not any(s.decode() in " ".join(process.cmdline()) for s in secrets)
    for words in (["status", "--json"], ["lineage"], ["nights", "--json"], ["env", "--json"]):
        assert not any(s.decode() in story.up.nightreel(*words) for s in secrets)

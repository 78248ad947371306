"""The quality benchmark: its scorer against figures worked out by hand, its intervals, its question to the peers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.quality import answers
from benchmarks.quality.__main__ import arguments
from benchmarks.quality.answers import Answer, peer_answer
from benchmarks.quality.environments import PEERS, Environment, reason
from benchmarks.quality.night import NightError, finished, stage_seconds
from benchmarks.quality.plot import draw
from benchmarks.quality.report import compare
from benchmarks.quality.roster import ROSTER, Peer
from benchmarks.quality.scoring import BadLists, Bootstrap, Truth, score


def columns(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    user, rank, item = np.array(rows, np.int64).reshape(-1, 3).T
    return user, rank, item


def pairs(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    user, item = np.array(rows, np.int64).reshape(-1, 2).T
    return user, item


def test_figures_worked_out_by_hand() -> None:
    truth = Truth.of(pairs([(3, 10), (7, 20), (7, 21), (9, 30)]))
    found = score(columns([(7, 1, 5), (7, 2, 21), (7, 3, 20), (3, 4, 9), (3, 1, 8), (3, 2, 7), (3, 3, 10)]), truth)
    # User 3: its item is third of four, 1/log2(4) = 1/2. User 7: second and third of an ideal first and second.
    ideal = 1 + 1 / np.log2(3)
    assert found["ndcg"] == pytest.approx([1 / 2, (1 / np.log2(3) + 1 / 2) / ideal, 0])
    assert found["recall"] == pytest.approx([1, 1, 0])
    assert found["mrr"] == pytest.approx([float(Fraction(1, 3)), 1 / 2, 0])


def test_only_ten_places_count() -> None:
    truth = Truth.of(pairs([(0, item) for item in range(12)]))
    # Items 3 to 12 at ranks 1 to 10, the last of them wrong; the right ones at ranks 11 and 12 come too late.
    found = score(columns([*((0, rank, rank + 2) for rank in range(1, 11)), (0, 11, 0), (0, 12, 1)]), truth)
    discounts = 1 / np.log2(np.arange(2, 12))
    assert found["recall"] == pytest.approx([9 / 12])
    assert found["ndcg"] == pytest.approx([discounts[:9].sum() / discounts.sum()])
    assert found["mrr"] == [1.0]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(0, 1, 5), (0, 2, 5)], "twice"),
        ([(0, 1, 4)], "seen before"),
        ([(1, 1, 5)], "not asked"),
    ],
)
def test_lists_that_break_the_rules(rows: list[tuple[int, int, int]], told: str) -> None:
    with pytest.raises(BadLists, match=told):
        score(columns(rows), Truth.of(pairs([(0, 6)]), pairs([(0, 4), (2, 5)])))


def test_intervals_hold_the_mean_and_pairing_makes_them_narrow() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.random(400)
    ours = theirs + 0.1
    bootstrap = Bootstrap(np.arange(400))
    mean, difference = bootstrap.interval(ours), bootstrap.interval(ours - theirs)
    assert mean.low < mean.point < mean.high
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * ours.std() / 20, rel=0.1)
    assert (difference.low, difference.high) == pytest.approx((0.1, 0.1))
    assert bootstrap.ratio(ours, ours).point == 1


def test_rows_of_one_user_are_drawn_together() -> None:
    values = np.random.default_rng(1).random(50)
    once, twice = Bootstrap(np.arange(50)), Bootstrap(np.repeat(np.arange(50), 2))
    assert once.interval(values).low == pytest.approx(twice.interval(np.repeat(values, 2)).low)


def test_a_ratio_to_nothing_is_no_nan() -> None:
    found = Bootstrap(np.arange(3)).ratio(np.array([0.0, 1, 1]), np.zeros(3))
    assert found.point == found.low == found.high == float("inf") or not np.isnan([found.low, found.high]).any()


def question(folder: Path, *, exclude: bool = True, graded: bool = False) -> Path:
    """Three users; user 0 saw item 4 without liking it; user 2 has one event alone. graded: item 0 was only ever met in
    passing, and user 2 took to item 3, too."""
    folder.mkdir(parents=True)
    tables = {
        "train": [(0, 0), (0, 1), (1, 1), (1, 2), (2, 0)],
        "past": [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (1, 3), (2, 0)],
        "valid": [(0, 2), (1, 3)],
    }
    if graded:
        tables |= {name: [*tables[name], (2, 3)] for name in ("train", "past")}
    tables |= {"seen_train": [*tables["train"], (0, 4)], "seen_past": [*tables["past"], (0, 4)]}
    for name, rows in tables.items():
        user, item = pairs(rows)
        time = np.arange(len(user), dtype=np.float64)
        gain = np.where((item == 0) & graded, 0.1, 1.0)
        pq.write_table(pa.table({"user": user, "item": item, "time": time, "gain": gain}), folder / f"{name}.parquet")
    pq.write_table(pa.table({"user": [0, 1, 2], "moment": [5.0, 5.0, 5.0]}), folder / "users.parquet")
    facts = {
        "clock": True,
        "exclude_seen": exclude,
        "valid_moment": 6.0 if graded else None,
        "n_users": 3,
        "n_items": 5,
    }
    (folder / "facts.json").write_text(json.dumps(facts))
    return folder


MODEL = """
import numpy as np
class Fixed:
    grid = ({"item": 0}, {"item": 2}, {"item": 3})
    def __init__(self, question): pass
    def fit(self, events, choice): return choice["item"]
    def recommend(self, model, events, ask): return np.tile([[model, 4]], (len(ask.users), 1))
class Broken(Fixed):
    def fit(self, events, choice): raise RuntimeError("no such thing")
PEERS = {"fixed": Fixed, "broken": Broken}
"""


@pytest.fixture
def peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """This interpreter as the peers' environment, with a made-up library."""
    folder = tmp_path / "peers"
    folder.mkdir()
    for name in ("answer.py", "question.py", "recency_models.py"):
        (folder / name).write_text((PEERS / name).read_text("utf-8"), "utf-8")
    (folder / "made_up.py").write_text(MODEL, "utf-8")
    for home in ("none", "recency"):
        (folder / f"requirements-{home}.txt").touch()
    monkeypatch.setattr(answers, "PEERS", folder)
    return Environment(Path(sys.executable))


def test_a_peer_searches_leaves_out_what_was_seen_and_is_filled_up(tmp_path: Path, peers: Environment) -> None:
    question(tmp_path / "fold" / "question")
    answer = peer_answer(Peer("made up", "none", "made_up.fixed"), peers, tmp_path, ["fold"], 60, again=False)
    assert not answer.failure
    # Item 3 first: right for user 1, and user 0's is second; item 2 first: right for user 0, and user 1's is third.
    assert answer.choice == {"item": 3} and answer.tried == "3 of 3"
    user, rank, item = answer.lists[0]
    assert item[user == 0].tolist() == [3]
    assert item[user == 1].tolist() == [4, 0]
    assert item[user == 2].tolist() == [3, 4, 1, 2]
    assert rank[user == 2].tolist() == [1, 2, 3, 4]
    assert answer.costs["peak_mb"] > 1 and answer.costs["fit_s"] >= 0
    assert peer_answer(Peer("made up", "none", "made_up.fixed"), peers, tmp_path, ["fold"], 60, again=False).kept


def test_a_peer_learns_from_relevant_events_alone_where_that_serves_it_better(
    tmp_path: Path, peers: Environment
) -> None:
    question(tmp_path / "fold" / "question", graded=True)
    popular = Peer("recent", "recency", "recency_models.popularity")
    answer = peer_answer(popular, peers, tmp_path, ["fold"], 60, again=False)
    facts = json.loads(next((tmp_path / "fold").glob("recency_models*.json")).read_text())
    assert not answer.failure and facts["learned_from"] == "relevant events"
    user, _, item = answer.lists[0]
    assert item[user == 1].tolist() == [0, 4] and item[user == 2].tolist()[:2] == [2, 1], "the newest ones first"


@pytest.mark.parametrize("name", ["popularity", "item-knn", "ease"])
def test_peers_with_recency_answer_everybody(tmp_path: Path, peers: Environment, name: str) -> None:
    question(tmp_path / "fold" / "question")
    answer = peer_answer(Peer(name, "recency", f"recency_models.{name}"), peers, tmp_path, ["fold"], 60, again=False)
    assert not answer.failure
    user, _, item = answer.lists[0]
    assert sorted(item[user == 0].tolist()) == [3] and sorted(item[user == 2].tolist()) == [1, 2, 3, 4]
    assert "half_life" in answer.choice


def test_repeats_are_allowed_where_the_data_allow_them(tmp_path: Path, peers: Environment) -> None:
    question(tmp_path / "fold" / "question", exclude=False)
    answer = peer_answer(Peer("made up", "none", "made_up.fixed"), peers, tmp_path, ["fold"], 60, again=False)
    user, _, item = answer.lists[0]
    assert item[user == 0][:2].tolist() == [answer.choice["item"], 4] and len(item[user == 0]) == 5


def test_a_peer_that_fails_is_told_in_the_table(tmp_path: Path, peers: Environment) -> None:
    question(tmp_path / "fold" / "question")
    broken = peer_answer(Peer("broken", "none", "made_up.broken"), peers, tmp_path, ["fold"], 60, again=False)
    assert "no such thing" in broken.failure
    absent = peer_answer(
        Peer("absent", "none", "made_up.fixed"), Environment(Path("x"), "not installed: no network"), tmp_path,
        ["fold"], 60, again=False,
    )  # fmt: skip
    assert absent.failure == "not installed: no network"


def test_the_report_ranks_pairs_and_names_the_bar(tmp_path: Path) -> None:
    users = list(range(40))
    truth = Truth.of(pairs([(user, user % 3) for user in users]))
    good, bad, unfit = Answer("Nightreel"), Answer("a peer"), Answer("unfit")
    good.lists = [columns([(user, 1, user % 3) for user in users])]
    bad.lists = [columns([(user, 1, 0) for user in users])]
    unfit.lists = [columns([(99, 1, 0)])]
    facts = {"source": "made up", "protocol": "leave_last_out", "test_users": 40}
    report = compare(good, [], [bad, unfit, Answer("gone", failure="not installed")], [truth], facts)
    assert [row.answer.label for row in report.rows] == ["Nightreel", "a peer"]
    assert [one.label for one in report.failed] == ["gone", "unfit"]
    assert report.best is not None and report.best.ratio is not None
    assert report.best.ratio.point == pytest.approx(40 / 14)
    assert report.verdict().endswith(": met, but not yet against gone, unfit, cut short or failed.")
    few = replace(report, facts={"protocol": "global_time", "test_users": 62})
    assert "]: with 62 test users, fewer than 300, this is reported and is no bar" in few.verdict()
    found = report.as_json()
    draw([found], tmp_path / "one.svg")
    draw([found], tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_the_reason_is_the_last_error_that_a_log_tells(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("WARNING: an error\nERROR: no such package\n")
    assert reason(log) == "ERROR: no such package"
    log.write_text('  File "x.py"\nlib.core.ValidationError: 1 error\n  see https://errors.example\n')
    assert reason(log) == "lib.core.ValidationError: 1 error"
    log.write_text("")
    assert reason(log) == ""


def test_the_stages_seconds_come_from_the_commands_json() -> None:
    printed = json.dumps({"stages": {"embed": {"outcome": "ran", "seconds": 1.5}}, "rows": [{"in": 1}]}, indent=1)
    assert stage_seconds(f"embed ▸ {{ 3 }}\n{printed}\n") == {"embed": 1.5}
    assert stage_seconds(printed) == {"embed": 1.5}
    assert stage_seconds("nothing") is None


def test_a_workspace_without_a_night_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NightError, match="nightreel run"):
        finished(tmp_path)


def test_every_peer_has_its_code_and_its_requirements() -> None:
    for peer in ROSTER.values():
        module, _, name = peer.code.partition(".")
        assert f'"{name}": ' in (PEERS / f"{module}.py").read_text("utf-8")
        pins = (PEERS / f"requirements-{peer.home}.txt").read_text("utf-8")
        assert "torch==2.13.0" in pins or peer.home == "recency", "without it pip takes the build with CUDA"


@pytest.mark.parametrize("words", [["--minutes", "0"], ["--peers", "nobody"], ["--protocol", "random"]])
def test_bad_arguments_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(words)


def test_help_needs_no_peer() -> None:
    found = subprocess.run([sys.executable, "-m", "benchmarks.quality", "--help"], capture_output=True, text=True)
    assert found.returncode == 0 and "rectools-esasrec" in found.stdout

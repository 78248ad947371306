"""A language model as re-ranker of the ranker's top 50, compared with the ranker itself.

    python -m benchmarks.models.rerank --model FOLDER                     # a folder in transformers' format
    python -m benchmarks.models.rerank --model NAME --endpoint http://localhost:8000/v1
    python -m benchmarks.models.rerank --gguf FILE                        # converted first; needs the package gguf

Run it in the checkout after a run: it requests lists of data/finetune/candidate, as evaluate does, for a seeded random
sample of test users. The read of the test split is counted. `oracle` puts the wanted items of the 50 first: the score
of a perfect re-ranker. A model is worth its time where the lower bound of its difference is above 0.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from nightreel.data.dataset import load_dataset
from nightreel.evaluation.metrics.bootstrap import mean_interval
from nightreel.evaluation.metrics.ranking import Truth, per_user
from nightreel.evaluation.test_reads import count_read
from nightreel.evaluation.test_set import ask, build_test_set
from nightreel.reader.reader import Reader
from nightreel.settings.params_file import load
from nightreel.stage import read_json, state_directory
from nightreel.understanding.llm.client import LanguageModel, open_model
from nightreel.understanding.llm.rerank import TOKENS, Reranked, rerank

K, METRIC = 10, "ndcg@10"
Lists = np.ndarray[Any, np.dtype[np.int32]]


@contextlib.contextmanager
def converted(file: Path) -> Iterator[Path]:
    """A GGUF file's model in transformers' format, while the block runs."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / file.stem
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        config = read.config.to_dict()
        config.pop("quantization_config", None)  # the weights are plain numbers by now, but transformers saves no GGUF
        model = AutoModelForCausalLM.from_config(type(read.config).from_dict(config), dtype=torch.float32)
        model.load_state_dict(read.state_dict())
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
        yield folder


def lines_of(items: pa.Table) -> list[str]:
    """What each item is: `Heat (1995) [Crime, Drama]`."""
    return [
        f"{title} [{', '.join(genres)}]" if genres else title
        for title, genres in zip(items["title"].to_pylist(), items["genres"].to_pylist(), strict=True)
    ]


def best_possible(lists: Lists, truth: Truth) -> Lists:
    """[n, k] each row with its wanted items first."""
    keys = np.arange(len(lists))[:, None] * truth.n_items + lists
    wanted = np.isin(keys, truth.keys) & (lists >= 0)
    order = np.argsort(~wanted, axis=1, kind="stable")
    return np.take_along_axis(lists, order, axis=1)


def reranked(model: LanguageModel, lists: Lists, histories: list[list[int]], lines: list[str]) -> list[Reranked]:
    """One answer a row, said as they come: each may take a minute on a CPU."""
    found = []
    for row, (items, history) in enumerate(zip(lists.tolist(), histories, strict=True), 1):
        shown = [lines[item] for item in items if item >= 0]
        found.append(rerank(model, [lines[item] for item in history], shown))
        print(f"{row} of {len(lists)}: {found[-1].fault or 'a permutation'}", flush=True)
    return found


def show(lists: dict[str, Lists], truth: Truth, console: Console, seed: int) -> None:
    """NDCG@10 of each list, and its paired difference from the blend's."""
    values = {name: per_user(each, truth, (K,))[METRIC] for name, each in lists.items()}
    table = Table("list", "NDCG@10", "95% interval", "difference to the ranker", "95% interval", title="Re-ranking")
    for name, own in values.items():
        pair = mean_interval(own - values["blend"], 2000, np.random.default_rng(seed))
        mean = mean_interval(own, 2000, np.random.default_rng(seed))
        bounds = f"{pair.low:+.4f} to {pair.high:+.4f}"
        table.add_row(name, f"{mean.point:.4f}", f"{mean.low:.4f}–{mean.high:.4f}", f"{pair.point:+.4f}", bounds)
    console.print(table)


def measure(model: LanguageModel, users: int, top: int, seed: int) -> None:
    """Ask, score and print."""
    data, console = load_dataset(), Console(width=110)
    fold = data.protocols[data.gate][0]
    cuts = read_json(Path("data/validate/splits.json"))["protocols"][data.gate]["cuts"]
    question = build_test_set(data, fold, cuts[0][1] if cuts else None)
    drawn = np.random.default_rng(seed).permutation(len(question))[:users]
    question = question.take(np.sort(drawn))
    count_read(state_directory(), data.split_digest[data.gate], "benchmarks.models.rerank")
    lists = ask(Reader.open_bundle(Path("data/finetune/candidate")), question, top, "blend")
    histories = [question.histories[row][0].tolist() for row in range(len(question))]
    began = time.monotonic()
    found = reranked(model, lists, histories, lines_of(data.items))
    spent = time.monotonic() - began
    own = lists.copy()
    for row, each in enumerate(found):
        own[row, : len(each.order)] = lists[row, list(each.order)]
    show(
        {"blend": lists, "re-ranked": own, "oracle": best_possible(lists, question.truth)},
        question.truth,
        console,
        seed,
    )
    used = [row for row, each in enumerate(found) if not each.fault]
    moved = sum(bool((own[row] != lists[row]).any()) for row in used)
    console.print(
        f"{len(used)} of {len(found)} answers were permutations, {moved} of them other than the order given; "
        f"{spent / len(found):.1f} s and {sum(each.tokens for each in found) / len(found):,.0f} tokens a user"
    )
    for fault, count in Counter(each.fault.partition(":")[0] for each in found if each.fault).items():
        console.print(f"rejected because the response {fault}: {count}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="a folder in transformers' format, or a name at --endpoint")
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--users", type=int, default=24)
    parser.add_argument("--top", type=int, default=50)
    given = parser.parse_args()
    if bool(given.model) == bool(given.gguf):
        parser.error("give --model or --gguf")
    settings = load()
    with converted(given.gguf) if given.gguf else contextlib.nullcontext(given.model) as model:
        asked = {"model": str(model), "endpoint": given.endpoint, "max_tokens": TOKENS * given.top}
        writer = settings.understand.writer.model_copy(update=asked)
        measure(open_model(writer), given.users, given.top, settings.finetune.seed)


if __name__ == "__main__":
    main()

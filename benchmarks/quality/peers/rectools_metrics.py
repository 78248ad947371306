"""RecTools' metrics of given lists: for every line on standard input, prints a line of JSON with the means.

    python rectools_metrics.py --shown shown.parquet --wanted wanted.parquet --cutoffs 1 5 10

shown: user, item, rank (from 1); wanted: user, item. Runs in the peers' environment. The tables are read, and all
metrics computed once, before the first line. NDCG is divided by the best that a user's wanted items allow, as ours is:
RecTools' default divides by k hits for all users.
"""

from __future__ import annotations

import argparse
import json
import sys

import pandas as pd
from rectools import Columns
from rectools.metrics import MAP, MRR, NDCG, F1Beta, HitRate, Precision, Recall, calc_metrics

METRICS = {
    "ndcg": lambda k: NDCG(k=k, divide_by_achievable=True),
    "recall": Recall,
    "hit_rate": HitRate,
    "mrr": MRR,
    "map": MAP,
    "precision": Precision,
    "f1": F1Beta,
}


def table(path: str) -> pd.DataFrame:
    """A table under RecTools' column names."""
    return pd.read_parquet(path).rename(columns={"user": Columns.User, "item": Columns.Item, "rank": Columns.Rank})


def main() -> None:
    """Read, warm up, answer until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("--shown", "--wanted"):
        parser.add_argument(flag, required=True)
    parser.add_argument("--cutoffs", type=int, nargs="+", required=True)
    asked = parser.parse_args()
    shown, wanted = table(asked.shown), table(asked.wanted)
    metrics = {f"{name}@{k}": metric(k=k) for name, metric in METRICS.items() for k in asked.cutoffs}
    calc_metrics(metrics, shown, wanted)
    print("ready", flush=True)
    for _ in sys.stdin:
        means = {name: float(mean) for name, mean in calc_metrics(metrics, shown, wanted).items()}
        print(json.dumps(means), flush=True)


if __name__ == "__main__":
    main()

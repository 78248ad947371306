"""Retrieval of translations, for each packaged encoder: is the same film similar in two languages?

    python -m benchmarks.understanding.multilingual                       # the packaged encoders
    python -m benchmarks.understanding.multilingual --encoder ID [--revision COMMIT]

benchmarks/understanding/translations.json has 16 synthetic films in seven languages, written for this. A film in one
language is the query, the films in another are ranked, for all pairs of languages; then all films in all other
languages, where a similar film in the same language may come first. Recall@1 and mean reciprocal rank.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import permutations
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nightreel.content.encoders.base import Vectors
from nightreel.content.encoders.model_source import PACKAGED
from nightreel.content.encoders.registry import open_encoder
from nightreel.settings.embed import Embed
from nightreel.settings.params_file import load

ROOT = Path(__file__).parents[2]
Films = list[dict[str, str]]


def films() -> Films:
    """Films as language → title and description."""
    found: Films = json.loads(Path(__file__).with_name("translations.json").read_text("utf-8"))
    return found


def ranks(asked: Vectors, among: Vectors) -> np.ndarray:
    """[n] rank, from 1, of row i of `among` for row i of `asked`; a tie counts against it."""
    scores = asked @ among.T
    own = np.diagonal(scores)[:, None]
    return np.asarray((scores >= own).sum(1))


def retrieval(settings: Embed, chosen: Films) -> dict[str, dict[str, float]]:
    """Language → recall@1 and reciprocal rank, averaged over the other languages; and the seconds that it took."""
    encoder = open_encoder(settings)
    languages = list(chosen[0])
    began = time.monotonic()
    vectors = {name: encoder.encode([film[name] for film in chosen]) for name in languages}
    spent = time.monotonic() - began
    found = {}
    for name in languages:
        own = [ranks(vectors[one], vectors[other]) for one, other in permutations(languages, 2) if name in (one, other)]
        told = np.concatenate(own)
        found[name] = {"recall@1": float((told == 1).mean()), "mrr": float((1 / told).mean())}
    pairs = np.concatenate([ranks(vectors[one], vectors[other]) for one, other in permutations(languages, 2)])
    found["all"] = {
        "recall@1": float((pairs == 1).mean()), "mrr": float((1 / pairs).mean()),
        "mixed": _mixed(np.stack([vectors[name] for name in languages])), "seconds": spent,
    }  # fmt: skip
    return found


def _mixed(vectors: Vectors) -> float:
    """Share of texts whose nearest other text, of whatever language, is the same film. vectors: [languages, n, dim]."""
    flat = vectors.reshape(-1, vectors.shape[2])
    scores = flat @ flat.T
    np.fill_diagonal(scores, -np.inf)
    n = vectors.shape[1]
    return float((scores.argmax(1) % n == np.arange(len(flat)) % n).mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", help="a packaged name, a folder or a hub id (default: every packaged one)")
    parser.add_argument("--revision", default="", help="commit of a hub id")
    asked = parser.parse_args()
    base, chosen = load(ROOT / "params.yaml").embed, films()
    languages = list(chosen[0])
    table = Table(
        "encoder", *languages, "all pairs", "MRR", "nearest of all",
        title=f"Translations found: {len(chosen)} films in {len(languages)} languages, recall@1",
    )  # fmt: skip
    for name in [asked.encoder] if asked.encoder else PACKAGED:
        settings = base.model_copy(update={"encoder": name, "revision": asked.revision, "device": "cpu"})
        found = retrieval(settings, chosen)
        whole = found["all"]
        shown = [f"{found[language]['recall@1']:.2f}" for language in languages]
        table.add_row(name, *shown, f"{whole['recall@1']:.3f}", f"{whole['mrr']:.3f}", f"{whole['mixed']:.3f}")
    Console(width=130).print(table)


if __name__ == "__main__":
    main()

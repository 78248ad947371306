"""Accuracy of sentiment labels: VADER, embeddings, and both combined, on kinds of text not trained on.

    python -m benchmarks.understanding.sentiment             # some minutes: thousands of texts are encoded
    python -m benchmarks.understanding.sentiment --write     # also trains sentiment_model.json in
                                                             # nightreel/understanding/text, for params.yaml's encoder

The texts and their ratings (Hutto and Gilbert 2014; means of twenty people, from -4 to 4) come from vaderSentiment's
source package (MIT), fetched by pip with its hash checked, never committed: sentences of film reviews, product reviews,
newspaper editorials and tweets. A text is positive from 0.5 on, negative from -0.5 down, else neutral. Training is on
single sentences; scoring on up to five consecutive ones where the source has them (their rating is the mean), which is
the length of a description. Every kind is scored with a model trained on the other three, because a description is
another kind, too. The two weights are the best of four pairs that were tried on these texts; all but one gave the same
to 0.001.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from nightreel.content.encoders.base import TextEncoder, Vectors
from nightreel.content.encoders.registry import open_encoder
from nightreel.settings.params_file import load
from nightreel.understanding.tags.one_vs_rest import Array, Flags
from nightreel.understanding.tags.tag_metrics import calibration_error
from nightreel.understanding.text.sentiment_model import LEARNED, SCORES, TONES, Lexicon, Tone

PACKAGE, FILE = "vaderSentiment==3.3.2", "vaderSentiment-3.3.2.tar.gz"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
RATINGS = "additional_resources/hutto_ICWSM_2014.tar.gz"
KINDS = {
    "film reviews": "movieReviewSnippets", "product reviews": "amazonReviewSnippets",
    "editorials": "nytEditorialSnippets", "tweets": "tweets",
}  # fmt: skip
PASSAGE, CLEAR = 5, 0.5
VADER_CLEAR = 0.05  # its authors' bound of the compound score
LEXICON_WEIGHT, VECTOR_WEIGHT = 0.3, 0.4  # how freely the regression may use each
METHODS = ("commonest", "VADER, its own bounds", "VADER, calibrated", "vectors", "VADER and vectors")
MEASURES = ("accuracy", "rank_correlation", "calibration_error", "labelled", "right_where_labelled")
Labels = npt.NDArray[np.int64]
Row = dict[str, float]
Told = dict[str, tuple[Array, Array]]


@dataclass(frozen=True)
class Texts:
    """kind: [n] index into KINDS; rating: [n] in -4 to 4; scores: [n, 4] VADER's means; vectors: [n, dim]."""

    kind: Labels
    rating: Array
    scores: Array
    vectors: Vectors

    @property
    def label(self) -> Labels:
        """[n] index into TONES."""
        return classes(self.rating, CLEAR)


def fetch(folder: Path) -> bytes:
    """The archive of ratings; exits when the source package is not the published one."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=:all:", "--quiet", "--dest"]
    subprocess.run([*command, str(folder), PACKAGE], check=True)
    content = (folder / FILE).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SystemExit(f"{FILE} is not the published file")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile(f"{FILE.removesuffix('.tar.gz')}/{RATINGS}")
        assert member
        return member.read()


def passages(lines: str, most: int) -> list[tuple[str, float]]:
    """(text, mean rating) of up to `most` sentences in a row of one source; an id is `source_sentence` or `source`."""
    rows, found = [line.split("\t", 2) for line in lines.splitlines() if line], []
    for _, group in groupby(rows, key=lambda row: row[0].partition("_")[0]):
        own = list(group)
        for start in range(0, len(own), most):
            part = own[start : start + most]
            found.append((" ".join(row[2].strip() for row in part), float(np.mean([float(row[1]) for row in part]))))
    return found


def read(ratings: bytes, each: int, seed: int) -> dict[int, list[tuple[int, str, float]]]:
    """Most sentences in a row → (kind, text, rating) of at most `each` texts of every kind."""
    drawn: dict[int, list[tuple[int, str, float]]] = {1: [], PASSAGE: []}
    with tarfile.open(fileobj=io.BytesIO(ratings)) as archive:
        for n, name in enumerate(KINDS.values()):
            member = archive.extractfile(f"hutto_ICWSM_2014/{name}_GroundTruth.txt")
            assert member
            lines = member.read().decode("utf-8", "replace")
            for most, kept in drawn.items():
                found = passages(lines, most)
                rows = np.sort(np.random.default_rng([seed, n]).permutation(len(found))[:each])
                kept += [(n, *found[row]) for row in rows.tolist()]
    return drawn


def scored(rows: list[tuple[int, str, float]], reads: int, encoder: TextEncoder) -> Texts:
    """The texts as what tells their tone sees them."""
    kind, texts, rating = zip(*rows, strict=True)
    lexicon = Lexicon()
    scores = np.array([lexicon.scores(text, reads) for text in texts])
    return Texts(np.array(kind), np.array(rating), scores, encoder.encode(texts))


def classes(values: Array, clear: float) -> Labels:
    """[n] index into TONES: neutral strictly between -clear and clear."""
    found: Labels = np.where(values <= -clear, 0, np.where(values >= clear, 2, 1))
    return found


def fit(texts: Texts, rows: Flags, encoder: str, *, lexicon: bool = True) -> Tone:
    """Multinomial logistic regression on some rows; encoder: "" leaves the vectors out."""
    mean, spread = texts.scores[rows].mean(0), texts.scores[rows].std(0)
    weight = (LEXICON_WEIGHT if encoder else 1.0) if lexicon else 0.0
    columns = [(texts.scores[rows] - mean) / spread * weight]
    columns += [texts.vectors[rows] * VECTOR_WEIGHT] if encoder else []
    head = LogisticRegression(max_iter=1000).fit(np.hstack(columns).astype(np.float64), texts.label[rows])
    own, *rest = np.split(head.coef_.T, [len(SCORES)])
    scaled = own * (weight / spread)[:, None]
    return Tone(encoder, np.vstack([scaled, rest[0] * VECTOR_WEIGHT] if encoder else [scaled]),
                head.intercept_ - mean @ scaled, {})  # fmt: skip


def left_out(lessons: Texts, texts: Texts, encoder: str, *, lexicon: bool = True) -> Array:
    """[n, 3] probabilities of each kind of texts, learned from the other kinds' lessons."""
    found = np.zeros((len(texts.kind), len(TONES)))
    for n in range(len(KINDS)):
        own, tone = texts.kind == n, fit(lessons, lessons.kind != n, encoder, lexicon=lexicon)
        found[own] = tone.probabilities(texts.scores[own], texts.vectors[own])
    return found


def tell(lessons: Texts, texts: Texts, encoder: str) -> Told:
    """Method → (probabilities [n, 3], score [n]); the first two give a label without any doubt."""
    commonest = np.tile(np.eye(3)[np.bincount(lessons.label).argmax()], (len(texts.kind), 1))
    bounds = np.eye(3)[classes(texts.scores[:, -1], VADER_CLEAR)]
    learned = [left_out(lessons, texts, name, lexicon=lexicon)
               for name, lexicon in (("", True), (encoder, False), (encoder, True))]  # fmt: skip
    scores = [np.zeros(len(commonest)), texts.scores[:, -1], *(each[:, 2] - each[:, 0] for each in learned)]
    return dict(zip(METHODS, zip([commonest, bounds, *learned], scores, strict=True), strict=True))


def measure(texts: Texts, probabilities: Array, score: Array, least: float) -> Row:
    """MEASURES over all texts; the rank correlation with the rating is a mean over the kinds, NaN of a constant."""
    label, sure = texts.label, probabilities.max(1) >= least
    right = probabilities.argmax(1) == label
    each = [
        spearmanr(score[texts.kind == n], texts.rating[texts.kind == n]).statistic if np.ptp(score) else np.nan
        for n in np.unique(texts.kind)
    ]
    values = (right.mean(), np.mean(each), calibration_error(probabilities, label[:, None] == np.arange(3)),
              sure.mean(), right[sure].mean() if sure.any() else np.nan)  # fmt: skip
    return dict(zip(MEASURES, map(float, values), strict=True))


def show(texts: Texts, methods: Told, least: float, console: Console) -> None:
    """A table over all kinds, and one of what is used by kind."""
    measures = [name.replace("_", " ") for name in MEASURES]
    table = Table(
        "method", *measures, title=f"Sentiment of {len(texts.kind):,} texts, each kind by a model trained on the others"
    )
    for name, (probabilities, score) in methods.items():
        table.add_row(name, *_cells(measure(texts, probabilities, score, least)))
    console.print(table)
    table = Table("kind", "texts", *(f"accuracy, {name}" for name in METHODS), *measures[1:], title=METHODS[-1])
    for n, kind in enumerate(KINDS):
        own = texts.kind == n
        part = Texts(texts.kind[own], texts.rating[own], texts.scores[own], texts.vectors[own])
        rows = [measure(part, p[own], score[own], least) for p, score in methods.values()]
        accuracy = [f"{row['accuracy']:.3f}" for row in rows]
        table.add_row(kind, f"{own.sum():,}", *accuracy, *_cells(rows[-1])[1:])
    console.print(table)


def _cells(row: Row) -> list[str]:
    return ["–" if np.isnan(value) else f"{value:.3f}" for value in row.values()]


def write(lessons: Texts, texts: Texts, methods: Told, encoder: str, least: float) -> None:
    """tone.json: one learned from VADER's scores alone, and one for the encoder."""
    everything, lines = np.ones(len(lessons.kind), bool), []
    for name, weights in (("VADER, calibrated", ""), ("VADER and vectors", encoder)):
        facts = {name: round(value, 4) for name, value in measure(texts, *methods[name], least).items()}
        measured = {"corpus": PACKAGE, "texts": len(texts.kind), "probability": least, **facts}
        tone = fit(lessons, everything, weights)
        lines.append(json.dumps(Tone(weights, tone.weights, tone.bias, measured).told()))
    LEARNED.write_text("[" + ",\n".join(lines) + "]\n", "utf-8")


def main() -> None:
    """Fetch, learn, print; write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=700, help="texts of each kind (default: 700)")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    settings = load(Path(__file__).parents[2] / "params.yaml")
    wanted, encoder = settings.understand.sentiment, open_encoder(settings.embed)
    with tempfile.TemporaryDirectory() as scratch:
        drawn = read(fetch(Path(scratch)), asked.each, settings.understand.seed)
    lessons, texts = (scored(rows, wanted.reads, encoder) for rows in drawn.values())
    weights = encoder.card()["weights"]
    methods = tell(lessons, texts, weights)
    show(texts, methods, wanted.probability, Console(width=180))
    if asked.write:
        write(lessons, texts, methods, weights, wanted.probability)


if __name__ == "__main__":
    main()

"""Speed of text encoding compared with sentence-transformers, on the same texts, in alternating turns of one run.

    python benchmarks/speed/encoding.py                       # data/validate/items.parquet, after a run
    python benchmarks/speed/encoding.py --items FILE --texts 1000 --rounds 3

Each method's share of the CPU's peak is printed. The peak of a number type is the best of several products of square
matrices on all cores; the operations of an encoder are counted by torch's FlopCounterMode, without padding and without
those of attention itself (below a tenth). The peer encodes as its users call it
(`SentenceTransformer(…).encode(texts)`: float32, batches of 32), in a separate process, with the packages of this
environment and sentence-transformers from a folder in the state directory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from torch.utils.flop_counter import FlopCounterMode

from nightreel.content.encoders.base import Vectors
from nightreel.content.encoders.model_source import locate
from nightreel.content.encoders.transformer import Encoder
from nightreel.content.item_text import read_texts
from nightreel.data.environment import pays_bf16
from nightreel.settings.embed import Embed
from nightreel.settings.params_file import load
from nightreel.stage import state_directory

PEER = "sentence-transformers==6.2.0"
SERVE = """
import json, sys, time, numpy
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], device="cpu", local_files_only=True)
for line in sys.stdin:
    texts, out = json.loads(line)
    began = time.perf_counter()
    vectors = model.encode(texts, show_progress_bar=False)
    spent = time.perf_counter() - began
    numpy.save(out, vectors)
    print("took", spent, flush=True)
"""
BAR = 3.0
"""Times the peer, by the fastest way whose vectors are faithful."""
LEAST_COSINE = 0.999
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

Encode = Callable[[list[str]], tuple[float, Vectors]]
Found = dict[str, tuple[list[float], Vectors]]
"""Seconds of each round and the vectors, a way."""


def peer_python() -> Path:
    """An interpreter that has this environment's packages and the peer; made once."""
    folder = state_directory() / "peers" / PEER.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        inner = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        Path(inner.stdout.strip(), "parent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", PEER], check=True)
        (folder / "ready").touch()
    return python


@contextmanager
def peer(model: Path) -> Iterator[Encode]:
    """The peer's encode, in a process that lives as long as the block."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen(
            [peer_python(), "-c", SERVE, str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        ) as child,
    ):  # fmt: skip
        assert child.stdin and child.stdout
        out = Path(scratch) / "vectors.npy"

        def encode(texts: list[str]) -> tuple[float, Vectors]:
            assert child.stdin and child.stdout
            child.stdin.write(json.dumps([texts, str(out)]) + "\n")
            child.stdin.flush()
            for line in child.stdout:
                if line.startswith("took "):
                    return float(line.split()[1]), np.load(out)
            raise SystemExit(f"the peer ended with exit code {child.wait()}")

        yield encode
        child.stdin.close()


def timed(encoder: Encoder) -> Encode:
    """The stage's encode with the seconds that it took."""

    def encode(texts: list[str]) -> tuple[float, Vectors]:
        began = time.perf_counter()
        vectors = encoder.encode(texts)
        return time.perf_counter() - began, vectors

    return encode


def opened(settings: Embed, native: bool) -> dict[str, Encoder]:
    """Nightreel's ways, float32 in torch first. native: whether bfloat16 pays; emulated it takes a hundred times as
    long, and tells nothing."""
    ways = [(engine, dtype) for dtype in TYPES for engine in ("torch", "openvino") if native or dtype == "float32"]
    return {
        f"nightreel {engine} {dtype}{' (default)' if engine == 'torch' and (dtype == 'bfloat16') == native else ''}":
            Encoder.open(settings.model_copy(update={"engine": engine, "dtype": dtype}))
        for engine, dtype in ways
    }  # fmt: skip


def compare(ways: dict[str, Encode], texts: list[str], rounds: int) -> Found:
    """Seconds of each round and the vectors, each way in turn so that a noisy neighbour meets them all."""
    for encode in ways.values():
        encode(texts[:64])
    found: Found = {}
    for _ in range(rounds):
        for name, encode in ways.items():
            seconds, vectors = encode(texts)
            found.setdefault(name, ([], vectors))[0].append(seconds)
    return found


def peak(dtype: torch.dtype) -> float:
    """FLOP a second of all cores on square matrices; the best of several sizes and turns."""
    best = 0.0
    for n in (512, 1024, 2048):
        matrix = torch.ones((n, n), dtype=dtype)
        for _ in range(5):
            began = time.perf_counter()
            matrix @ matrix
            best = max(best, 2 * n**3 / (time.perf_counter() - began))
    return best


def operations(encoder: Encoder, texts: list[str]) -> float:
    """FLOP of the texts' tokens in the encoder's products of matrices, which grow with the tokens alone."""
    block = torch.ones((1, 64), dtype=torch.int64)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        encoder.network.forward(block, block)
    tokens = encoder.network.tokens(texts, encoder.max_tokens)
    return float(counter.get_total_flops() / 64 * sum(map(len, tokens)))


@dataclass(frozen=True)
class Row:
    """What one way did with one kind of text. ratio: times the peer; share: of the peak of its type."""

    kind: str
    way: str
    median: float
    best: float
    ratio: float
    cosine: float
    share: float

    def line(self) -> str:
        """A row of the table."""
        return (
            f"| {self.kind} | {self.way} | {self.median:,.0f} | {self.best:,.0f} | {self.ratio:.2f} | "
            f"{self.cosine:.6f} | {self.share:.0%} |"
        )


def rows(found: Found, kind: str, flop: float, peaks: dict[str, float]) -> Iterator[Row]:
    """The first way is the peer, the second the float32 that cosines refer to."""
    (peers, _), (_, exact), *_ = found.values()
    for name, (seconds, vectors) in found.items():
        ratio = median(theirs / ours for theirs, ours in zip(peers, seconds, strict=True))
        cosine, n = float((vectors * exact).sum(1).min()), len(vectors)
        used = flop / median(seconds) / peaks["bfloat16" if "bfloat16" in name else "float32"]
        yield Row(kind, name, n / median(seconds), n / min(seconds), ratio, cosine, used)


def verdict(found: list[Row], native: bool) -> Iterator[str]:
    """Lines that say whether the bar is met, and how far the CPU itself would let anybody go."""
    for kind in dict.fromkeys(row.kind for row in found):
        theirs, *ours = [row for row in found if row.kind == kind]
        best = max((row for row in ours if row.cosine >= LEAST_COSINE), key=lambda row: row.ratio)
        met = "met" if best.ratio >= BAR else "NOT met"
        yield f"{kind}: {best.way} is {best.ratio:.2f} times {theirs.way}; the bar of {BAR:g} is {met}"
        if not native:
            yield (
                f"  without fast bfloat16 the float32 peak is the limit: the peer uses {theirs.share:.0%} of it, so "
                f"nothing in float32 can be more than {1 / theirs.share:.2f} times as fast"
            )


def main() -> None:
    """Print the table and whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, default=Path("data/validate/items.parquet"), help="a catalogue")
    parser.add_argument("--texts", type=int, default=1000, help="number of texts, sampled at random (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each method (default: 3)")
    asked = parser.parse_args()
    settings = load(Path(__file__).parents[2] / "params.yaml").embed.model_copy(update={"device": "cpu"})
    texts = [text for text in read_texts(asked.items) if text]
    drawn = np.random.default_rng(0).choice(len(texts), min(asked.texts, len(texts)), replace=False)
    whole = [texts[at] for at in drawn]
    kinds = {"title and genres": ["\n".join(text.split("\n")[:2]) for text in whole], "whole texts": whole}
    native = pays_bf16(Path("/proc/cpuinfo"))
    peaks = {name: peak(dtype) for name, dtype in TYPES.items() if native or name == "float32"}
    told = ", ".join(f"{name} {flop / 1e9:,.0f} GFLOP/s" for name, flop in peaks.items())
    print(f"{torch.get_num_threads()} cores; measured peak: {told}; bfloat16 {'pays' if native else 'does not pay'}\n")
    encoders = opened(settings, native)
    print(
        "| texts | method | texts/s, median | best | times the peer | lowest cosine with float32 | share of the peak |"
    )
    print("|---|---|---|---|---|---|---|")
    found: list[Row] = []
    with peer(locate(settings).folder) as theirs:
        ways = {PEER.replace("==", " "): theirs, **{name: timed(encoder) for name, encoder in encoders.items()}}
        for kind, chosen in kinds.items():
            flop = operations(next(iter(encoders.values())), chosen)
            for row in rows(compare(ways, chosen, asked.rounds), kind, flop, peaks):
                print(row.line(), flush=True)
                found.append(row)
    print("", *verdict(found, native), sep="\n")


if __name__ == "__main__":
    main()

"""Text encoding beside sentence-transformers, on the same texts, in turns, in one run.

    python benchmarks/encoding.py                       # data/validate/items.parquet, after a run
    python benchmarks/encoding.py --items FILE --texts 1000 --rounds 3

The peer encodes as its users call it (`SentenceTransformer(…).encode(texts)`: float32, batches of 32), in a process of
its own, with the packages of this environment and sentence-transformers from a folder in the state directory.
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
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tasks.content.encoder import Encoder
from tasks.content.source import locate
from tasks.content.text import read_texts
from tasks.content.text_encoder import Vectors
from tasks.data.environment import pays_bf16
from tasks.settings import load
from tasks.stage import state_directory

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
TARGETS = {True: 2.0, False: 1.05}
"""Least ratio to the peer where bfloat16 is native, and elsewhere."""
LEAST_COSINE = 0.999

Encode = Callable[[list[str]], tuple[float, Vectors]]


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


def compare(ways: dict[str, Encode], texts: list[str], rounds: int) -> dict[str, tuple[list[float], Vectors]]:
    """Seconds of each round and the vectors, each way in turn so that a noisy neighbour meets them all."""
    for encode in ways.values():
        encode(texts[:64])
    found: dict[str, tuple[list[float], Vectors]] = {}
    for _ in range(rounds):
        for name, encode in ways.items():
            seconds, vectors = encode(texts)
            found.setdefault(name, ([], vectors))[0].append(seconds)
    return found


def rows(found: dict[str, tuple[list[float], Vectors]], kind: str, n: int) -> Iterator[str]:
    """Lines of the table; the first way is the peer, the second the float32 that cosines refer to."""
    (peers, _), (_, exact), *_ = found.values()
    for name, (seconds, vectors) in found.items():
        ratio = median(theirs / ours for theirs, ours in zip(peers, seconds, strict=True))
        cosine = float((vectors * exact).sum(1).min())
        yield f"| {kind} | {name} | {n / median(seconds):,.0f} | {n / min(seconds):,.0f} | {ratio:.2f} | {cosine:.6f} |"


def main() -> None:
    """Print the table and whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, default=Path("data/validate/items.parquet"), help="a catalogue")
    parser.add_argument("--texts", type=int, default=1000, help="how many texts, drawn at random (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way (default: 3)")
    asked = parser.parse_args()
    settings = load(Path(__file__).parents[1] / "params.yaml").embed.model_copy(update={"device": "cpu"})
    texts = [text for text in read_texts(asked.items) if text]
    drawn = np.random.default_rng(0).choice(len(texts), min(asked.texts, len(texts)), replace=False)
    whole = [texts[at] for at in drawn]
    kinds = {"title and genres": ["\n".join(text.split("\n")[:2]) for text in whole], "whole texts": whole}
    native = pays_bf16(Path("/proc/cpuinfo"))
    encoders = {
        f"nightreel {dtype}{' (auto)' if (dtype == 'bfloat16') == native else ''}":
            Encoder.open(settings.model_copy(update={"dtype": dtype}))
        for dtype in ("float32", "bfloat16")
    }  # fmt: skip
    print("| texts | way | texts/s, median | best | times the peer | least cosine to float32 |")
    print("|---|---|---|---|---|---|")
    with peer(locate(settings).folder) as theirs:
        ways = {PEER.replace("==", " "): theirs, **{name: timed(encoder) for name, encoder in encoders.items()}}
        for kind, chosen in kinds.items():
            for line in rows(compare(ways, chosen, asked.rounds), kind, len(chosen)):
                print(line, flush=True)
    print(
        f"\nbfloat16 {'pays' if native else 'does not pay'} on this CPU; target of the automatic type: "
        f"{TARGETS[native]}× the peer, every cosine at least {LEAST_COSINE}"
    )


if __name__ == "__main__":
    main()

"""The comparison as a figure: a panel for each result, a bar for each model with its 95% interval.

python -m benchmarks.quality.plot OUT.svg RESULT.json…
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

COLOURS = {"ours": "#1b6ca8", "member": "#9cc3de", "peer": "#c8c8c8"}
NAMES = {"ours": "Nightreel", "member": "a member of it, alone", "peer": "peer"}


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Write an SVG or PNG; the same results give the same bytes."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams |= {"svg.hashsalt": "nightreel", "font.size": 9, "svg.fonttype": "none"}
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    tallest = max(len(result["models"]) for result in results)
    figure, panels = pyplot.subplots(
        1, len(results), figsize=(5.2 * len(results), 0.8 + 0.26 * tallest), squeeze=False, layout="constrained"
    )
    for panel, result in zip(panels[0], results, strict=True):
        _panel(panel, result)
    kinds = [kind for kind in COLOURS if any(m["kind"] == kind for result in results for m in result["models"])]
    handles = [Patch(color=COLOURS[kind], label=NAMES[kind]) for kind in kinds]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(kinds), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=120)
    pyplot.close(figure)


def _panel(panel: Any, result: dict[str, Any]) -> None:
    models = result["models"][::-1]
    points = [model["ndcg@10"] for model in models]
    panel.barh(
        [model["model"] + " (cut short)" * model.get("cut_short", False) for model in models], [p[0] for p in points],
        xerr=[[max(0.0, p[0] - p[1]) for p in points], [max(0.0, p[2] - p[0]) for p in points]],
        color=[COLOURS[model["kind"]] for model in models], error_kw={"ecolor": "#444444", "lw": 1, "capsize": 2},
    )  # fmt: skip
    protocol = result["protocol"].replace("_", "-")
    panel.set_title(f"{result['source']}, {protocol} ({result['test_users']:,} users)", fontsize=10)
    panel.set_xlabel("NDCG@10, 95% interval")
    panel.spines[["top", "right"]].set_visible(False)
    panel.margins(y=0.02)


def main() -> None:
    """Several results in one figure."""
    if len(sys.argv) < 3:
        raise SystemExit("python -m benchmarks.quality.plot OUT.svg RESULT.json…")
    draw([json.loads(Path(name).read_text("utf-8")) for name in sys.argv[2:]], Path(sys.argv[1]))


if __name__ == "__main__":
    main()

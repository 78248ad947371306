"""The posterior of exploration in a bundle, one .npy file an array.

    exploration/rows.npy        [u] int64 items of which little is known
    exploration/content.npy, known.npy, shrink.npy, usual.npy, deviation.npy, effect.npy, factor.npy
                                float32, see nightreel.models.exploration.posterior
    exploration/center.npy, projection.npy
                                float32, see nightreel.models.exploration.content_space

The share of places is `explore` in config.json; a bundle without it has no posterior either.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nightreel.bundle.format import BundleError
from nightreel.models.exploration.content_space import ContentSpace
from nightreel.models.exploration.posterior import TakePosterior
from nightreel.models.mapped_arrays import map_array

FOLDER = "exploration"
SHARE = "explore"
"""The field of config.json."""
PARTS = ("rows", "content", "known", "shrink", "usual", "deviation", "effect", "factor")


def write(folder: Path, found: TakePosterior) -> None:
    """Write the posterior into the folder of a bundle that is not sealed yet."""
    root = folder / FOLDER
    root.mkdir()
    arrays = {name: getattr(found, name) for name in PARTS}
    for name, array in (arrays | {"center": found.space.center, "projection": found.space.projection}).items():
        np.save(root / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)


def read(folder: Path, dimensions: int) -> TakePosterior | None:
    """Open the posterior of a bundle's folder, memory-mapped; None if it has none.

    Args:
        folder: The bundle's folder.
        dimensions: Length of a content vector.

    Raises:
        BundleError: An array does not fit the others; the message names it.
    """
    root = folder / FOLDER
    if not root.is_dir():
        return None
    arrays = {name: map_array(root / f"{name}.npy") for name in (*PARTS, "center", "projection")}
    items, directions = len(arrays["rows"]), arrays["projection"].shape[-1]
    weights = directions + 2
    shapes: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(("rows", "known", "shrink", "usual", "deviation"), (items,)),
        "content": (items, directions),
        "effect": (weights,),
        "factor": (weights, weights),
        "center": (dimensions,),
        "projection": (dimensions, directions),
    }
    for name, shape in shapes.items():
        kind = np.int64 if name == "rows" else np.float32
        if arrays[name].shape != shape or arrays[name].dtype != kind:
            raise BundleError(
                f"{root / f'{name}.npy'}: is {arrays[name].dtype} {list(arrays[name].shape)} instead of "
                f"{np.dtype(kind)} {list(shape)}. Use another version, or publish it again."
            )
    _within(root, "shrink", arrays["shrink"], lambda values: (values >= 0) & (values <= 1), "from 0 to 1")
    _within(root, "deviation", arrays["deviation"], lambda values: values >= 0, "at least 0")
    space = ContentSpace(arrays["center"], arrays["projection"])
    return TakePosterior(space, **{name: arrays[name] for name in PARTS})


def _within(
    root: Path,
    name: str,
    values: npt.NDArray[np.float32],
    sound: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.bool_]],
    range_: str,
) -> None:
    if not sound(values).all():
        raise BundleError(
            f"{root / f'{name}.npy'}: holds a number that is not {range_}. Use another version, or publish it again."
        )

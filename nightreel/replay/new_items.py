"""How new items fare in a step: what people took of them, and whether the lists had it among the first places."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from nightreel.data.histories import IntArray, ItemArray
from nightreel.evaluation.metrics.ranking import hits
from nightreel.replay.next_step import Step

CONTENT = "content_knn"


@dataclass(frozen=True)
class NewItems:
    """Items without a positive event before the night, in the step after it.

    Attributes:
        new_wanted: Pairs of a user and a new item that they took.
        new_reached: Those that the user's served list had among the first FIRST places; None if nothing was served.
        new_by_content: Those that a list by content alone would have had; None without such a model.
        new_places: Share of the first FIRST places of all served lists that new items had.
    """

    new_wanted: int
    new_reached: int | None = None
    new_by_content: int | None = None
    new_places: float | None = None

    def as_row(self) -> dict[str, float | None]:
        """The figures by name."""
        return asdict(self)


def new_items(step: Step, events: IntArray, served: ItemArray | None, by_content: ItemArray | None) -> NewItems:
    """Count.

    Args:
        step: n users.
        events: [items] positive events of each item before the night.
        served: [n, FIRST] the served lists, padded with -1; None if nothing was served.
        by_content: The same of the model CONTENT.
    """
    new = events == 0
    truth = step.truth.where(new[step.truth.keys % step.truth.n_items])
    wanted = len(truth.keys)
    if served is None:
        return NewItems(wanted)
    places = served >= 0
    share = float(new[served[places]].mean()) if places.any() else 0.0
    reached = [None if lists is None else int(hits(lists, truth).sum()) for lists in (served, by_content)]
    return NewItems(wanted, reached[0], reached[1], share)

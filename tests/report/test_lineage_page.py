"""The page of a version's lineage: every step is in the picture, every setting of every stage below it."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from nightreel.report.nights.lineage_page import LineageFacts, LineageStep, page, picture

STEPS = [
    LineageStep("source", "films & <shows>"),
    LineageStep("stages", "8 of 10 ran"),
    LineageStep("version", "ab" * 40),
]


def test_the_picture_has_a_box_for_each_step_and_an_arrow_between_two() -> None:
    drawn = ElementTree.fromstring(picture(STEPS))
    texts = [each.text for each in drawn.iter("text")]
    assert texts[:4] == ["source", "films & <shows>", "stages", "8 of 10 ran"]
    assert texts[5] is not None and texts[5].endswith("…") and len(texts[5]) == 40
    assert len(list(drawn.iter("rect"))) == 3 and len(list(drawn.iter("path"))) == 2
    assert "films & <shows>, then stages" in drawn.attrib["aria-label"]


def test_the_page_has_facts_stages_and_parameters() -> None:
    stages: list[dict[str, Any]] = [
        {"stage": "snapshot", "how": "ran", "seconds": 10.14},
        {"stage": "embed", "how": "unchanged", "seconds": None},
    ]
    parameters = {"finetune": {"seed": 7, "trees": {"num_leaves": 15}, "members": {}}}
    whole = page(LineageFacts("ab" * 32, STEPS, {"Code": "<commit>"}, stages, parameters))
    for said in (
        "version abababababab",
        "&lt;commit&gt;",
        "10.1",
        "unchanged",
        "finetune: 3 settings",
        "trees.num_leaves",
    ):
        assert said in whole
    assert "not in this machine" in page(LineageFacts("ab" * 32, STEPS, {}, [], {})).casefold()

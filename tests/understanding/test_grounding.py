import json

import pytest

from nightreel.understanding.llm.grounding import Unfit, check
from nightreel.understanding.text.item_prose import Prose
from nightreel.understanding.text.language import LanguageIdentifier

PROSE = Prose(
    "The Signal",
    "A retired astronaut, Mira Holm, builds a rocket in her garden. In 1987 a ship was lost near the moon. "
    "Every night its radio signal arrives.",
    "en",
)
GOOD = "A retired astronaut builds a rocket in her garden because a lost ship sends a radio signal every night."
IDENTIFIER = LanguageIdentifier()


def answer(summary: str = GOOD, theme: str = "loneliness", quote: str = "a ship was lost", **more: object) -> str:
    return json.dumps({"summary": summary, "themes": [{"theme": theme, "quote": quote}], **more})


def test_what_the_text_supports_is_used() -> None:
    assert check(answer(), PROSE, IDENTIFIER) == (GOOD, ["loneliness"], [])
    wrapped = f"Sure! Here it is:\n```json\n{answer(quote='BUILDS  a rocket')}\n```"
    assert check(wrapped, PROSE, IDENTIFIER) == (GOOD, ["loneliness"], []), (
        "white space and capitals of a quote don't count"
    )
    assert check(answer("Mira builds a rocket after 1987."), PROSE, IDENTIFIER)[0] == "Mira builds a rocket after 1987."


def test_a_theme_without_evidence_is_left_out_alone() -> None:
    summary, themes, doubts = check(answer(quote="a ship was found"), PROSE, IDENTIFIER)
    assert (summary, themes, doubts) == (GOOD, [], ["the quote for 'loneliness' is not in the text"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I can't do that.", "is not JSON of the schema"),
        ("{broken", "is not JSON of the schema"),
        ('["summary"]', "is not JSON of the schema"),
        (answer(extra=1), "is not JSON of the schema"),
        (answer(" "), "its summary is not a text of 1 to 400 characters"),
        (answer("rocket " * 100), "its summary is not a text of 1 to 400 characters"),
        (answer(theme="x" * 41), "a theme is not a text of 1 to 40 characters with a quote"),
        ('{"summary": "A rocket.", "themes": ["space"]}', "a theme is not JSON of the schema"),
        (json.dumps({"summary": "A rocket.", "themes": [{"theme": "a", "quote": "A"}] * 6}), "has more than 5 themes"),
        (answer("The signal."), "its summary is the title"),
        (answer("A retired astronaut, Ellen Ripley, builds a rocket in her garden."), "'Ellen' is not in the text"),
        (answer("A retired astronaut builds a rocket in 1999."), "'1999' is not in the text"),
        (answer("A grieving detective hunts killers through crowded casinos."), "most of its summary's words are not in the text"),
        (
            answer("Eine ehemalige Astronautin baut in ihrem Garten eine Rakete, weil sie ein Signal hört."),
            "its summary is in de, the item's text in en",
        ),
    ],
)  # fmt: skip
def test_what_it_does_not_support_is_not(text: str, reason: str) -> None:
    with pytest.raises(Unfit) as caught:
        check(text, PROSE, IDENTIFIER)
    assert str(caught.value) == reason

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


@pytest.mark.parametrize("text", ["A hacker of the 22nd century joins.", "Our 3D printer prints.", "The 1960s began."])
def test_what_is_copied_word_for_word_is_used(text: str) -> None:
    assert check(json.dumps({"summary": text, "themes": []}), Prose("T", text, "en"), IDENTIFIER)[0] == text


@pytest.mark.parametrize(
    ("language", "text", "faithful", "invented"),
    [
        (
            "zh",
            "一位退休的宇航员在自家花园里建造火箭，每天夜里她都会收到月球附近失踪飞船的无线电信号。",
            "退休女宇航员因收到失踪飞船的信号，在花园里造火箭。",
            "侦探在赌场里追捕一个连环杀手，并揭开了城市的秘密。",
        ),
        (
            "ja",
            "引退した宇宙飛行士が庭でロケットを作り、毎晩行方不明の船から無線信号を受け取る。",
            "引退した宇宙飛行士は、消えた船の信号を頼りに庭でロケットを作る。",
            "刑事が連続殺人犯を追って都会のカジノに潜入する物語。",
        ),
        (
            "ko",
            "은퇴한 우주비행사는 정원에서 로켓을 만들고 밤마다 사라진 배의 신호를 듣는다.",
            "은퇴한 우주비행사가 정원에서 로켓을 만드는 이야기.",
            "형사가 도시에서 연쇄 살인범을 쫓는 범죄 이야기이다.",
        ),
    ],
)
def test_scripts_without_spaces_or_with_particles(language: str, text: str, faithful: str, invented: str) -> None:
    def checked(summary: str) -> str:
        answer = json.dumps({"summary": summary, "themes": []}, ensure_ascii=False)
        return check(answer, Prose("題", text, language), IDENTIFIER)[0]

    assert checked(faithful) == faithful
    with pytest.raises(Unfit, match="most of its summary's words are not in the text"):
        checked(invented)
    with pytest.raises(Unfit, match="'2031' is not in the text"):
        checked(f"2031{faithful}")

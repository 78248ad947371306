from pathlib import Path

import pytest

from nightreel.understanding.text.item_prose import Prose
from nightreel.understanding.text.language import Guess, LanguageIdentifier, Languages

IDENTIFIER = LanguageIdentifier()
SENTENCES = {
    "en": "A lonely lighthouse keeper finds a letter that was written a hundred years ago.",
    "de": "Ein einsamer Leuchtturmwärter findet einen Brief, der vor hundert Jahren geschrieben wurde.",
    "fr": "Un gardien de phare solitaire trouve une lettre qui a été écrite il y a cent ans.",
    "es": "Un solitario guardián del faro encuentra una carta que fue escrita hace cien años.",
    "it": "Un solitario guardiano del faro trova una lettera che è stata scritta cento anni fa.",
    "pt": "Um faroleiro solitário encontra uma carta que foi escrita há cem anos.",
    "nl": "Een eenzame vuurtorenwachter vindt een brief die honderd jaar geleden is geschreven.",
    "pl": "Samotny latarnik znajduje list, który został napisany sto lat temu.",
    "ru": "Одинокий смотритель маяка находит письмо, написанное сто лет назад.",
    "el": "Ένας μοναχικός φαροφύλακας βρίσκει ένα γράμμα που γράφτηκε πριν από εκατό χρόνια.",
    "ar": "حارس منارة وحيد يجد رسالة كتبت قبل مائة عام.",
    "hi": "एक अकेले प्रकाशस्तंभ रक्षक को सौ साल पहले लिखा गया एक पत्र मिलता है।",
    "zh": "一位孤独的灯塔看守人发现了一封一百年前写的信。",
    "ja": "孤独な灯台守が百年前に書かれた手紙を見つける。",
    "ko": "외로운 등대지기가 백 년 전에 쓰인 편지를 발견한다.",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_tells_its_language(language: str) -> None:
    guess = IDENTIFIER.identify(SENTENCES[language])
    assert guess.language == language and guess.score > 0.75


def test_a_short_title_is_no_evidence_and_says_so() -> None:
    assert IDENTIFIER.identify("Alien").score < 0.9
    assert IDENTIFIER.identify("1984 …").language == ""
    assert IDENTIFIER.identify("七人の侍").language == "ja" and IDENTIFIER.identify("기생충").score == 1.0
    assert IDENTIFIER.identify("卧虎藏龙").language == "zh"


def test_a_foreign_name_is_not_the_language() -> None:
    text = "Tokyo Story (東京物語の) is a film about old parents who visit their children in the city."
    assert IDENTIFIER.identify(text).language == "en"


def test_the_card_names_model_and_digest() -> None:
    card = IDENTIFIER.card()
    assert card["model"] == "py3langid" and len(card["weights"]) == 64


class Counting(LanguageIdentifier):
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def identify(self, text: str) -> Guess:
        self.asked.append(text)
        return super().identify(text)


def test_a_text_is_identified_once(tmp_path: Path) -> None:
    old, new = [Prose("", SENTENCES[language], "") for language in ("de", "fr", "de")], Prose("1984", "", "")
    identifier, nights = Counting(), []
    for texts in (old, [*old, new]):
        languages = Languages(identifier, tmp_path)
        with languages.cache:
            nights.append(languages.of(texts))
    assert nights[1] == [IDENTIFIER.identify(text.whole) for text in (*old, new)]
    assert nights[0] == nights[1][:3] and [guess.language for guess in nights[1]] == ["de", "fr", "de", ""]
    assert identifier.asked == [old[0].whole, old[1].whole, new.whole]

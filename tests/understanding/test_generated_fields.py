"""Language models behind their interface: a real HTTP server that speaks chat completions, and a real small network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nightreel.content.encoders.transformer import Encoder
from nightreel.errors import TemporaryError
from nightreel.settings.params_file import Settings
from nightreel.settings.section import SettingsError
from nightreel.settings.understand import Writer
from nightreel.understanding.llm.client import Endpoint, LanguageModel, Local, open_model
from nightreel.understanding.llm.generated_fields import Writing
from nightreel.understanding.llm.grounding import SCHEMA
from nightreel.understanding.schema import Understood
from nightreel.understanding.text.item_prose import Prose
from nightreel.understanding.text.language import LanguageIdentifier
from tests.understanding.chat_server import Server, chat_server

TEXTS = [
    Prose(f"Film {n}", f"A sailor number {n} repairs an old boat in the harbour and waits for rain.", "en")
    for n in range(4)
]


IDENTIFIER = LanguageIdentifier()


@pytest.fixture
def server() -> Iterator[Server]:
    with chat_server() as server:
        server.quote = "waits for rain"
        yield server


@pytest.fixture
def writer(settings: Settings, server: Server) -> Writer:
    return settings.understand.writer.model_copy(
        update={"model": "a-model", "endpoint": server.address, "per_minute": 1e6}
    )


def write_fields(
    told: Sequence[int], model: LanguageModel, settings: Writer, found: Understood, root: Path
) -> dict[str, int]:
    with Writing(model, IDENTIFIER, settings, root) as writing:
        writing.write(told, TEXTS, found)
    return writing.counts()


def understood() -> Understood:
    return Understood([f"i{n}" for n in range(len(TEXTS))])


def fast(writer: Writer) -> Endpoint:
    model = Endpoint(writer)
    model.pause_s = 0.001
    return model


def test_answers_are_checked_kept_and_asked_for_once(
    server: Server, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTREEL_LLM_KEY", "a-key")
    found = understood()
    counts = write_fields(range(4), open_model(writer), writer, found, tmp_path)
    assert counts == {"asked": 4, "tokens": 400} and not found.review
    assert found.fields[2]["written_summary"] == TEXTS[2].body and found.fields[2]["themes"] == ["signal"]
    assert server.keys == ["Bearer a-key"] * 4
    body = server.asked[0]
    assert (body["model"], body["temperature"]) == ("a-model", 0)
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["summary", "themes"]
    assert "a-key" not in json.dumps([found.cards, found.provenance]) and "127.0.0.1" not in json.dumps(found.cards)
    again = understood()
    assert write_fields(range(4), open_model(writer), writer, again, tmp_path)["asked"] == 0
    assert (again.fields, again.provenance) == (found.fields, found.provenance)


def test_what_is_made_up_goes_to_review(server: Server, writer: Writer, tmp_path: Path) -> None:
    server.invents = True
    found = understood()
    write_fields([0], open_model(writer), writer, found, tmp_path)
    assert "written_summary" not in found.fields[0]
    (row,) = found.review
    assert (row["item_id"], row["reason"]) == ("i0", "'Ned' is not in the text") and "pirate" in row["answer"]
    assert found.provenance[0][0]["skipped"] == "rejected: 'Ned' is not in the text"


def test_a_spent_budget_leaves_the_rest_for_the_next_run(server: Server, writer: Writer, tmp_path: Path) -> None:
    small = writer.model_copy(update={"budget_tokens": 150})
    for asked in (2, 2, 0):
        found = understood()
        assert write_fields(range(4), open_model(small), small, found, tmp_path)["asked"] == asked
    assert all("written_summary" in own for own in found.fields)


def test_a_busy_server_is_asked_again_and_a_refusal_is_not(server: Server, writer: Writer, tmp_path: Path) -> None:
    server.failures = [503, 429]
    assert write_fields([0], fast(writer), writer, understood(), tmp_path)["asked"] == 1
    server.failures = [401]
    with pytest.raises(SettingsError, match=r"answered 401 .* key in NIGHTREEL_LLM_KEY"):
        fast(writer).answer("s", "p", {})
    server.failures = [503] * 4
    with pytest.raises(TemporaryError, match="did not answer in 4 attempts"):
        fast(writer).answer("s", "p", {})
    assert not server.failures


def test_an_endpoint_that_is_away_never_ends_the_night(
    server: Server, writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(Endpoint):
        def _post(self, body: dict[str, Any]) -> Any:
            if len(server.asked) >= 2:
                raise TemporaryError("gone")
            return super()._post(body)

    found = understood()
    assert write_fields(range(4), Failing(writer), writer, found, tmp_path)["asked"] == 2
    assert [("written_summary" in own) for own in found.fields] == [True, True, False, False]
    assert "is not available: gone" in found.provenance[3][0]["skipped"]
    assert capsys.readouterr().out.count("The night continues without it") == 1
    assert write_fields(range(4), open_model(writer), writer, understood(), tmp_path)["asked"] == 2


def test_items_that_wait_are_noted_for_the_next_night(server: Server, writer: Writer, tmp_path: Path) -> None:
    small, note = writer.model_copy(update={"budget_tokens": 150}), tmp_path / "waiting.json"
    for turn, items in ((0, 2), (1, 0)):
        with Writing(open_model(small), IDENTIFIER, small, tmp_path / "writer", turn) as writing:
            writing.write(range(4), TEXTS, understood())
        assert json.loads(note.read_text()) == {"turn": turn, "items": items}
    server.failures = [400]
    with Writing(fast(writer), IDENTIFIER, writer, tmp_path / "other", 0) as writing:
        writing.write([0], TEXTS, understood())
    assert json.loads(note.read_text())["items"] == 0, "one that is refused would be refused every night"


def test_one_refused_item_is_passed_over(server: Server, writer: Writer, tmp_path: Path) -> None:
    server.failures = [400]
    found = understood()
    assert write_fields(range(4), fast(writer), writer, found, tmp_path)["asked"] == 3
    assert [("written_summary" in own) for own in found.fields] == [False, True, True, True]
    assert "answered 400" in found.provenance[0][0]["skipped"]


def test_one_refusal_after_the_other_or_a_wrong_key_stops_asking(
    server: Server, writer: Writer, tmp_path: Path
) -> None:
    for failures, left in (([422] * 4, 1), ([401] * 4, 3)):
        server.failures = list(failures)
        found = understood()
        assert write_fields(range(4), fast(writer), writer, found, tmp_path / str(left))["asked"] == 0
        assert len(server.failures) == left and not any("written_summary" in own for own in found.fields)


def test_the_servers_words_are_shown_without_the_key(
    server: Server, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTREEL_LLM_KEY", "a-secret-key")
    server.failures, server.says = [400], "unknown field `seed`; the key a-secret-key may not set it"
    with pytest.raises(SettingsError, match=r"answered 400 .*unknown field `seed`; the key … may not") as told:
        fast(writer).answer("s", "p", {})
    assert "a-secret-key" not in str(told.value)


def test_fields_of_the_request_can_be_set_and_left_out(server: Server, writer: Writer) -> None:
    own = writer.model_copy(update={"request": {"temperature": 0.2, "seed": None, "top_p": 0.9}})
    fast(own).answer("s", "p\nText:\nx. y", SCHEMA)
    assert (server.asked[0]["temperature"], server.asked[0]["top_p"]) == (0.2, 0.9) and "seed" not in server.asked[0]
    assert Endpoint(own).card() != Endpoint(writer).card()


def test_a_model_on_this_machine(settings: Settings, encoder: Encoder, tmp_path: Path) -> None:
    """A network with random weights: its answer has the form, what it says is not in the text and is not used."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30522, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=2048, bos_token_id=101, eos_token_id=102, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(encoder.source.folder).save_pretrained(tmp_path / "model")
    writer = settings.understand.writer.model_copy(update={"model": str(tmp_path / "model"), "max_tokens": 16})
    model = open_model(writer)
    assert isinstance(model, Local) and model.card()["model"] == "model" and str(tmp_path) not in str(model.card())
    first = model.answer("Say something.", "Now.", SCHEMA)
    assert json.loads(first.text).keys() == {"summary", "themes"} and first.tokens > 16
    assert model.answer("Say something.", "Now.", SCHEMA) == first
    found = understood()
    write_fields([0], model, writer, found, tmp_path / "cache")
    (row,) = found.review
    assert row["item_id"] == "i0" and "JSON" not in row["reason"] and "written_summary" not in found.fields[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "./nowhere"}, r"understand\.writer\.model: \./nowhere holds no config\.json"),
        ({"model": "m", "endpoint": "localhost:8000"}, r"understand\.writer\.endpoint: localhost:8000 is not an http"),
    ],
)
def test_settings_that_can_not_work(settings: Settings, changes: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        open_model(settings.understand.writer.model_copy(update=changes))

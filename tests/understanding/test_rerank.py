"""A language model's order of a list: what it is shown, and that only a permutation is used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nightreel.understanding.llm.client import LanguageModel, open_model
from nightreel.understanding.llm.grounding import Unfit
from nightreel.understanding.llm.rerank import permutation, prompt_of, rerank
from tests.support.settings import settings
from tests.understanding.chat_server import Server, chat_server


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with chat_server() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.order = None
    running.asked.clear()
    return running


def model(server: Server) -> LanguageModel:
    asked = {"model": "tiny", "endpoint": server.address}
    return open_model(settings().understand.writer.model_copy(update=asked))


def test_the_models_order_is_taken(server: Server) -> None:
    found = rerank(model(server), ["Alien", "Heat"], ["A", "B", "C"])
    assert (found.order, found.fault, found.tokens) == ((2, 1, 0), "", 100)
    told = server.asked[0]["messages"][1]["content"]
    assert told == "Liked, oldest first:\n- Alien\n- Heat\n\nCandidates:\n1. A\n2. B\n3. C"
    schema = server.asked[0]["response_format"]["json_schema"]["schema"]["properties"]["order"]
    assert (schema["minItems"], schema["maxItems"], schema["items"]["maximum"]) == (3, 3, 3)


@pytest.mark.parametrize("order", [[], [1, 2], [1, 1, 2], [0, 1, 2], [1, 2, 4], [1, 2, 3, 3]])
def test_anything_but_a_permutation_leaves_the_list_as_it_was(server: Server, order: list[int]) -> None:
    server.order = order
    found = rerank(model(server), [], ["A", "B", "C"])
    assert found.order == (0, 1, 2) and "is no permutation" in found.fault and found.tokens == 100


@pytest.mark.parametrize("answer", ["", "3, 2, 1", '{"order": "321"}', '{"order": [3, 2, "1"]}', '{"order": [true, 2, 3]}',
                                    '{"order": [3, 2, 1], "why": "so"}', '{"order": [3, 2, 1.0]}', '{"order": [3, 2', "[3, 2, 1]"])  # fmt: skip
def test_what_is_not_json_of_the_schema_is_unfit(answer: str) -> None:
    with pytest.raises(Unfit, match="JSON of the schema"):
        permutation(answer, 3)


def test_words_around_the_json_do_no_harm() -> None:
    assert permutation('Sure!\n```json\n{"order": [2, 3, 1]}\n```', 3) == (1, 2, 0)


def test_the_newest_of_a_long_history_is_shown() -> None:
    told = prompt_of([f"film {n}" for n in range(30)], ["A", "B"])
    assert "film 9\n" not in told and told.index("film 10") < told.index("film 29")
    assert "- nothing yet" in prompt_of([], ["A", "B"])


def test_a_list_of_one_needs_no_model(server: Server) -> None:
    assert rerank(model(server), ["Alien"], ["A"]).order == (0,)
    assert rerank(model(server), ["Alien"], []).order == ()
    assert not server.asked

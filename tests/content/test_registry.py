"""Which encoder a catalogue needs: the English one gives way where it can't read the titles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.content.encoders.model_source import ENGLISH, UNIVERSAL
from nightreel.content.encoders.registry import open_encoder, other_scripts, resolve_encoder
from nightreel.settings.embed import Embed
from tests.support.settings import settings

ENGLISH_TITLES = ["Heat", "Amélie", "Đất rừng phương Nam", "La Haine", "Solaris", "8½", "Ran", "2046"]
CHINESE = ["流浪地球", "霸王别姬 (Farewell)", "让子弹飞"]


@pytest.mark.parametrize(
    ("titles", "share"),
    [
        (["Heat", "Amélie", "Đất rừng phương Nam"], 0),
        (["Heat", "Сталкер", "기생충", "千と千尋の神隠し"], 0.75),
        (["The Matrix 黑客帝国", "黑客帝国 黑客帝国 Matrix"], 0.5),
        (["1984", "", "流浪地球"], 1),
        (["1984", ""], 0),
        ([], 0),
    ],
)
def test_the_share_of_titles_in_other_scripts(titles: list[str], share: float) -> None:
    assert other_scripts(titles) == share


def catalogue(folder: Path, titles: list[str | None]) -> Path:
    path = folder / "items.parquet"
    pq.write_table(pa.table({"item_id": [str(n) for n in range(len(titles))], "title": titles}), path)
    return path


def test_a_catalogue_that_english_can_not_read_gets_the_multilingual_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = settings()
    few = catalogue(tmp_path, [*ENGLISH_TITLES, *CHINESE[:1], None])
    assert resolve_encoder(own, few) == own and not capsys.readouterr().out
    many = catalogue(tmp_path, [*ENGLISH_TITLES, *CHINESE])
    assert resolve_encoder(own, many) == settings(embed={"encoder": UNIVERSAL})
    assert "22% of the titles are in a script that all-MiniLM-L6-v2 does not support" in capsys.readouterr().out
    for asked in (settings(embed={"encoder": "./own"}), settings(embed={"multilingual": ""})):
        assert resolve_encoder(asked, many) == asked, "what a person chose stays"


@pytest.mark.end_to_end
def test_what_english_takes_for_one_title_the_other_tells_apart(embed_settings: Embed) -> None:
    """Why it gives way: its vocabulary lacks these characters, so kittens, dances and journeys are the same to it."""
    titles = ["猫咪", "舞蹈", "跑步", "烹饪", "旅游"]
    same = open_encoder(embed_settings).encode(titles)
    assert embed_settings.encoder == ENGLISH and (same == same[0]).all()
    apart = open_encoder(embed_settings.model_copy(update={"encoder": UNIVERSAL})).encode(titles)
    assert np.triu(apart @ apart.T, 1).max() < 0.7

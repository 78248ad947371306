"""Lists by what outcomes are worth: by the version's own values, and by those of rules, at once and without training."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nightreel.bundle import editorial_rules
from nightreel.bundle.format import BundleError
from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from nightreel.settings.section import SettingsError
from tests.support.bundles import reseal, write_bundle
from tests.support.ruled_bundle import open_ruled
from tests.support.settings import settings
from tests.support.valued_bundle import write_valued

NOON = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
DISLIKES = {"dislike": -9.0}
Made = Callable[..., Reader]


def value(outcome: str, worth: float, **when: dt.datetime) -> dict[str, Any]:
    return {"rule": "value", "target": f"outcome:{outcome}", "value": worth, **when}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With heads and precomputed lists, without values."""
    folder = tmp_path_factory.mktemp("valued") / "bundle"
    write_valued(folder, items=60)
    precompute(folder, Reader.open_bundle(folder))
    return folder


@pytest.fixture
def ruled(bundle: Path, tmp_path: Path) -> Made:
    def made(*rules: dict[str, Any], now: dt.datetime = NOON) -> Reader:
        return open_ruled(bundle, tmp_path, *rules, now=now)

    return made


@pytest.fixture(scope="module")
def of_params(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """The same version with values of its own."""
    folder = tmp_path_factory.mktemp("params") / "bundle"
    write_valued(folder, DISLIKES, items=60)
    precompute(folder, Reader.open_bundle(folder))
    return Reader.open_bundle(folder)


def ids(reader: Reader, user: str = "u000") -> list[str]:
    return [each.item_id for each in reader.recommend(user, k=8)]


def test_heads_without_values_leave_the_stored_lists_as_they_are(bundle: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "plain", items=60)
    precompute(tmp_path / "plain", Reader.open_bundle(tmp_path / "plain"))
    for name in ("items", "scores"):
        file = Path("lists") / f"{name}.npy"
        assert (bundle / file).read_bytes() == (tmp_path / "plain" / file).read_bytes()


def test_rules_change_the_order_at_once_and_end(ruled: Made, bundle: Path, of_params: Reader) -> None:
    plain, reader = ids(Reader.open_bundle(bundle)), ruled(value("dislike", -9.0))
    assert ids(reader) != plain and ids(reader) == ids(of_params)
    over = ruled(value("dislike", -9.0, ends_at=NOON))
    assert ids(over) == plain
    early = reader.standing(NOON.timestamp()).value
    assert early == DISLIKES and over.standing(NOON.timestamp()).value is None


def test_every_kind_of_request_follows_the_rules(ruled: Made, of_params: Reader) -> None:
    reader, history = ruled(value("dislike", -9.0)), ["i000", "i002", "i004"]
    for one in (reader, of_params):
        table = one.recommend_users(["u000", "u001"], k=8)
        assert table["item_id"].to_pylist()[:8] == ids(one)
    assert reader.recommend(history=history, k=8) == of_params.recommend(history=history, k=8)
    first = ids(reader)[0]
    assert reader.explain(first, "u000").rank == 1 == of_params.explain(first, "u000").rank


def test_of_rules_and_params_the_rules_count(ruled: Made, of_params: Reader, bundle: Path) -> None:
    plain = ids(Reader.open_bundle(bundle))
    assert ids(of_params) != plain
    again = ruled(value("dislike", -9.0), value("dislike", 0.0), value("wanted", 1.0))
    assert ids(again) == plain


def test_precomputed_lists_follow_the_params(of_params: Reader) -> None:
    assert of_params.stored.lists is not None
    assert [of_params.items.ids[i] for i in of_params.stored.lists.items[0][:8].tolist()] == ids(of_params)


def test_the_models_are_judged_without_values(of_params: Reader, bundle: Path) -> None:
    assert ids(of_params.hiding([])) == ids(Reader.open_bundle(bundle))


def test_a_newcomers_list_is_of_popular_items(ruled: Made, bundle: Path) -> None:
    assert ids(ruled(value("dislike", -9.0)), "nobody") == ids(Reader.open_bundle(bundle), "nobody")


def test_a_version_without_heads_has_no_values(tmp_path: Path) -> None:
    write_bundle(tmp_path / "plain", items=60)
    before = ids(Reader.open_bundle(tmp_path / "plain"))
    editorial_rules.write(tmp_path / "plain", pa.Table.from_pylist([value("like", 3.0)], RULES_SCHEMA))
    reseal(tmp_path / "plain")
    assert ids(Reader.open_bundle(tmp_path / "plain")) == before


@pytest.mark.parametrize(("given", "said"), [
    ({"likes": 2}, "'likes' is no outcome. Name some of wanted, watch, click, like"),
    ({"like": "much"}, "like: 'much' is no number from -1000 to 1000"),
    ({"like": float("nan")}, "like: nan is no number"),
    ({"like": float("inf")}, "like: inf is no number"),
    ({"like": True}, "like: True is no number"),
    ({"like": 5000}, "like: 5000 is no number from -1000 to 1000"),
    ([2], "names no outcomes"),
])  # fmt: skip
def test_a_wrong_value_is_an_error_that_says_what_is_right(given: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=r"refit\.value") as raised:
        settings(refit={"value": given})
    assert said in str(raised.value)


def test_values_are_numbers_by_outcome() -> None:
    assert settings().refit.value == {}
    assert settings(refit={"value": {"like": 2, "dislike": -4}}).refit.value == {"like": 2.0, "dislike": -4.0}


@pytest.mark.parametrize(("change", "said"), [
    (lambda heads: heads["outcomes"].__setitem__("../like", [1.0, 0.0]), "outcomes"),
    (lambda heads: heads.__setitem__("wanted", [1.0]), "wanted"),
    (lambda heads: heads.__setitem__("columns", []), "columns"),
    (lambda heads: heads["outcomes"].__setitem__("share", [1.0, 0.0]), "share.txt"),
])  # fmt: skip
def test_a_version_with_malformed_heads_is_refused(bundle: Path, tmp_path: Path, change: Any, said: str) -> None:
    folder = tmp_path / "bad"
    shutil.copytree(bundle, folder)
    path = folder / "engine" / "engine.json"
    described = json.loads(path.read_text("utf-8"))
    change(described["heads"])
    path.write_text(json.dumps(described), "utf-8")
    reseal(folder)
    with pytest.raises(BundleError, match=said):
        Reader.open_bundle(folder)


def test_trees_that_look_at_an_unknown_feature_are_refused(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    shutil.copytree(bundle, folder)
    path = folder / "engine" / "heads" / "like.txt"
    path.write_text(path.read_text("utf-8").replace("split_feature=0", "split_feature=9"), "utf-8")
    reseal(folder)
    with pytest.raises(BundleError, match=r"like\.txt: looks at a feature beyond the 2 columns"):
        Reader.open_bundle(folder)


def test_what_values_raised_says_so(ruled: Made, bundle: Path) -> None:
    plain = ids(Reader.open_bundle(bundle))
    listed = ruled(value("dislike", -9.0)).recommend("u000", k=8, reasons=True)
    raised = {each.item_id for each in listed if any(reason.kind == "value" for reason in each.reasons)}
    expected = {
        each.item_id for each in listed if each.item_id not in plain or plain.index(each.item_id) + 1 > each.rank
    }
    assert raised == expected and 0 < len(raised) < len(listed)
    assert listed[0].reasons[-1].kind == "value" or listed[0].item_id == plain[0]
    for each in Reader.open_bundle(bundle).recommend("u000", k=8, reasons=True):
        assert all(reason.kind != "value" for reason in each.reasons)

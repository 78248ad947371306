"""The key's life, and what a redacted row may show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from nightreel.data import privacy
from nightreel.errors import UserError


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(privacy.KEY_VARIABLE, raising=False)


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    assert privacy.load_key(tmp_path / "state", create=False) is None
    key = privacy.load_key(tmp_path / "state", create=True)
    assert key and len(key) == 64 and privacy.load_key(tmp_path / "state", create=False) == key
    assert [(path.name, path.stat().st_mode & 0o777) for path in (tmp_path / "state").iterdir()] == [
        ("pseudonym.key", 0o600)
    ]


def test_the_environments_key_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(privacy.KEY_VARIABLE, "of the vault")
    assert privacy.load_key(tmp_path, create=True) == b"of the vault" and not list(tmp_path.iterdir())


def test_an_empty_key_file_is_an_error_not_a_key(tmp_path: Path) -> None:
    (tmp_path / "pseudonym.key").touch()
    with pytest.raises(UserError, match=r"pseudonym.key: is empty. Restore it"):
        privacy.load_key(tmp_path, create=True)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    privacy.load_key(tmp_path, create=True)
    for mode in (0o644, 0o640, 0o602):
        (tmp_path / "pseudonym.key").chmod(mode)
        with pytest.raises(UserError, match=r"pseudonym.key: .*may be read by other users.*chmod 600"):
            privacy.load_key(tmp_path, create=False)
    (tmp_path / "pseudonym.key").chmod(0o400)
    assert privacy.load_key(tmp_path, create=False)


def test_no_night_takes_a_key_that_can_be_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pseudonym.key").write_text("hunter2\n")
    (tmp_path / "pseudonym.key").chmod(0o600)
    with pytest.raises(UserError, match=r"pseudonym.key: .*7 characters.*openssl rand"):
        privacy.wanted_key("on", False, tmp_path)
    assert privacy.wanted_key("off", False, tmp_path) is None
    monkeypatch.setenv(privacy.KEY_VARIABLE, "k" * 31)
    with pytest.raises(UserError, match=rf"{privacy.KEY_VARIABLE}: .*31 characters"):
        privacy.wanted_key("on", False, tmp_path)
    monkeypatch.setenv(privacy.KEY_VARIABLE, "k" * 32)
    assert privacy.wanted_key("on", False, tmp_path) == b"k" * 32


def test_fingerprints_tell_keys_apart_without_showing_them() -> None:
    assert privacy.key_fingerprint(b"a") != privacy.key_fingerprint(b"b")
    assert len(privacy.key_fingerprint(b"a")) == 16


def test_the_pseudonym_is_hmac_sha256() -> None:
    # By the definition in RFC 2104, for a key shorter than a block.
    block = b"key".ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + b"42").digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).hexdigest()
    assert privacy.pseudonym(b"key", "42") == outer[:32]


def test_a_private_row_shows_numbers_and_shapes_only() -> None:
    row = {
        "user_id": "0a1b",
        "item_id": "i1",
        "value": 9.0,
        "text": "secret",
        "session_id": "s-77",
        "event": "Müller 1",
        "device": None,
    }
    assert json.loads(privacy.redacted(row, "event", private=True)) == {
        "user_id": "0a1b", "item_id": "i1", "value": 9.0, "text": "[6 characters]", "session_id": "[4 characters]",
        "event": "[masked: aaaaaa 9]",
    }  # fmt: skip
    assert json.loads(privacy.redacted(row, "event", private=False))["text"] == "secret"


def test_long_and_broken_text_stays_readable() -> None:
    shown = json.loads(privacy.redacted({"title": "x" * 500, "event": "a\x00b\ud800"}, "title", private=False))
    assert len(shown["title"]) == privacy.LONGEST and shown["event"] == "a\\0b?"


def test_a_mask_is_no_value_and_the_catalogue_is_shown() -> None:
    persons = privacy.Persons(frozenset({"ann", "i7"}), frozenset({"i7"}))

    def shown(row: Mapping[str, object], faulty: str, table: str = "events") -> dict[str, object]:
        text = privacy.redacted(row, faulty, private=True, table=table, persons=persons)
        return json.loads(text)  # type: ignore[no-any-return]

    assert shown({"item_id": "9"}, "item_id") == {"item_id": "9"}
    assert shown({"item_id": "i7"}, "item_id") == {"item_id": "i7"}, "an item may have the id of a user"
    for id_ in ("ann", " ann ", "bob@example.org"):
        assert shown({"item_id": id_, "event": id_}, "item_id") == {
            "item_id": privacy.USER_ID,
            "event": privacy.USER_ID,
        }
    assert shown({"event": "click"}, "event") == {"event": "click"}
    assert shown({"timestamp": "tomorrow", "value": "0.5"}, "value") == {
        "timestamp": "[masked: aaaaaaaa]", "value": "0.5"
    }  # fmt: skip
    for plain in (
        "0,95",
        "95%",
        "-3",
        "2026-13-45",
        "31/12/2026 25:61",
        "2026-02-30T10:00:00Z",
        "2026-02-30 10:00+02:00",
    ):
        assert shown({"timestamp": plain}, "timestamp") == {"timestamp": plain}
    for other in ("+49 170 1234567", "4915112345678", "ann@x.org", "i am 42", "12.5.6.7", "1990-01-01 ann"):
        assert str(shown({"timestamp": other}, "timestamp")["timestamp"]).startswith("[masked: ")
    numbered = privacy.Persons(frozenset({"42"}))
    masked = privacy.redacted({"value": "42"}, "value", private=True, persons=numbered)
    assert json.loads(masked) == {"value": "[masked: 99]"}, "it is the id of a user"
    assert shown({"timestamp": "2024-01-01 10:00", "event": "play"}, "event")["timestamp"] == "2024-01-01 10:00"
    row = {"genres": ["A"], "language": "tlh-", "description": "a story"}
    assert shown(row, "language", "items") == row

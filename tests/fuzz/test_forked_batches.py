"""Cases that hang, crash or fail are named, and the others run; a busy machine alone makes no case hang."""

from __future__ import annotations

import os
import time

import pytest

from tests.fuzz import forked_batches


def case(number: int) -> str | None:
    if number == 1:
        while True:
            pass
    if number == 2:
        time.sleep(600)
    if number == 3:
        os.abort()
    if number == 4:
        time.sleep(0.6)  # longer by the clock than the limit, and sound
    return "is wrong" if number == 5 else None


def test_each_bad_case_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked_batches, "LIMIT_S", 0.3)
    monkeypatch.setattr(forked_batches, "WAITING_S", 1.8)
    monkeypatch.setattr(forked_batches, "LOOK_S", 0.05)
    assert [(each.number, each.what) for each in forked_batches.run(case, range(7))] == [
        (1, "took too long"), (2, "took too long"), (3, "ended the process (-6)"), (5, "is wrong"),
    ]  # fmt: skip

"""`nightreel up` ends where its state directory does."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.cli.up import _require_state
from nightreel.errors import UserError
from nightreel.orchestration import parent_watch
from nightreel.orchestration.lock import exclusive


def test_a_state_directory_that_is_moved_or_made_anew_ends_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with exclusive(state / parent_watch.LOCK, "`nightreel up`") as lock:
        _require_state(state, lock)
        state.rename(tmp_path / "elsewhere")
        with pytest.raises(UserError, match=r"state: the state directory was moved or removed while .*Put it back"):
            _require_state(state, lock)
        with exclusive(state / parent_watch.LOCK, "another"), pytest.raises(UserError, match="was moved or removed"):
            _require_state(state, lock)

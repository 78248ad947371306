"""The one schema: its words agree with what the settings and the other modules know."""

from __future__ import annotations

from typing import get_args

from nightreel.data.contract.schema import ARROW_TYPES
from nightreel.data.contract.tables import (
    ERASURES,
    EVENTS,
    EVENTS_TABLE,
    ITEMS,
    REQUIRED_EVENTS,
    RULES,
    TABLES,
    USERS,
    as_markdown,
)
from nightreel.settings.validate import Event


def test_settings_and_contract_know_the_same_event_types() -> None:
    assert get_args(Event) == EVENTS == EVENTS_TABLE["event"].choices


def test_every_column_has_a_type_and_a_meaning_and_stands_once() -> None:
    for table in TABLES.values():
        assert len(set(table.names)) == len(table.names)
        assert all(column.kind in ARROW_TYPES and column.meaning for column in table.columns)
    assert set(REQUIRED_EVENTS) <= set(EVENTS_TABLE.names)


def test_the_tables_for_people_name_every_column_with_its_bounds() -> None:
    text = "".join(as_markdown(table) for table in (ITEMS, EVENTS_TABLE, ERASURES, RULES, USERS))
    assert "| `propensity` |  | number | above 0 to 1 |" in text
    assert "| `duration_s` |  | number | from 0 | length in seconds |" in text
    assert "| `item_id` | yes | id |  | unique name of the item |" in text
    assert "| `item_id` | column | id |  | item id; may be empty for search and follow |" in text
    assert text.count("\n") == 10 + sum(len(table.columns) for table in TABLES.values())

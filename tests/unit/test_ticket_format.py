"""The public format of tickets is what docs/formats/ticket.schema.json says, in every state and after every action."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app.domain.tickets import ACTIONS, PLACE, STATES, Change, KitchenOrder, TicketLine, target, tickets_of, versions_of
from app.ticket_messages import SCHEMA, encode_ticket

DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "docs" / "formats" / "ticket.schema.json").read_text(encoding="utf-8")
)
FORMAT = Draft202012Validator(DOCUMENT)
SALMON = TicketLine("1", "m1", "Grilled Salmon", 2, "grill", "no butter", ("Well done",), ("fish",))
WINE = TicketLine("2", "m9", "House Wine", 1, "bar")
ORDER = KitchenOrder(
    "o5f", "T12", 4, 2, 4200, "mine", (SALMON, WINE), "one plate", placed_at=1_795_726_683_120, created=7
)
# Each leads on from the one before; between them they are every action.
WAYS = (
    ("see", "line_done", "line_undone", "bump", "recall", "undo", "bump"),
    ("bump", "void", "acknowledge_void"),
    ("clear",),
)


def tickets() -> Iterator[dict[str, Any]]:
    """Every version of the tickets of orders that went these ways."""
    for way in WAYS:
        order = ORDER
        for number, action in enumerate(way, 1):
            ticket = tickets_of(order)["grill"]
            assert target(ticket, action) is not None, f"{action} of a {ticket.state} ticket"
            change = Change("grill", action, order.placed_at + number, 7 + number, f"c{number}", "kitchen anna")
            line = SALMON.line_id if action.startswith("line") else ""
            order = order.with_changes(replace(change, line=line, reason="spilt" if action == "void" else ""))
        for version in versions_of(order, {}):
            yield json.loads(encode_ticket(version))


def test_the_schema_is_one_itself() -> None:
    Draft202012Validator.check_schema(DOCUMENT)
    assert DOCUMENT["properties"]["schema"]["const"] == SCHEMA


@pytest.mark.parametrize("state", STATES)
def test_a_ticket_in_each_state_is_of_the_format(state: str) -> None:
    found = [ticket for ticket in tickets() if ticket["state"] == state]
    assert found
    for ticket in found:
        assert list(FORMAT.iter_errors(ticket)) == []


def test_each_action_is_among_them() -> None:
    assert {ticket["action"] for ticket in tickets()} == {PLACE, *ACTIONS}
    assert {ticket["acknowledged"] for ticket in tickets()} == {True, False}


def test_the_schema_tells_of_each_field_and_asks_for_all() -> None:
    ticket = next(tickets())
    line = DOCUMENT["$defs"]["line"]
    assert list(ticket) == list(DOCUMENT["properties"]) == DOCUMENT["required"]
    assert list(ticket["lines"][0]) == list(line["properties"]) == line["required"]


def test_fields_may_be_added_and_a_newer_format_is_another() -> None:
    ticket = next(tickets())
    assert FORMAT.is_valid({**ticket, "course": 2})
    assert not FORMAT.is_valid({**ticket, "schema": SCHEMA + 1})
    assert not FORMAT.is_valid({name: value for name, value in ticket.items() if name != "version"})

"""Tickets: one table of transitions, and what cooks may make of it in any order."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.decide import At
from app.domain.kitchen import (
    NO_TABLE,
    AlreadyCancelled,
    CannotCancel,
    CommandReused,
    Known,
    NoSuchTicket,
    NotPossible,
    OrderChanged,
    RefusedBefore,
    TicketConflict,
    TicketUnchanged,
    decide_cancel,
    decide_change,
    decide_clear,
    decide_placed,
    decide_session,
)
from app.domain.tickets import (
    ACTIONS,
    COOKING,
    NEW,
    READY,
    SEEN,
    SERVED,
    STATES,
    TRANSITIONS,
    VOIDED,
    KitchenOrder,
    TicketLine,
    state_of_order,
    tickets_of,
    versions_of,
)
from app.tables.kitchen import decode_order, encode_order, head_of, offset_of

ORDER_ID = "o" + "5" * 32
LINES = (TicketLine("1", "m1", "Salmon", 2, "grill"), TicketLine("2", "m7", "Chips", 1, "grill"),
         TicketLine("3", "m9", "Beer", 2, "bar"))  # fmt: skip

# Said once more, by hand and by rows: from a state, each action leads to a state or is not possible. Undo is apart.
SAID = {
    NEW: {"see": SEEN, "bump": COOKING, "line_done": COOKING, "void": VOIDED, "clear": SERVED},
    SEEN: {"bump": COOKING, "line_done": COOKING, "void": VOIDED, "clear": SERVED},
    COOKING: {"bump": READY, "line_done": COOKING, "line_undone": COOKING, "void": VOIDED, "clear": SERVED},
    READY: {"bump": SERVED, "recall": COOKING, "void": VOIDED, "clear": SERVED},
    SERVED: {"recall": COOKING},
    VOIDED: {"acknowledge_void": VOIDED},
}


@dataclass(frozen=True)
class Event:
    """An order as its event tells it."""

    order_id: str = ORDER_ID
    client_order_id: str = "c"
    table: str = "T1"
    session: int = 1
    version: int = 1
    total: int = 100
    note: str = ""
    placed_at: int = 1000
    by: str = ""


@dataclass(frozen=True)
class Command:
    """What a cook sends; `version` 0: whatever it is."""

    action: str
    command_id: str = "c1"
    station: str = "grill"
    version: int = 0
    line: str = ""
    reason: str = ""
    by: str = "kitchen"


def placed(event: Event = Event(), offset: int = 0) -> KitchenOrder:
    decision = decide_placed(NO_TABLE, None, event, LINES, At(offset, 1000))
    assert isinstance(decision, OrderChanged)
    return decision.order


def done(order: KitchenOrder, *actions: str | Command, first: int = 1) -> KitchenOrder:
    """The order after these, each of which must be possible."""
    for offset, action in enumerate(actions, first):
        command = Command(action, f"c{offset}") if isinstance(action, str) else action
        decision = decide_change(order, command, At(offset, 1000 + offset))
        assert isinstance(decision, OrderChanged), decision
        order = decision.order
    return order


def test_the_table_of_transitions_is_as_it_was_said() -> None:
    assert {(state, action): SAID[state][action] for state in STATES for action in SAID[state]} == dict(TRANSITIONS)


WAYS: dict[str, Sequence[str]] = {NEW: (), SEEN: ("see",), COOKING: ("bump",), READY: ("bump", "bump"),
                                  SERVED: ("bump", "bump", "bump"), VOIDED: ("void",)}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "undo"])
def test_from_each_state_each_action_leads_where_it_was_said_or_nowhere(state: str, action: str) -> None:
    order = done(placed(), *WAYS[state])
    if action == "line_undone" and state == COOKING:
        order = done(order, Command("line_done", "l", line="1"), first=50)
    decision = decide_change(order, Command(action, "x", line="1" if "line" in action else ""), At(99, 2000))
    wanted = SAID[state].get(action)
    if wanted is not None:
        assert isinstance(decision, OrderChanged)
        [ticket] = [ticket for ticket in decision.changed if ticket.station == "grill"]
        assert ticket.state == wanted
    elif action == "see":
        assert isinstance(decision, TicketUnchanged)
    else:
        assert isinstance(decision, NotPossible)
        assert state in decision.detail


def test_an_undo_goes_back_to_what_was_before_and_only_once() -> None:
    order = done(placed(), "see", "bump", Command("line_done", "l", line="2"), "undo")
    assert (tickets_of(order)["grill"].state, tickets_of(order)["grill"].done) == (COOKING, frozenset())
    assert isinstance(decide_change(order, Command("undo", "u2"), At(50, 1)), NotPossible)
    order = done(done(placed(), "see", "bump"), "undo", first=50)
    assert tickets_of(order)["grill"].state == SEEN


@pytest.mark.parametrize("last", ["see", "void", "acknowledge_void", "clear"])
def test_what_is_not_a_slip_of_the_hand_is_not_undone(last: str) -> None:
    order = done(placed(), *(("void",) if last == "acknowledge_void" else ()), last)
    assert isinstance(decide_change(order, Command("undo", "u"), At(50, 1)), NotPossible)


def test_two_cooks_at_once_end_in_one_state_that_both_see() -> None:
    order = done(placed(), "see")
    first = decide_change(order, Command("bump", "one", version=2), At(10, 1))
    assert isinstance(first, OrderChanged)
    second = decide_change(first.order, Command("bump", "two", version=2), At(11, 2))
    assert isinstance(second, TicketConflict)
    assert (second.ticket.state, second.ticket.version) == (COOKING, 3)


def test_that_a_display_has_shown_it_meanwhile_stops_no_cook() -> None:
    order = done(placed(), "see")
    assert isinstance(decide_change(order, Command("bump", "x", version=1), At(10, 1)), OrderChanged)
    assert isinstance(decide_change(order, Command("bump", "x", version=3), At(10, 1)), TicketConflict)


def test_the_same_command_is_done_once_and_answered_twice() -> None:
    order = done(placed(), Command("bump", "one"))
    again = decide_change(order, Command("bump", "one", version=1), At(10, 1))
    assert again == TicketUnchanged(tickets_of(order)["grill"], is_repeat=True)
    assert isinstance(decide_change(order, Command("void", "one"), At(10, 1)), CommandReused)
    assert isinstance(decide_change(order, Command("bump", "one", station="bar"), At(10, 1)), CommandReused)


def test_lines_are_struck_once_and_only_those_of_the_ticket() -> None:
    order = done(placed(), Command("line_done", "l1", line="1"))
    for line, action in (("1", "line_done"), ("2", "line_undone"), ("3", "line_done"), ("x", "line_done")):
        assert isinstance(decide_change(order, Command(action, "x", line=line), At(9, 1)), NotPossible), line


def test_a_ticket_that_is_not_there_is_not_found() -> None:
    assert decide_change(None, Command("bump"), At(9, 1)) == NoSuchTicket()
    assert decide_change(placed(), Command("bump", station="oven"), At(9, 1)) == NoSuchTicket()


def test_a_ticket_that_was_changed_without_end_can_still_be_voided() -> None:
    order, last = placed(), "undo"
    for offset in range(1, 500):
        last = "bump" if last == "undo" else "undo"
        decision = decide_change(order, Command(last, f"c{offset}"), At(offset, 1))
        if not isinstance(decision, OrderChanged):
            break
        order = decision.order
    assert isinstance(decision, NotPossible)
    assert isinstance(decide_change(order, Command("void", "v"), At(500, 1)), OrderChanged)


# ── cancelling ────────────────────────────────────────────────────────────────────────────────────────────────────────

TABLE = NO_TABLE.with_order(1, 1, 0)


def test_an_order_is_cancelled_until_a_cook_has_begun() -> None:
    decision = decide_cancel(TABLE, done(placed(), "see"), Event(), At(9, 1))
    assert isinstance(decision, OrderChanged)
    assert decision.is_cancelled
    assert {ticket.state for ticket in tickets_of(decision.order).values()} == {VOIDED}
    assert decide_cancel(TABLE, decision.order, Event(), At(10, 1)) == AlreadyCancelled()
    begun = decide_cancel(TABLE, done(placed(), "bump"), Event(), At(9, 1))
    assert begun == CannotCancel("grill has begun")


def test_a_cancelling_that_comes_before_its_order_holds() -> None:
    early = decide_cancel(NO_TABLE, None, Event(), At(3, 1))
    assert isinstance(early, OrderChanged)
    assert early.is_cancelled
    arrived = decide_placed(NO_TABLE, early.order, Event(), LINES, At(4, 2))
    assert isinstance(arrived, OrderChanged)
    assert {(t.state, t.is_acknowledged) for t in tickets_of(arrived.order).values()} == {(VOIDED, True)}
    assert not arrived.is_cancelled  # that was said before
    assert decide_cancel(TABLE, arrived.order, Event(), At(9, 1)) == AlreadyCancelled()


def test_what_was_served_long_ago_cannot_be_cancelled() -> None:
    assert isinstance(decide_cancel(TABLE, None, Event(), At(9, 1)), CannotCancel)


def test_an_order_all_of_whose_tickets_cooks_have_voided_is_not_paid() -> None:
    first = decide_change(placed(), Command("void", "v1", reason="burnt"), At(5, 1))
    assert isinstance(first, OrderChanged)
    assert not first.is_cancelled
    second = decide_change(first.order, Command("void", "v2", station="bar", reason="no beer"), At(6, 1))
    assert isinstance(second, OrderChanged)
    assert second.is_cancelled
    assert second.order.cancelled == 6
    assert [ticket.reason for ticket in tickets_of(second.order).values()] == ["burnt", "no beer"]


# ── what comes again ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_copy_of_an_order_that_is_known_makes_no_tickets() -> None:
    assert decide_placed(TABLE, placed(), Event(), LINES, At(7, 1)) == Known()
    assert decide_placed(TABLE, None, Event(), LINES, At(7, 1)) == Known()  # served and forgotten


def test_an_order_of_a_party_that_has_left_is_not_cooked() -> None:
    table = NO_TABLE.with_order(2, 1, 5)
    assert decide_placed(table, None, Event(version=9), LINES, At(7, 1)) == Known()


def test_a_late_copy_fills_the_hole_that_it_left() -> None:
    third = decide_placed(TABLE, None, Event(version=3, order_id="o" + "3" * 32), LINES, At(7, 1))
    assert isinstance(third, OrderChanged)
    assert third.table is not None
    assert third.table.holes == (2,)
    second = decide_placed(third.table, None, Event(version=2, order_id="o" + "2" * 32), LINES, At(8, 1))
    assert isinstance(second, OrderChanged)
    assert second.table is not None
    assert (second.table.version, second.table.holes) == (3, ())


def test_sessions_go_forward_only() -> None:
    opened = decide_session(TABLE, 2, At(9, 1), is_closed=False)
    assert not isinstance(opened, Known)
    assert (opened.table.session, opened.table.version) == (2, 0)
    assert decide_session(opened.table, 1, At(10, 1), is_closed=True) == Known()
    assert decide_session(opened.table, 2, At(9, 1), is_closed=True) == Known()  # read again


def test_a_command_that_was_refused_when_it_was_read_first_is_not_done_later() -> None:
    order = done(placed(), Command("bump", "one"), first=20)
    assert decide_change(order, Command("bump", "two", version=1), At(15, 1)) == RefusedBefore()
    assert decide_cancel(TABLE, order, Event(), At(15, 1)) == RefusedBefore()


def test_what_was_decided_is_said_again_as_it_was_then() -> None:
    first = decide_placed(NO_TABLE, None, Event(), LINES, At(0, 1000))
    assert isinstance(first, OrderChanged)
    bump = decide_change(first.order, Command("bump", "one"), At(5, 1))
    assert isinstance(bump, OrderChanged)
    later = done(bump.order, "bump", "recall", first=6)
    again = decide_placed(TABLE, later, Event(), LINES, At(0, 1000))
    assert isinstance(again, OrderChanged)
    assert [(t.station, t.version, t.state) for t in again.changed] == [
        (t.station, t.version, t.state) for t in first.changed
    ]
    again_bumped = decide_change(later, Command("bump", "one"), At(5, 1))
    assert isinstance(again_bumped, OrderChanged)
    assert again_bumped.again
    assert again_bumped.order == later
    assert [(t.version, t.state) for t in again_bumped.changed] == [(t.version, t.state) for t in bump.changed]


# ── any course of an evening ──────────────────────────────────────────────────────────────────────────────────────────

commands = st.builds(
    Command,
    action=st.sampled_from(ACTIONS),
    command_id=st.integers(0, 12).map("c{}".format),
    station=st.sampled_from(["grill", "bar"]),
    version=st.integers(0, 6),
    line=st.sampled_from(["", "1", "2", "3"]),
)


@given(st.lists(st.one_of(commands, st.sampled_from(["cancel", "clear"])), max_size=30))
def test_whatever_is_sent_versions_rise_by_one_and_nothing_is_cooked_that_was_cancelled(
    sent: list[Command | str],
) -> None:
    order = placed()
    seen = {ticket.station: ticket for ticket in tickets_of(order).values()}
    cancelled = False
    for offset, command in enumerate(sent, 1):
        at = At(offset, 1000 + offset)
        if isinstance(command, Command):
            decision: object = decide_change(order, command, at)
        else:
            decision = decide_cancel(TABLE, order, Event(), at) if command == "cancel" else decide_clear(order, at)
        if not isinstance(decision, OrderChanged):
            continue
        order = decision.order
        for ticket in decision.changed:
            before = seen[ticket.station]
            assert ticket.version == before.version + 1
            assert before.state != VOIDED or ticket.state == VOIDED
            seen[ticket.station] = ticket
        assert not (cancelled and any(t.state in {COOKING, READY, SERVED} for t in decision.changed))
        cancelled = cancelled or decision.is_cancelled
    assert cancelled == (order.cancelled >= 0)
    assert cancelled == (state_of_order(tickets_of(order)) == "cancelled")
    assert {s: t.state for s, t in tickets_of(order).items()} == {s: t.state for s, t in seen.items()}
    assert [t.version for t in versions_of(order, {}) if t.station == "bar"] == list(range(1, seen["bar"].version + 1))
    assert decode_order(encode_order(order)) == order
    assert head_of(encode_order(order)).offset == offset_of(encode_order(order)) == order.offset

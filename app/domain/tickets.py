"""Tickets: what a station has to do of an order, and how cooks move it on.

An order in the kitchen is its lines and the changes made to its tickets, in their order; a ticket is what these changes
have made of it. So each version of a ticket can be told again, exactly.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

NEW: Final = "new"
SEEN: Final = "seen"
COOKING: Final = "cooking"
READY: Final = "ready"
SERVED: Final = "served"
VOIDED: Final = "voided"
STATES: Final = (NEW, SEEN, COOKING, READY, SERVED, VOIDED)
NOT_BEGUN: Final = frozenset({NEW, SEEN})

SEE: Final = "see"
BUMP: Final = "bump"
LINE_DONE: Final = "line_done"
LINE_UNDONE: Final = "line_undone"
RECALL: Final = "recall"
UNDO: Final = "undo"
VOID: Final = "void"
ACKNOWLEDGE_VOID: Final = "acknowledge_void"
CLEAR: Final = "clear"
ACTIONS: Final = (SEE, BUMP, LINE_DONE, LINE_UNDONE, RECALL, UNDO, VOID, ACKNOWLEDGE_VOID, CLEAR)
PLACE: Final = "place"  # how a ticket came: no change, its first version

# The whole of it: what is not here is not possible. An undo goes back to where the last change came from.
TRANSITIONS: Final[Mapping[tuple[str, str], str]] = {
    (NEW, SEE): SEEN,
    (NEW, BUMP): COOKING,
    (SEEN, BUMP): COOKING,
    (COOKING, BUMP): READY,
    (READY, BUMP): SERVED,
    (NEW, LINE_DONE): COOKING,
    (SEEN, LINE_DONE): COOKING,
    (COOKING, LINE_DONE): COOKING,
    (COOKING, LINE_UNDONE): COOKING,
    (READY, RECALL): COOKING,
    (SERVED, RECALL): COOKING,
    (NEW, VOID): VOIDED,
    (SEEN, VOID): VOIDED,
    (COOKING, VOID): VOIDED,
    (READY, VOID): VOIDED,
    (VOIDED, ACKNOWLEDGE_VOID): VOIDED,
    (NEW, CLEAR): SERVED,
    (SEEN, CLEAR): SERVED,
    (COOKING, CLEAR): SERVED,
    (READY, CLEAR): SERVED,
}
UNDOABLE: Final = frozenset({BUMP, LINE_DONE, LINE_UNDONE, RECALL})
OF_A_LINE: Final = frozenset({LINE_DONE, LINE_UNDONE})
MOST_CHANGES: Final = 200  # of a ticket: no cook makes so many, and each is kept
NO_STATION: Final = "kitchen"  # of a line whose dish named none


@dataclass(frozen=True, slots=True)
class TicketLine:
    """A line as a cook reads it; `line_id` is its place in the order, from 1, and `modifiers` are names."""

    line_id: str
    menu_item_id: str
    name: str
    quantity: int
    station: str
    note: str = ""
    modifiers: tuple[str, ...] = ()
    allergens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to the ticket of a station: by whom, when (log time, ms), by the command at which offset.

    `mark` tells commands apart: a hash of the command's id, empty where it had none.
    """

    station: str
    action: str
    at: int
    offset: int
    mark: str = ""
    by: str = ""
    line: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KitchenOrder:
    """An order as the kitchen knows it.

    `version` counts the orders of the table's session, `total` is in minor units, times are log times in ms. `created`
    is the offset of the command that brought it, -1 while only its cancelling is known; `cancelled` that of the command
    that cancelled it, -1 for none, and `cancelled_at` its time.
    """

    order_id: str
    table: str
    session: int
    version: int
    total: int = 0
    client_order_id: str = ""
    lines: tuple[TicketLine, ...] = ()
    note: str = ""
    placed_at: int = 0
    created: int = -1
    cancelled: int = -1
    cancelled_at: int = 0
    changes: tuple[Change, ...] = ()

    @property
    def has_arrived(self) -> bool:
        """Whether its lines are known."""
        return self.created >= 0

    @property
    def offset(self) -> int:
        """The offset of the last command that changed it."""
        return max(self.created, self.cancelled, self.changes[-1].offset if self.changes else -1)

    @property
    def changed_at(self) -> int:
        """When it last changed."""
        return max(self.placed_at, self.cancelled_at, self.changes[-1].at if self.changes else 0)

    @property
    def stations(self) -> tuple[str, ...]:
        """The stations that have a line of it, in the order of the lines."""
        return tuple(dict.fromkeys([line.station for line in self.lines]))

    def with_changes(self, *changes: Change) -> "KitchenOrder":
        """The order after these, too."""
        return replace(self, changes=(*self.changes, *changes))

    def until(self, offset: int) -> "KitchenOrder":
        """The order as it was after the command at this offset."""
        if not self.changes or self.changes[-1].offset <= offset:
            return self
        return replace(self, changes=tuple(change for change in self.changes if change.offset <= offset))


class Ticket(NamedTuple):
    """A station's part of an order as it stands at `version`; `last` is the change that made it so, None at first."""

    order: KitchenOrder
    station: str
    version: int
    state: str
    done: frozenset[str]  # ids of lines
    is_acknowledged: bool
    last: Change | None
    before: "Ticket | None"  # as it was before `last`

    @property
    def lines(self) -> tuple[TicketLine, ...]:
        """Its lines."""
        return tuple([line for line in self.order.lines if line.station == self.station])

    @property
    def is_shown(self) -> bool:
        """Whether a display has to show it."""
        return self.state != SERVED and not self.is_acknowledged

    @property
    def reason(self) -> str:
        """Why it is voided; empty where it is not."""
        ticket: Ticket | None = self
        while ticket is not None and ticket.state == VOIDED:
            if ticket.last is not None and ticket.last.action == VOID:
                return ticket.last.reason
            ticket = ticket.before
        return ""


# A decision asks for the tickets of the order before it and after it several times; orders never change.
_worked_out: deque[tuple[KitchenOrder, Mapping[str, Ticket]]] = deque(maxlen=4)


def tickets_of(order: KitchenOrder) -> Mapping[str, Ticket]:
    """The tickets of an order by station, as they stand."""
    for known, tickets in _worked_out:
        if known is order:
            return tickets
    found = _work_out(order)
    _worked_out.appendleft((order, found))  # looked for from the left: mostly it is the last one
    return found


def _work_out(order: KitchenOrder) -> dict[str, Ticket]:
    found = {
        station: Ticket(order, station, 1, NEW, frozenset(), is_acknowledged=False, last=None, before=None)
        for station in order.stations
    }
    for change in order.changes:
        found[change.station] = _after(found[change.station], change)
    return found


def versions_of(order: KitchenOrder, after: Mapping[str, int]) -> Iterator[Ticket]:
    """Every version of the order's tickets above what is known of each station (0: nothing), in their order."""
    for ticket in tickets_of(order).values():
        known, newer = after.get(ticket.station, 0), []
        version: Ticket | None = ticket
        while version is not None and version.version > known:
            newer.append(version)
            version = version.before
        yield from reversed(newer)


def _after(ticket: Ticket, change: Change) -> Ticket:
    state = target(ticket, change.action)
    if state is None:
        raise ValueError(f"{change.action} of a {ticket.state} ticket was never decided")
    done, is_acknowledged = ticket.done, ticket.is_acknowledged
    if change.action == LINE_DONE:
        done = done | {change.line}
    elif change.action == LINE_UNDONE:
        done = done - {change.line}
    elif change.action == ACKNOWLEDGE_VOID:
        is_acknowledged = True
    elif change.action == UNDO:
        assert ticket.before is not None
        done = ticket.before.done
    return Ticket(ticket.order, ticket.station, ticket.version + 1, state, done, is_acknowledged, change, ticket)


def target(ticket: Ticket, action: str) -> str | None:
    """The state to which an action leads; None where it is not possible."""
    if action == UNDO:
        may = ticket.last is not None and ticket.last.action in UNDOABLE and ticket.before is not None
        return ticket.before.state if may and ticket.before is not None else None
    if action == ACKNOWLEDGE_VOID and ticket.is_acknowledged:
        return None
    return TRANSITIONS.get((ticket.state, action))


def is_current(ticket: Ticket, version: int) -> bool:
    """Whether who saw this version may still act on the ticket: since then it was at most seen by a display."""
    newer: Ticket | None = ticket
    while newer is not None and newer.version > version:
        if newer.last is None or newer.last.action != SEE:
            return False
        newer = newer.before
    return newer is not None and newer.version == version


RECEIVED: Final = "received"
CANCELLED: Final = "cancelled"


def state_of_order(tickets: Mapping[str, Ticket], *, is_cancelled: bool = False) -> str:
    """How a guest sees the order: received, seen, cooking, ready, served or cancelled."""
    states = {ticket.state for ticket in tickets.values()} - {VOIDED}
    if is_cancelled or (tickets and not states):
        return CANCELLED
    if states <= NOT_BEGUN:
        return RECEIVED if NEW in states or not states else SEEN
    if states == {SERVED}:
        return SERVED
    return READY if states <= {READY, SERVED} else COOKING

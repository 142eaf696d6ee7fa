"""What becomes of what the kitchen is told: decided from its own log alone.

Orders are copied into that log, so that an order, a cook's tap and a guest's cancelling have one order among them. As
for the tables' rows: what was decided at an offset is decided there again, and says the same again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Protocol

from app.domain.decide import At
from app.domain.tickets import (
    ACKNOWLEDGE_VOID,
    CLEAR,
    LINE_UNDONE,
    MOST_CHANGES,
    NOT_BEGUN,
    OF_A_LINE,
    SEE,
    VOID,
    VOIDED,
    Change,
    KitchenOrder,
    Ticket,
    TicketLine,
    is_current,
    target,
    tickets_of,
    versions_of,
)

KEEP_MS = 600_000  # that a finished order is known for: so long may it be recalled
FORGET_MS = KEEP_MS + 60_000  # after which its record is deleted
BY_GUEST = "cancelled by the table"
BY_HOUSE = "house"


@dataclass(frozen=True, slots=True)
class KitchenTable:
    """Which orders of a table the kitchen knows: those of `session` up to `version` but for the `holes`."""

    session: int = 0
    version: int = 0
    holes: tuple[int, ...] = ()
    is_closed: bool = False
    offset: int = -1

    def knows(self, session: int, version: int) -> bool:
        """Whether this order came before; one of a party that has left counts as known."""
        return session < self.session or (
            session == self.session and version <= self.version and version not in self.holes
        )

    def with_order(self, session: int, version: int, offset: int) -> "KitchenTable":
        """The table once it knows this order, too."""
        if session > self.session:  # its opening was never told
            return replace(KitchenTable(session), version=version, holes=tuple(range(1, version)), offset=offset)
        if version in self.holes:
            return replace(self, holes=tuple(hole for hole in self.holes if hole != version), offset=offset)
        holes = (*self.holes, *range(self.version + 1, version))
        return replace(self, version=version, holes=holes, offset=offset)


NO_TABLE = KitchenTable()


class Placed(Protocol):
    """The copy of an order's event, as decided on."""

    @property
    def order_id(self) -> str: ...
    @property
    def client_order_id(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def session(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def note(self) -> str: ...
    @property
    def placed_at(self) -> int: ...


class Changing(Protocol):
    """A cook's command, as decided on."""

    @property
    def station(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def command_id(self) -> str: ...
    @property
    def line(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def by(self) -> str: ...


class Cancelling(Protocol):
    """A guest's command to cancel an order, as decided on."""

    @property
    def order_id(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def session(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def placed_at(self) -> int: ...
    @property
    def by(self) -> str: ...


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """The order is now so: its record follows, and a message for each ticket that the command changed.

    `is_cancelled`: by this command it is an order that nobody pays. `again` marks a command that was read a second
    time: all goes out once more, but for the order's record, which may be ahead.
    """

    order: KitchenOrder
    changed: tuple[Ticket, ...]
    table: KitchenTable | None = None
    is_cancelled: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class TicketUnchanged:
    """The ticket stands as it did: the same command was done before (`is_repeat`), or it had nothing to do."""

    ticket: Ticket
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class TicketConflict:
    """The ticket is no longer the one that the cook saw."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class NotPossible:
    """The ticket's state does not allow it; `detail` says why."""

    ticket: Ticket
    detail: str


@dataclass(frozen=True, slots=True)
class NoSuchTicket:
    """There is none, or it was finished long ago."""


@dataclass(frozen=True, slots=True)
class CommandReused:
    """The command's id was used for another change of the order."""


@dataclass(frozen=True, slots=True)
class AlreadyCancelled:
    """The order was cancelled before."""


@dataclass(frozen=True, slots=True)
class CannotCancel:
    """A cook has begun; `detail` says where."""

    detail: str


@dataclass(frozen=True, slots=True)
class Known:
    """Nothing to do: the order, or the session, is known."""


@dataclass(frozen=True, slots=True)
class RefusedBefore:
    """The command was read before, and changed nothing then; why is no longer known."""


@dataclass(frozen=True, slots=True)
class TableChanged:
    """The table's party came or went."""

    table: KitchenTable


TicketDecision = (
    OrderChanged | TicketUnchanged | TicketConflict | NotPossible | NoSuchTicket | CommandReused | RefusedBefore
)
CancelDecision = OrderChanged | AlreadyCancelled | CannotCancel | RefusedBefore


def mark_of(command_id: str) -> str:
    """What a change keeps of the id of its command."""
    return blake2b(command_id.encode(), digest_size=8).hexdigest()


def still_known(order: KitchenOrder | None, at: At) -> KitchenOrder | None:
    """The order, None where it was finished so long ago that it counts as forgotten, whether it is or not."""
    return None if order is None or (is_finished(order) and at.time - order.changed_at > KEEP_MS) else order


def is_finished(order: KitchenOrder) -> bool:
    """Whether no display has to show any of it."""
    return order.has_arrived and not any(ticket.is_shown for ticket in tickets_of(order).values())


def decide_placed(
    table: KitchenTable, order: KitchenOrder | None, event: Placed, lines: Iterable[TicketLine], at: At
) -> OrderChanged | Known:
    """Make the tickets of an order."""
    is_known = table.knows(event.session, event.version)
    after = table if is_known else table.with_order(event.session, event.version, at.offset)
    if order is not None and order.created == at.offset:
        # Read again where it was made: said again as it was then. Its table's record may have been lost on the way.
        return OrderChanged(order, _all_versions(order.until(at.offset)), after, again=True)
    # One whose cancelling came first is known by that alone: then its table may be ahead, from an owner that stalled.
    if is_known and (order is None or order.has_arrived):
        return Known()
    arrived = KitchenOrder(
        order_id=event.order_id,
        table=event.table,
        session=event.session,
        version=event.version,
        total=event.total,
        client_order_id=event.client_order_id,
        lines=tuple(lines),
        note=event.note,
        placed_at=event.placed_at,
        created=at.offset,
    )
    if order is not None:  # it was cancelled before it came: no cook has seen it, so none has to hear of it
        arrived = replace(arrived, cancelled=order.cancelled, cancelled_at=order.cancelled_at)
        arrived = _for_all(_for_all(arrived, VOID, at, reason=BY_GUEST), ACKNOWLEDGE_VOID, at, by=BY_HOUSE)
    return OrderChanged(arrived, _all_versions(arrived), after)


def decide_session(table: KitchenTable, session: int, at: At, *, is_closed: bool) -> TableChanged | Known:
    """Note that a table's session was opened or closed; what is older than what is known changes nothing."""
    if at.offset <= table.offset or session < table.session or (session == table.session and not is_closed):
        return Known()
    before = table if session == table.session else KitchenTable(session)
    return TableChanged(replace(before, is_closed=is_closed, offset=at.offset))


def decide_change(order: KitchenOrder | None, command: Changing, at: At) -> TicketDecision:
    """Decide on a cook's change of a ticket."""
    order = still_known(order, at)
    ticket = None if order is None else tickets_of(order).get(command.station)
    if order is None or ticket is None:
        return NoSuchTicket()
    mark = mark_of(command.command_id)
    known = next((change for change in order.changes if change.mark == mark), None)
    if known is not None:
        return _decide_known(order, ticket, command, known, at)
    if at.offset <= order.offset:
        return RefusedBefore()
    if command.action == SEE and target(ticket, SEE) is None:
        return TicketUnchanged(ticket)
    if command.version and not is_current(ticket, command.version):
        return TicketConflict(ticket)
    if (why := _not_possible(ticket, command)) is not None:
        return NotPossible(ticket, why)
    change = Change(command.station, command.action, at.time, at.offset, mark, command.by, command.line, command.reason)
    return _changed(order.with_changes(change), at)


def decide_clear(order: KitchenOrder | None, at: At) -> OrderChanged | Known:
    """Take off the displays what is left of an order."""
    if order is None or not order.has_arrived:
        return Known()
    if at.offset <= order.offset:
        is_mine = any(change.offset == at.offset for change in order.changes)
        return _changed(order, at, again=True) if is_mine else Known()
    cleared = _for_all(order, CLEAR, at, by=BY_HOUSE)
    cleared = _for_all(cleared, ACKNOWLEDGE_VOID, at, by=BY_HOUSE)
    return Known() if cleared is order else _changed(cleared, at)


def decide_cancel(table: KitchenTable, order: KitchenOrder | None, command: Cancelling, at: At) -> CancelDecision:
    """Decide on cancelling an order, which may come before the order itself does."""
    order = still_known(order, at)
    if order is None:
        if table.knows(command.session, command.version):
            return CannotCancel("it was served or cleared")
        return OrderChanged(
            KitchenOrder(
                order_id=command.order_id,
                table=command.table,
                session=command.session,
                version=command.version,
                total=command.total,
                placed_at=command.placed_at,
                cancelled=at.offset,
                cancelled_at=at.time,
            ),
            (),
            is_cancelled=True,
        )
    if order.cancelled == at.offset:
        return _changed(order, at, again=True)
    if at.offset <= order.offset:
        return RefusedBefore()
    if order.cancelled >= 0:
        return AlreadyCancelled()
    begun = [t.station for t in tickets_of(order).values() if t.state not in NOT_BEGUN | {VOIDED}]
    if begun:
        return CannotCancel(f"{', '.join(begun)} {'has' if len(begun) == 1 else 'have'} begun")
    cancelled = replace(order, cancelled=at.offset, cancelled_at=at.time)
    return _changed(_for_all(cancelled, VOID, at, reason=BY_GUEST, by=command.by), at)


def _decide_known(order: KitchenOrder, ticket: Ticket, command: Changing, known: Change, at: At) -> TicketDecision:
    if at.offset == known.offset:
        return _changed(order, at, again=True)
    if at.offset < known.offset:
        return RefusedBefore()
    if (known.station, known.action, known.line) != (command.station, command.action, command.line):
        return CommandReused()
    return TicketUnchanged(ticket, is_repeat=True)


def _not_possible(ticket: Ticket, command: Changing) -> str | None:
    if target(ticket, command.action) is None:
        return f"{command.action} is not possible on a ticket that is {ticket.state}"
    if command.action in OF_A_LINE:
        if command.line not in {line.line_id for line in ticket.lines}:
            return f"the ticket has no line {command.line!r}"
        if (command.line in ticket.done) != (command.action == LINE_UNDONE):
            return f"line {command.line} is {'done' if command.line in ticket.done else 'not done'} already"
    if ticket.version >= MOST_CHANGES and command.action not in {VOID, CLEAR}:
        return f"it was changed {MOST_CHANGES} times already"
    return None


def _changed(order: KitchenOrder, at: At, *, again: bool = False) -> OrderChanged:
    """What the command at this offset made of the order; one whose tickets are all voided by now is cancelled."""
    then = order.until(at.offset)
    tickets = tickets_of(then)
    changed = tuple(
        version for version in _all_versions(then) if version.last is not None and version.last.offset == at.offset
    )
    voids = any(ticket.last is not None and ticket.last.action == VOID for ticket in changed)
    all_voided = bool(tickets) and all(ticket.state == VOIDED for ticket in tickets.values())
    is_cancelled = order.cancelled == at.offset or (voids and all_voided)
    if is_cancelled and order.cancelled < 0:
        order = replace(order, cancelled=at.offset, cancelled_at=at.time)
    return OrderChanged(order, changed, is_cancelled=is_cancelled, again=again)


def _for_all(order: KitchenOrder, action: str, at: At, *, by: str = "", reason: str = "") -> KitchenOrder:
    """The order after this action on each ticket that allows it; the same where none does."""
    changes = [
        Change(ticket.station, action, at.time, at.offset, by=by, reason=reason)
        for ticket in tickets_of(order).values()
        if target(ticket, action) is not None
    ]
    return order.with_changes(*changes) if changes else order


def _all_versions(order: KitchenOrder) -> tuple[Ticket, ...]:
    return tuple(versions_of(order, {}))

"""What the restaurant promises of a log, told without rows, chunks or offsets: the measure of the model's workers."""

from dataclasses import dataclass, field, replace

from app.messages import NoteCancelled, OpenSession, PlaceOrder
from tests.property.restaurant import Read


@dataclass(frozen=True)
class Outcome:
    """What a command means: its kind, the version it found (accepted, replayed) or the current one (conflict)."""

    kind: str
    version: int = 0


@dataclass(frozen=True)
class Standing:
    """How a table stands after the command at some offset that changed it."""

    offset: int = -1
    session: int = 0
    is_open: bool = False
    version: int = 0
    total: int = 0
    placed: int = 0
    cancelled: tuple[int, ...] = ()


@dataclass(frozen=True)
class Order:
    """An order that stands."""

    order_id: str
    fingerprint: str
    session: int
    version: int
    offset: int
    time: int
    total: int


@dataclass
class Table:
    """A table and its history; `orders` by order id, `cancelled` session and version, of all sessions."""

    now: Standing = Standing()
    history: dict[int, Standing] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    cancelled: set[tuple[int, int]] = field(default_factory=set)

    def at(self, offset: int) -> Standing:
        """How the table stood before the command at this offset."""
        return max(
            (standing for standing in self.history.values() if standing.offset < offset),
            key=lambda standing: standing.offset,
            default=Standing(),
        )

    def change(self, after: Standing) -> None:
        """Take the next step."""
        self.now = after
        self.history[after.offset] = after


@dataclass
class Spec:
    """Every table, as the log alone tells it."""

    tables: dict[str, Table] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """The table of this number."""
        return self.tables.setdefault(name, Table())

    def read(self, command: Read, offset: int, time: int) -> Outcome:
        """What becomes of the next command."""
        table = self.table(command.table)
        if isinstance(command, PlaceOrder):
            return _place(table, command, offset, time)
        if isinstance(command, NoteCancelled):
            return _cancel(table, command, offset)
        now, opens = table.now, isinstance(command, OpenSession)
        if opens and not now.is_open and command.session == now.session + 1:
            table.change(Standing(offset, command.session, True, placed=now.placed))
            return Outcome("changed")
        if not opens and now.is_open and command.session == now.session:
            table.change(replace(now, offset=offset, is_open=False))
            return Outcome("changed")
        return Outcome("unchanged")


def _place(table: Table, command: PlaceOrder, offset: int, time: int) -> Outcome:
    now, known = table.now, table.orders.get(command.order_id)
    if known is not None:
        return Outcome("replayed", known.version) if known.fingerprint == command.fingerprint else Outcome("reused")
    if not now.is_open or command.session != now.session:
        return Outcome("closed")
    if command.refusal:
        return Outcome("invalid")
    if command.version != now.version:
        return Outcome("conflict", now.version)
    table.orders[command.order_id] = Order(
        command.order_id, command.fingerprint, now.session, now.version, offset, time, command.total
    )
    table.change(
        replace(now, offset=offset, version=now.version + 1, total=now.total + command.total, placed=now.placed + 1)
    )
    return Outcome("accepted", now.version)


def _cancel(table: Table, command: NoteCancelled, offset: int) -> Outcome:
    now, place = table.now, (command.session, command.version)
    if place not in table.cancelled and command.session == now.session:
        cancelled = tuple(sorted((*now.cancelled, command.version)))
        table.change(replace(now, offset=offset, total=now.total - command.total, cancelled=cancelled))
    table.cancelled.add(place)
    return Outcome("cancelled")

"""What is promised, and who looks whether it holds: ledger, guests and recovered workers of the model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.domain.decide import At, find_known
from app.domain.ids import id_hash
from app.domain.row import NO_ROW, Chunk, Row
from app.messages import Event, OpenSession, OrderCancelled, OrderPlaced, PlaceOrder, SessionOpened
from tests.property.restaurant import HOUR, Read
from tests.property.spec import Order, Outcome, Spec, Standing

DAY = 24 * HOUR


class BrokenError(AssertionError):
    """A promise did not hold."""


@dataclass(frozen=True)
class Record:
    """A command in the log, and what the specification says of it."""

    offset: int
    time: int
    command: Read
    meant: Outcome


class Recovered(Protocol):
    """What of a worker is looked at."""

    name: str
    rows: dict[str, Row]
    chunks: dict[tuple[str, int], dict[int, Chunk]]


class Promises:
    """All that was told, against what the log means."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self._tell = tell
        self.spec = Spec()
        self.ledger: dict[tuple[str, int], list[OrderPlaced]] = {}
        self.opened: set[tuple[str, int]] = set()
        self.closed: set[tuple[str, int]] = set()
        self.cancelled: set[tuple[str, int, int]] = set()
        self.acknowledged: dict[str, int] = {}  # order id -> the version of its first 201
        self.answered: set[int] = set()  # offsets of commands that were answered
        self.stale = 0  # rows that arrived behind a later one
        self._latest: dict[str, int] = {}  # table -> the highest offset of a row that arrived

    def say(self, text: str) -> None:
        """A line of the story, where somebody listens."""
        if self._tell:
            self._tell(text)

    def hold(self, holds: bool, otherwise: str) -> None:
        """Go on, or raise BrokenError."""
        if not holds:
            self.say(f"BROKEN: {otherwise}")
            raise BrokenError(otherwise)

    def take_event(self, event: Event) -> None:
        """The ledger: it keeps the first event of a table, session and version; any later one must say the same."""
        key = (event.table, event.session)
        if isinstance(event, OrderCancelled):
            orders = self.ledger.get(key, [])
            stands = event.version <= len(orders) and orders[event.version - 1].order_id == event.order_id
            self.hold(stands, f"{event} comes before its order")
            meant = self.spec.table(event.table).cancelled
            self.hold((event.session, event.version) in meant, f"{event} was not cancelled")
            self.cancelled.add((*key, event.version))
            return
        if not isinstance(event, OrderPlaced):
            is_opened = isinstance(event, SessionOpened)
            self.hold(is_opened or key in self.opened, f"{event} of a session that was not opened")
            (self.opened if is_opened else self.closed).add(key)
            return
        orders = self.ledger.setdefault(key, [])
        if event.version <= len(orders):
            self.hold(orders[event.version - 1] == event, f"{event} differs from {orders[event.version - 1]}")
            return
        self.hold(event.version == len(orders) + 1, f"{event} leaves a gap after {len(orders)}")
        self.hold(key in self.opened and key not in self.closed, f"{event} is outside of its session")
        orders.append(event)
        order = self.spec.table(event.table).orders.get(event.order_id)
        self.hold(
            order is not None and (order.version + 1, order.offset) == (event.version, event.offset),
            f"{event} should be {order}",
        )

    def check_row(self, table: str, row: Row) -> None:
        """A row tells what the log tells at its offset."""
        meant = self.spec.table(table).history.get(row.offset, Standing())
        told = Standing(row.offset, row.session, row.is_open, row.version, row.total, row.placed, row.cancelled)
        self.hold(meant == told, f"row {told} of {table} should be {meant}")

    def take_row(self, table: str, row: Row) -> None:
        """A row arrives in the changelog."""
        self.check_row(table, row)
        self.stale += row.offset < self._latest.get(table, -1)
        self._latest[table] = max(row.offset, self._latest.get(table, -1))

    def check_recovered(self, worker: Recovered, committed: int, now: At) -> None:
        """What a worker has recovered knows of all that is committed, and of each order below the row's version."""
        for name, table in self.spec.tables.items():
            row = worker.rows.get(name, NO_ROW)
            self.hold(row.offset >= table.at(committed).offset, f"{name}'s row {row} is behind the last commit")
            if row != NO_ROW:
                self.check_row(name, row)
            for order in table.orders.values():
                is_old = order.session < row.session and now.time - order.time > DAY
                if order.offset > row.offset or is_old:
                    continue
                chunks = list(worker.chunks.get((name, order.session), {}).values())
                at = At(now.offset, max(now.time, order.time))
                known = find_known(row, chunks, order.session, id_hash(order.order_id), at)
                self.hold(
                    known is not None and (known.version, known.offset) == (order.version, order.offset),
                    f"{worker.name} knows {known} of {order}",
                )

    def answer(self, who: str, record: Record, kind: str, version: int, now: int) -> None:
        """A guest gets an answer: the one that the log means, and of an order that stands in the topic of events."""
        command, meant = record.command, record.meant
        self.say(f"{who} answers {record.offset}: {kind} {version}")
        self.answered.add(record.offset)
        if not isinstance(command, PlaceOrder):
            if kind == "changed":
                told = self.opened if isinstance(command, OpenSession) else self.closed
                self.hold((command.table, command.session) in told, f"{command} is answered without its event")
            return
        table = self.spec.table(command.table)
        order = table.orders.get(command.order_id)
        # A command that was left lying for days is answered to nobody: what counts is when the answer is given.
        is_old = order is not None and command.session < table.now.session and now - order.time > DAY
        if not (is_old and kind == "closed"):
            self.hold(Outcome(kind, version) == meant, f"{command} is answered {kind} {version}, meant {meant}")
        if kind in ("accepted", "replayed"):
            orders = self.ledger.get((command.table, command.session), [])
            stands = len(orders) > version and orders[version].order_id == command.order_id
            self.hold(stands, f"{command} was answered 201 and is not in the log")
            first = self.acknowledged.setdefault(command.order_id, version)
            self.hold(first == version, f"{command} was answered at version {first} before, now at {version}")

    def check_ledger(self, name: str, orders: dict[str, Order]) -> None:
        told = [
            event.order_id for (table, _), events in sorted(self.ledger.items()) if table == name for event in events
        ]
        self.hold(told == list(orders), f"the ledger has {told} of {name}, the log {list(orders)}")
        cancelled = {(session, version) for table, session, version in self.cancelled if table == name}
        meant = self.spec.table(name).cancelled
        self.hold(cancelled == meant, f"the ledger has {cancelled} of {name} as cancelled, the log {meant}")
        last = self.spec.table(name).now
        opened = set(range(1, last.session + 1))
        closed = opened - ({last.session} if last.is_open else set())
        self.hold({session for table, session in self.opened if table == name} == opened, f"{name}: opened {opened}")
        self.hold({session for table, session in self.closed if table == name} == closed, f"{name}: closed {closed}")

    def check_acknowledged(self) -> None:
        """Each order that a guest had a 201 for stands in the ledger, once."""
        for order_id, version in self.acknowledged.items():
            found = [event for events in self.ledger.values() for event in events if event.order_id == order_id]
            self.hold([event.version for event in found] == [version + 1], f"{order_id} stands as {found}")

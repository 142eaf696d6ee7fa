"""One partition of the kitchen at its owner: what it decided, and what Kafka has acknowledged of it."""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from app.domain.decide import At
from app.domain.kitchen import FORGET_MS, NO_TABLE, KitchenTable
from app.domain.tickets import NEW, KitchenOrder, Ticket, tickets_of
from app.messages import Answer, NoteCancelled, encode
from app.ports import Answers, Lane
from app.tables.kitchen import (
    Head,
    Records,
    decode_order,
    decode_table,
    encode_order,
    encode_table,
    head_of,
    order_key,
    orders_of,
    table_key,
)
from app.ticket_messages import encode_ticket

UNARRIVED_MS = 24 * 3_600_000  # after which a cancelled order that never came is forgotten, too


@dataclass(frozen=True, slots=True)
class KitchenLanes:
    """Where a partition's records, tickets, and what the orders service has to know are written."""

    records: Lane
    tickets: Lane
    orders: Lane


@dataclass(frozen=True, slots=True)
class _Entry:
    """A command that was decided on: it is completed when the lanes have come so far."""

    at: At
    records: int
    tickets: int
    orders: int
    reply_to: str
    answer: Answer | None


class KitchenPartition:
    """The pipeline of one partition: decisions are sent at once and completed in order, as those of orders are."""

    def __init__(
        self,
        number: int,
        records: Records,
        lanes: KitchenLanes,
        answers: Answers,
        done: Callable[[int, int], None],
    ) -> None:
        self.number = number
        self.records = records
        self.lanes = lanes
        self.revoked = False
        self.open: dict[bytes, int] = {}  # key of each order that some display has to show -> when it was placed
        self.unseen: dict[tuple[bytes, str], int] = {}  # key and station of each new ticket -> when it was placed
        self.states: Counter[tuple[str, str]] = Counter()  # tickets by station and state
        self._answers = answers
        self._done = done
        self._acked: At | None = None  # the last command that was completed
        self._queue: deque[_Entry] = deque()
        self._finished: deque[tuple[int, bytes]] = deque()  # when, and which order; it may have been recalled since
        self._named: set[bytes] = set()  # orders that were asked to be cleared, and are not yet
        self._cancelled: dict[bytes, int] = {}  # orders that were cancelled before they came, and when
        for key, head in orders_of(records):
            order = decode_order(records[key])
            self._count(key, order, 1)
            self._queue_to_forget(key, order, head)
        self._finished = deque(sorted(self._finished))

    @property
    def in_flight(self) -> int:
        """Commands that were decided on and wait for Kafka."""
        return len(self._queue)

    def order(self, table: str, order_id: str) -> KitchenOrder | None:
        """The order, with all that was decided."""
        data = self.records.get(order_key(table, order_id))
        return None if data is None else decode_order(data)

    def table(self, table: str) -> KitchenTable:
        """What is known of the table."""
        data = self.records.get(table_key(table))
        return NO_TABLE if data is None else decode_table(data)

    def write_order(self, order: KitchenOrder) -> None:
        """Keep an order and send its record."""
        key = order_key(order.table, order.order_id)
        before = self.records.get(key)
        if before is not None:
            self._count(key, decode_order(before), -1)
        data = encode_order(order)
        self._count(key, order, 1)
        self._queue_to_forget(key, order, head_of(data))
        self._write(key, data)

    def write_table(self, table: str, state: KitchenTable) -> None:
        """Keep what is known of a table and send it."""
        self._write(table_key(table), encode_table(state))

    def say_again(self, keys: Iterable[bytes]) -> None:
        """Send records once more, as they stand; of what is not known here, or not yet, nothing is said."""
        for key in keys:
            if (data := self.records.get(key)) is not None:
                self.lanes.records.send(key, data)

    def tell(self, tickets: Iterable[Ticket]) -> None:
        """Send a message for each of these versions of tickets."""
        for ticket in tickets:
            self.lanes.tickets.send(ticket.order.table.encode(), encode_ticket(ticket))

    def note_cancelled(self, note: NoteCancelled) -> None:
        """Have the orders service know."""
        self.lanes.orders.send(note.table.encode(), encode(note))

    def complete_later(self, at: At, reply_to: str = "", answer: Answer | None = None) -> None:
        """Queue a command that was decided on, behind all that was sent so far."""
        lanes = self.lanes
        self._queue.append(_Entry(at, lanes.records.sent, lanes.tickets.sent, lanes.orders.sent, reply_to, answer))

    def advance(self) -> None:
        """Complete from the head what Kafka has acknowledged: answer in order, and say how far the log is done with."""
        records, tickets, orders = self.lanes.records.acked, self.lanes.tickets.acked, self.lanes.orders.acked
        completed = None
        while self._queue:
            head = self._queue[0]
            if head.records > records or head.tickets > tickets or head.orders > orders:
                break
            completed = self._queue.popleft()
            if completed.answer is not None:
                self._answers.give(completed.reply_to, completed.answer)
        if completed is not None and not self.revoked:
            self._acked = completed.at
            self._done(self.number, completed.at.offset + 1)

    def to_clear(self, max_open: int, placed_before: int, most: int) -> list[bytes]:
        """Keys of orders that are past `max_open` or too old (ms, UTC), the oldest `most` first; each is named once."""
        self._named &= self.open.keys()
        many = len(self.open) - max_open
        found = [
            key
            for number, (key, placed_at) in enumerate(islice(self.open.items(), max(0, many) + most))
            if key not in self._named and (number < many or placed_at < placed_before)
        ][:most]
        self._named |= set(found)
        return found

    def forget_finished(self) -> int:
        """Delete orders that no command can reach any more; returns how many."""
        if (acked := self._acked) is None:
            return 0
        gone: dict[bytes, None] = {}  # an order may be queued twice
        while self._finished and self._finished[0][0] < acked.time - FORGET_MS:
            changed_at, key = self._finished[0]
            head = self._head(key)
            if head is not None and head.is_finished and head.changed_at == changed_at:
                if head.offset > acked.offset:
                    break  # its last command may be read again
                gone[key] = None
            self._finished.popleft()
        for key in [key for key, at in self._cancelled.items() if at < acked.time - UNARRIVED_MS]:
            del self._cancelled[key]
            gone[key] = None
        for key in gone:
            self._count(key, decode_order(self.records.pop(key)), -1)
            self.lanes.records.send(key, None)
        return len(gone)

    def _head(self, key: bytes) -> Head | None:
        data = self.records.get(key)
        return None if data is None else head_of(data)

    def _queue_to_forget(self, key: bytes, order: KitchenOrder, head: Head) -> None:
        """Have an order deleted in time; nothing where it is being cooked."""
        if not order.has_arrived:
            self._cancelled[key] = order.cancelled_at
            return
        self._cancelled.pop(key, None)
        if head.is_finished:
            self._finished.append((head.changed_at, key))

    def _write(self, key: bytes, data: bytes) -> None:
        self.records[key] = data
        self.lanes.records.send(key, data)

    def _count(self, key: bytes, order: KitchenOrder, by: int) -> None:
        """Count an order in what is shown, or out."""
        tickets = tickets_of(order).values()
        for ticket in tickets:
            self.states[ticket.station, ticket.state] += by
            if ticket.state == NEW and by > 0:
                self.unseen.setdefault((key, ticket.station), order.placed_at)
            elif ticket.state != NEW and by > 0:
                self.unseen.pop((key, ticket.station), None)
        if any(ticket.is_shown for ticket in tickets) and by > 0:
            self.open.setdefault(key, order.placed_at)
        elif by > 0:
            self.open.pop(key, None)

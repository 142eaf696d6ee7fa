"""The auditor: one check after the other, for weeks, beside everything else.

    what the kitchen has done ──> tickets, read on to their ends: orders that have all of them as fast as they come
    rows, events ──> read on to their ends: orders acknowledged, told of, passed over          as fast as they come
    what the ledger has done ──> events before it ──> looked for in every table of Cassandra   at a bounded rate
    all of that, again ──> from the log's beginning, round after round                         at a tenth of it

It keeps no orders, only how far each table is (places.py, kitchen.py) and what is amiss (book.py): the log and
Cassandra keep them.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from app.audit.book import Book
from app.audit.figures import Figures
from app.audit.log import AuditError, Group, KitchenGroup, Pieces, RemadeError, Topic
from app.audit.orders import Order, of_record
from app.audit.store import LOOK_SECONDS, Store
from app.audit.tickets import of_ticket
from app.domain.row import BadRowError, Row
from app.messages import BadMessageError, NewerSchemaError
from app.settings import Settings
from app.topics import KITCHEN_TICKETS, LEDGER_APP, ORDER_EVENTS, TABLES_CHANGELOG

log = structlog.get_logger(__name__)

PIECE = 100  # events that are looked for together
MANY = 1000  # records between two signs of life


class Cursor:
    """How far one has come in each partition."""

    def __init__(self) -> None:
        self.at: dict[int, int] = {}

    def next(self, starts: Mapping[int, int], ends: Mapping[int, int], most: int) -> tuple[int, int, int] | None:
        """Partition, first and last offset (exclusive) of the next piece: of the partition that lacks most."""
        for partition, start in starts.items():
            self.at[partition] = max(start, self.at.get(partition, 0))
        if not ends:
            return None
        lacking, partition = max((self.lacking(ends, number), number) for number in ends)
        if lacking <= 0:
            return None
        at = self.at[partition]
        return partition, at, at + min(most, lacking)

    def lacking(self, ends: Mapping[int, int], partition: int) -> int:
        """How far it is to the end."""
        return ends[partition] - self.at.get(partition, 0)


class Auditor:
    """Reads, compares and keeps the figures; `check` is called again and again."""

    def __init__(self, settings: Settings, figures: Figures, wait: Callable[[float], bool]) -> None:
        """`wait` waits so many s, and tells whether the process is to stop."""
        self._settings, self._figures, self._wait = settings, figures, wait
        self.book = Book(settings.audit.grace, lambda text: log.warning("audit", what=text))
        self._changelog: Topic | None = None
        self._events: Topic | None = None
        self._ledger: Group | None = None
        self._kitchen: KitchenGroup | None = None
        self._tickets: Topic | None = None
        self._cooked: dict[int, int] = {}  # up to where the kitchen is done with the events
        self._pieces: Pieces | None = None
        self._store: Store | None = None
        self._front, self._round = Cursor(), Cursor()
        self._round_ends: dict[int, int] = {}  # the front as the round began: it never stands still
        self._is_waiting = False
        self.has_begun = False  # both Kafka and Cassandra have answered once
        self.turned_at = time.monotonic()

    def check(self) -> None:
        """One check; what cannot be read is said once, and tried again with the next.

        Raises:
            RemadeError: the log was made anew.
        """
        try:
            starts, done = self._read_on()
            if not starts:
                return  # it is to stop
            self._figures.show(self.book)  # Cassandra may let one wait
            self._look_on(starts, done)
        except RemadeError:
            raise
        except AuditError as error:
            self.book.start_over()
            if not self._is_waiting:
                log.warning("the audit waits", reason=str(error))
            self._is_waiting = True
        else:
            if self._is_waiting:
                log.info("the audit goes on")
            self._is_waiting = False
            self._figures.check_is_done()
        self._figures.show(self.book)
        self._turn()

    def _turn(self) -> bool:
        """A sign of life; whether to stop."""
        self.turned_at = time.monotonic()
        return self._wait(0)

    # ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_on(self) -> tuple[dict[int, int], dict[int, int]]:
        """Read rows and events on; the offsets at which events begin, and up to which the ledger is done with them."""
        bootstrap = self._settings.kafka_bootstrap
        self._changelog = self._changelog or Topic(bootstrap, TABLES_CHANGELOG)
        self._events = self._events or Topic(bootstrap, ORDER_EVENTS)
        self._tickets = self._tickets or Topic(bootstrap, KITCHEN_TICKETS)
        if not self._read_tickets(self._events, self._tickets):
            return {}, {}
        self._ledger = self._ledger or Group(bootstrap, LEDGER_APP)
        for count, message in enumerate(self._changelog.read()):
            self._row(message)
            if count % MANY == 0 and self._turn():
                return {}, {}
        for count, message in enumerate(self._events.read()):
            self._event(message, self._events)
            if count % MANY == 0 and self._turn():
                return {}, {}
        now = time.monotonic()
        self.book.compare(now, is_whole=not self._events.is_cut)
        is_whole = not (self._events.is_cut or self._tickets.is_cut)
        self.book.kitchen.compare(now, self._events.read_to, self._cooked, is_whole=is_whole)
        ends, done = self._events.ends(), self._ledger.committed(self._events)
        self._figures.unwritten.set(sum(max(0, end - done[number]) for number, end in ends.items()))
        self._figures.oldest_unwritten = self._oldest(ends, done)
        return self._events.starts, done

    def _read_tickets(self, events: Topic, tickets: Topic) -> bool:
        """Read the tickets on, once it is known what the kitchen is done with; False where it is to stop.

        They come before the events, so that none is newer than these.
        """
        kitchen = self.book.kitchen
        self._kitchen = self._kitchen or KitchenGroup(self._settings.kafka_bootstrap)
        self._cooked = self._kitchen.done(events)
        for count, message in enumerate(tickets.read()):
            try:
                kitchen.ticket(of_ticket(message.key(), message.value()), is_whole=not tickets.is_cut)
            except BadMessageError as error:
                kitchen.unreadable(f"{KITCHEN_TICKETS}/{message.partition()} offset {message.offset()}: {error}")
            if count % MANY == 0 and self._turn():
                return False
        return True

    def _row(self, message: Any) -> None:
        table, value = (message.key() or b"").decode(errors="replace"), message.value()
        if value is not None:
            try:
                self.book.row(table, Row.decode(value))
            except BadRowError as error:
                self.book.differ(f"{TABLES_CHANGELOG}, table {table}: {error}")

    def _event(self, message: Any, topic: Topic) -> None:
        try:
            order = of_record(message.key(), message.value())
        except NewerSchemaError as error:
            self.book.differ(f"{ORDER_EVENTS}/{message.partition()} offset {message.offset()}: {error}")
            return
        except BadMessageError:
            return  # it is set aside: the dead letters tell of it
        except ValueError as error:
            self.book.differ(f"{ORDER_EVENTS}/{message.partition()} offset {message.offset()}: {error}")
            return
        if order is not None:
            self.book.event(order, is_whole=not topic.is_cut, partition=message.partition())

    def _oldest(self, ends: dict[int, int], done: dict[int, int]) -> int | None:
        """When the oldest event was appended (ms since 1970, UTC) that the ledger is not done with."""
        times = [
            self._read(number, done[number], done[number] + 1)[0].timestamp()[1]
            for number, end in ends.items()
            if done[number] < end
        ]
        return min(times, default=None)

    def _read(self, partition: int, start: int, stop: int) -> list[Any]:
        self._pieces = self._pieces or Pieces(self._settings.kafka_bootstrap, ORDER_EVENTS)
        return self._pieces.read(partition, start, stop)

    # ── Cassandra ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _look_on(self, starts: Mapping[int, int], done: Mapping[int, int]) -> None:
        """Look for what is missing, for what the ledger has done since, and for some of all that once more."""
        audit = self._settings.audit
        until = time.monotonic() + audit.every
        if self._store is None:
            self._store = Store(self._settings, LOOK_SECONDS)
        self._store.ping()
        self.has_begun = True
        due = self.book.due(time.monotonic())
        while due and time.monotonic() < until and not self._turn():
            self._look(due[:PIECE])
            due = due[PIECE:]
        while time.monotonic() < until and not self.book.is_full and not self._turn():
            if not self._look_at_next(self._front, starts, done, PIECE):
                break
        self._figures.unverified.set(sum(max(0, self._front.lacking(done, number)) for number in done))
        self._again(starts)

    def _again(self, starts: Mapping[int, int]) -> None:
        """The next orders of a round through all that was looked for once, up to the front as it was then."""
        audit = self._settings.audit
        if self.book.is_full or self._turn():
            return
        if not self._look_at_next(self._round, starts, self._round_ends, round(audit.repeat_rate * audit.every)):
            if self._round_ends:
                self._figures.round_is_done()
            self._round, self._round_ends = Cursor(), dict(self._front.at)

    def _look_at_next(self, cursor: Cursor, starts: Mapping[int, int], ends: Mapping[int, int], most: int) -> bool:
        """Look for the orders of the cursor's next piece, if there is one."""
        piece = cursor.next(starts, ends, min(PIECE, max(1, most)))
        if piece is None:
            return False
        self._look([order for message in self._read(*piece) if (order := _order(message)) is not None])
        cursor.at[piece[0]] = piece[2]
        return True

    def _look(self, orders: list[Order]) -> None:
        """Look for some orders in Cassandra, and take as long as the rate allows."""
        assert self._store is not None
        begun = time.monotonic()
        for order, held in zip(orders, self._store.look_for(orders), strict=True):
            self.book.look(order, held, time.monotonic())
        self._wait(max(0.0, begun + len(orders) / self._settings.audit.rate - time.monotonic()))

    def close(self) -> None:
        """Let go of Kafka and Cassandra."""
        sources = (self._changelog, self._events, self._ledger, self._kitchen, self._tickets, self._pieces, self._store)
        for source in sources:
            if source is not None:
                source.close()


def _order(message: Any) -> Order | None:
    """What is no event has been told of already."""
    try:
        return of_record(message.key(), message.value())
    except ValueError:
        return None

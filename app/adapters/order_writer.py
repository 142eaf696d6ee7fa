"""Events into Cassandra's tables: idempotent, in any order, as often as they come."""

import asyncio
from collections.abc import Iterator, Sequence
from operator import attrgetter

import msgspec
import structlog
from cassandra.query import BatchStatement, BatchType

from app.adapters.cassandra import CassandraSession, Statement
from app.domain.business_day import BusinessDays
from app.messages import Event, OrderCancelled, OrderPlaced, SessionOpened
from app.ports import UnavailableError
from app.settings import Settings

log = structlog.get_logger(__name__)

# Cells are ordered by the event, never by a machine's clock: Cassandra keeps the cell with the highest timestamp, and
# the first event of a (table, session, version) counts, so an event's timestamp falls as its command's offset rises
# (for a session or a cancel: as its log time rises). Written twice, late or in another order, the tables end up the
# same; a later event that says something else changes no cell. Microseconds since 1970 on a clock are above all of
# these (this is the year 2001), so that an operator's DELETE counts.
FIRST = 10**15

# Small enough to stay far below what Cassandra refuses (50 KiB), large enough that a request's own cost is shared.
BATCH_ORDERS = 24
BATCH_BYTES = 24_000
ORDER_BYTES = 600  # what the three rows of an order take besides twice its lines and notes

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 2.0

_WHOLE = (
    "(order_id, client_order_id, table_number, session, version, lines, note, total, currency, placed_at, log_offset)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_BRIEF = (
    "(day, slot, placed_at, order_id, table_number, session, version, total, currency)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_SESSION = "INSERT INTO sessions (table_number, session, {}) VALUES (?, ?, ?) USING TIMESTAMP ?"
_CANCEL = "UPDATE {} USING TIMESTAMP ? SET cancelled_at = ? WHERE {}"

_encode = msgspec.json.Encoder().encode
_table_and_session = attrgetter("table", "session")

Rows = list[tuple[Statement, Sequence[object]]]


class CassandraOrderWriter:
    """Writes events to every table that tells of them."""

    def __init__(self, session: CassandraSession, settings: Settings) -> None:
        self._session = session
        self._limit = asyncio.Semaphore(settings.cassandra.concurrent_writes)
        self._days = BusinessDays(settings.restaurant.time_zone, settings.restaurant.business_day_starts)
        self._by_id = session.prepare(f"INSERT INTO orders_by_id {_WHOLE}")
        self._by_session = session.prepare(f"INSERT INTO orders_by_session {_WHOLE}")
        self._by_day = session.prepare(f"INSERT INTO orders_by_day {_BRIEF}")
        self._cancel_by_id = session.prepare(_CANCEL.format("orders_by_id", "order_id = ?"))
        self._cancel_by_session = session.prepare(
            _CANCEL.format("orders_by_session", "table_number = ? AND session = ? AND version = ?")
        )
        self._cancel_by_day = session.prepare(
            _CANCEL.format("orders_by_day", "day = ? AND slot = ? AND placed_at = ? AND order_id = ?")
        )
        self._opened = session.prepare(_SESSION.format("opened_at"))
        self._closed = session.prepare(_SESSION.format("closed_at"))
        self._ping = session.prepare("SELECT key FROM system.local")
        self._away = False

    @property
    def breaks(self) -> int:
        """How often Cassandra was seen to break off; what it answered shortly before may be lost."""
        return self._session.breaks

    async def wait_until_it_answers(self) -> None:
        """Returns once Cassandra has answered anything; whether it broke off before is then known."""
        while True:
            try:
                await self._session.rows(self._ping, ())
            except UnavailableError:
                await asyncio.sleep(LAST_RETRY_SECONDS)
            else:
                return

    async def write(self, events: Sequence[Event]) -> None:
        """Write the events, in any order; returns once each stands in all of its tables, and tries until then."""
        await asyncio.gather(*(self._write(rows, size) for rows, size in self._portions(events)))
        if self._away:
            self._away = False
            log.info("cassandra takes orders again")

    def _portions(self, events: Sequence[Event]) -> Iterator[tuple[Rows, int]]:
        """The rows in portions and their size; all rows of an event are in one, and one too large is alone."""
        rows: Rows = []
        count = size = 0
        # A table's orders side by side: Cassandra takes what a batch has for one partition as one change.
        for event in sorted(events, key=_table_and_session):
            mine, length = self._rows(event)
            if rows and (count == BATCH_ORDERS or size + length > BATCH_BYTES):
                yield rows, size
                rows, count, size = [], 0, 0
            rows += mine
            count += 1
            size += length
        if rows:
            yield rows, size

    def _rows(self, event: Event) -> tuple[Rows, int]:
        """An event's rows and about how many bytes they take."""
        if isinstance(event, OrderCancelled):
            return self._cancel_rows(event), ORDER_BYTES
        if not isinstance(event, OrderPlaced):
            statement = self._opened if isinstance(event, SessionOpened) else self._closed
            return [(statement, (event.table, event.session, event.at, FIRST - event.at))], ORDER_BYTES
        timestamp = FIRST - event.offset
        lines = _encode(event.lines)
        whole = (
            event.order_id,
            event.client_order_id,
            event.table,
            event.session,
            event.version,
            lines.decode(),
            event.note,
            event.total,
            event.currency,
            event.placed_at,
            event.offset,
            timestamp,
        )
        day, slot = self._days.slot(event.placed_at)
        brief = (
            day,
            slot,
            event.placed_at,
            event.order_id,
            event.table,
            event.session,
            event.version,
            event.total,
            event.currency,
            timestamp,
        )
        rows: Rows = [(self._by_id, whole), (self._by_session, whole), (self._by_day, brief)]
        return rows, ORDER_BYTES + 2 * (len(lines) + len(event.note.encode()))

    def _cancel_rows(self, event: OrderCancelled) -> Rows:
        """The mark in each table that tells of the order; it may come before the order's own row."""
        mark = (FIRST - event.at, event.at)
        rows: Rows = [
            (self._cancel_by_id, (*mark, event.order_id)),
            (self._cancel_by_session, (*mark, event.table, event.session, event.version)),
        ]
        if event.placed_at:
            key = (*self._days.slot(event.placed_at), event.placed_at, event.order_id)
            rows.append((self._cancel_by_day, (*mark, *key)))
        return rows

    async def _write(self, rows: Rows, size: int) -> None:
        async with self._limit:
            delay = FIRST_RETRY_SECONDS
            while True:
                try:
                    await self._try(rows, size)
                except UnavailableError as error:
                    self._note_away(error)
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, LAST_RETRY_SECONDS)
                else:
                    return

    async def _try(self, rows: Rows, size: int) -> None:
        if size > BATCH_BYTES:  # one order, too large for a batch
            for statement, values in rows:
                await self._session.write(statement.bind(values))
            return
        # Unlogged: what a broken batch left out is written when it is tried again.
        batch = BatchStatement(BatchType.UNLOGGED)
        for statement, values in rows:
            batch.add(statement.bind(values))
        await self._session.write(batch)

    def _note_away(self, error: UnavailableError) -> None:
        if not self._away:
            self._away = True
            log.warning("cassandra takes no orders, trying on", reason=str(error))

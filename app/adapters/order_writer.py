"""Events into Cassandra's tables: idempotent, in any order, as often as they come."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import TypeVar

import msgspec
import structlog

from app.adapters.batch import RowBatch, RowEncoder
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

# Small enough to stay below what Cassandra refuses (50 KiB), large enough that a request's own cost is shared.
BATCH_BYTES = 40_000
ROW_BYTES = 150  # what Cassandra counts of a row besides its values, as the mean of an order's: 20 a cell, 40 the row

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 2.0

_WHOLE = (
    "(order_id, client_order_id, table_number, session, version, lines, note, total, currency, placed_at, log_offset)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_POINTER = "(order_id, table_number, session, version, log_offset) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
_BRIEF = (
    "(day, slot, placed_at, order_id, table_number, session, version, total, currency)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_SESSION = "INSERT INTO sessions (table_number, session, {}) VALUES (?, ?, ?) USING TIMESTAMP ?"
_CANCEL = "UPDATE {} USING TIMESTAMP ? SET cancelled_at = ? WHERE {}"

_encode = msgspec.json.Encoder().encode
_table_and_session = attrgetter("table", "session")

Row = tuple[RowEncoder, bytes]
Portion = Sequence[RowBatch]  # written one after the other
T = TypeVar("T")


class CassandraOrderWriter:
    """Writes events to every table that tells of them."""

    def __init__(self, session: CassandraSession, settings: Settings) -> None:
        self._session = session
        self._limit = asyncio.Semaphore(settings.cassandra.concurrent_writes)
        self._days = BusinessDays(settings.restaurant.time_zone, settings.restaurant.business_day_starts)
        self._by_id = session.prepare(f"INSERT INTO orders_by_id {_POINTER}")
        self._by_session = session.prepare(f"INSERT INTO orders_by_session {_WHOLE}")
        self._by_day = session.prepare(f"INSERT INTO orders_by_day {_BRIEF}")
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
        portions = await self._trying(partial(self._encoded, events))
        await asyncio.gather(*map(self._write, portions))
        if self._away:
            self._away = False
            log.info("cassandra takes orders again")

    async def _encoded(self, events: Sequence[Event]) -> list[Portion]:
        return list(self._portions(events))  # fails until Cassandra has answered for the first time

    def _portions(self, events: Sequence[Event]) -> Iterator[Portion]:
        """A batch at a time; all rows of an event are in one, and those of one too large in one each."""
        batch, size = RowBatch(), 0
        # A table's orders side by side: Cassandra takes what a batch has for one partition as one change.
        for event in sorted(events, key=_table_and_session):
            rows = self._rows(event)
            more = sum([ROW_BYTES + len(values) for _, values in rows])
            if more > BATCH_BYTES:  # of a batch with one row Cassandra does not ask how large it is
                yield [_batch(row) for row in rows]
                continue
            if size + more > BATCH_BYTES:
                yield [batch]
                batch, size = RowBatch(), 0
            for row in rows:
                batch.add_row(*row)
            size += more
        if size:
            yield [batch]

    def _rows(self, event: Event) -> list[Row]:
        """An event's rows."""
        if isinstance(event, OrderCancelled):
            return self._cancel_rows(event)
        if not isinstance(event, OrderPlaced):
            statement = self._opened if isinstance(event, SessionOpened) else self._closed
            return [_row(statement, event.table, event.session, event.at, FIRST - event.at)]
        timestamp = FIRST - event.offset
        by_session = _row(
            self._by_session,
            event.order_id,
            event.client_order_id,
            event.table,
            event.session,
            event.version,
            _encode(event.lines).decode(),
            event.note,
            event.total,
            event.currency,
            event.placed_at,
            event.offset,
            timestamp,
        )
        pointer = (event.order_id, event.table, event.session, event.version, event.offset, timestamp)
        by_day = _row(
            self._by_day,
            *self._days.slot(event.placed_at),
            event.placed_at,
            event.order_id,
            event.table,
            event.session,
            event.version,
            event.total,
            event.currency,
            timestamp,
        )
        return [_row(self._by_id, *pointer), by_session, by_day]

    def _cancel_rows(self, event: OrderCancelled) -> list[Row]:
        """The mark in each table that tells of the order; it may come before the order's own row."""
        mark = (FIRST - event.at, event.at)
        rows = [_row(self._cancel_by_session, *mark, event.table, event.session, event.version)]
        if event.placed_at:
            key = (*self._days.slot(event.placed_at), event.placed_at, event.order_id)
            rows.append(_row(self._cancel_by_day, *mark, *key))
        return rows

    async def _write(self, portion: Portion) -> None:
        async with self._limit:
            for batch in portion:
                await self._trying(partial(self._session.write, batch))

    async def _trying(self, attempt: Callable[[], Awaitable[T]]) -> T:
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                return await attempt()
            except UnavailableError as error:
                self._note_away(error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_RETRY_SECONDS)

    def _note_away(self, error: UnavailableError) -> None:
        if not self._away:
            self._away = True
            log.warning("cassandra takes no orders, trying on", reason=str(error))


def _row(statement: Statement, *values: object) -> Row:
    encoder = statement.encoder
    return encoder, encoder.values(values)


def _batch(row: Row) -> RowBatch:
    batch = RowBatch()
    batch.add_row(*row)
    return batch

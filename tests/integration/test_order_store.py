"""Orders in Cassandra: written as often and in whatever order, they read as the first event said."""

import random
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cassandra.cluster import Session

from app.adapters.cassandra import CassandraSession
from app.adapters.order_store import CassandraOrderStore
from app.adapters.order_writer import CassandraOrderWriter
from app.domain.business_day import BusinessDays
from app.domain.ids import order_id
from app.messages import Event, Line, OrderCancelled, OrderPlaced, SessionClosed, SessionOpened
from app.ports import KeptOrder, UnavailableError
from app.settings import Settings
from tests.integration.conftest import until

pytestmark = pytest.mark.stack

NOON = 1_790_000_000_000


def placed(
    table: str = "T1", version: int = 1, offset: int | None = None, session: int = 1, **more: Any
) -> OrderPlaced:
    client_id = f"id-{version}"
    event = OrderPlaced(
        order_id=order_id(table, session, client_id),
        client_order_id=client_id,
        table=table,
        session=session,
        version=version,
        lines=(
            Line("m1", "Grilled Salmon", 2, 1899, "no salt – «bien cuit» 🐟", ("x1", "x2")),
            Line("m2", "Soup", 1, 0),
        ),
        total=3798,
        currency="EUR",
        placed_at=NOON + version,
        offset=version if offset is None else offset,
        note="by the window\x00",
    )
    return msgspec.structs.replace(event, **more)


def cancelled(order: OrderPlaced, at: int = NOON + 60_000) -> OrderCancelled:
    return OrderCancelled(
        order.table, order.session, order.order_id, order.version, order.total, placed_at=order.placed_at, at=at
    )


@dataclass
class Books:
    """Writer, reader and a session that looks into each table."""

    writer: CassandraOrderWriter
    store: CassandraOrderStore
    session: CassandraSession
    tables: Session
    settings: Settings
    table: str  # a table number of this test alone

    def rows(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        """These columns of a Cassandra table for all tables of this test."""
        rows = self.tables.execute(f"SELECT table_number, {columns} FROM {table}")
        return sorted(row for row in rows if row[0].startswith(self.table))

    def dump(self) -> list[list[tuple[Any, ...]]]:
        """All that all Cassandra tables hold."""
        whole = "session, version, order_id, client_order_id, lines, note, total, currency, placed_at, log_offset"
        return [
            self.rows("orders_by_id", "session, version, order_id, log_offset"),
            self.rows("orders_by_session", whole),
            self.rows("orders_by_day", "session, version, order_id, day, slot, placed_at, total, currency"),
            self.rows("sessions", "session, opened_at"),
        ]

    def places(self) -> list[list[tuple[Any, ...]]]:
        """What each of an order's Cassandra tables says of which order stands where."""
        tables = ("orders_by_id", "orders_by_session", "orders_by_day")
        return [self.rows(table, "session, version, order_id") for table in tables]


@pytest.fixture
async def books(own_tables: Settings, cassandra: Session) -> AsyncIterator[Books]:
    session = CassandraSession(own_tables)
    writer, store = CassandraOrderWriter(session, own_tables), CassandraOrderStore(session)
    session.start()
    cassandra.set_keyspace(own_tables.cassandra.keyspace)
    try:
        await until(lambda: session.connected)
        yield Books(writer, store, session, cassandra, own_tables, f"T-{uuid.uuid4().hex[:8]}")
    finally:
        await session.stop()


async def test_an_order_reads_back_complete_by_id_and_by_session(books: Books) -> None:
    event = placed(books.table)
    await books.writer.write([event])
    assert await books.store.order(event.order_id) == KeptOrder(event)
    assert list(await books.store.orders_of_session(books.table, 1)) == [KeptOrder(event)]
    assert await books.store.order("o0") is None
    assert await books.store.orders_of_session(books.table, 2) == []


async def test_a_sessions_orders_come_by_version_from_the_asked_one_on(books: Books) -> None:
    events = [placed(books.table, version) for version in range(1, 2501)]  # several pages
    await books.writer.write(random.Random(1).sample(events, len(events)))
    kept = [KeptOrder(event) for event in events]
    assert list(await books.store.orders_of_session(books.table, 1)) == kept
    assert list(await books.store.orders_of_session(books.table, 1, after_version=2498)) == kept[-2:]


async def test_events_written_again_and_shuffled_leave_the_tables_as_they_were(books: Books) -> None:
    events = [
        placed(table, version)
        for table in (books.table, books.table + "b", books.table + "c")
        for version in range(1, 40)
    ]
    sessions = [
        SessionOpened(books.table, 1, NOON),
        SessionClosed(books.table, 1, NOON + 9),
        SessionOpened(books.table, 2, NOON + 10),
    ]
    await books.writer.write([*sessions, *events])
    before = books.dump()
    chance = random.Random(2)
    for _ in range(3):
        again = [*sessions, *events, *chance.sample(events, 30)]
        chance.shuffle(again)
        await books.writer.write(again)
    assert books.dump() == before
    assert books.places() == [sorted((e.table, e.session, e.version, e.order_id) for e in events)] * 3


@pytest.mark.parametrize("first_comes", ["first", "last", "with the later one"])
async def test_of_two_events_of_one_version_the_one_decided_first_counts(books: Books, first_comes: str) -> None:
    first = placed(books.table, offset=7, note="")
    later = placed(books.table, offset=8, note="something else", total=1, lines=(Line("m9", "Tea", 1, 1),))
    batches = {"first": [[first], [later]], "last": [[later], [first]], "with the later one": [[later, first]]}
    for batch in batches[first_comes]:
        await books.writer.write(batch)
    assert await books.store.order(first.order_id) == KeptOrder(first)
    assert list(await books.store.orders_of_session(books.table, 1)) == [KeptOrder(first)]
    assert books.rows("orders_by_day", "total") == [(books.table, first.total)]


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_session_opened_and_closed_keeps_its_earliest_times(books: Books, reverse: bool) -> None:
    events = [
        SessionOpened(books.table, 1, NOON),
        SessionOpened(books.table, 1, NOON + 5),
        SessionClosed(books.table, 1, NOON + 60_000),
        SessionClosed(books.table, 1, NOON + 61_000),
    ]
    for event in reversed(events) if reverse else events:
        await books.writer.write([event])
    [(_, opened, closed)] = books.rows("sessions", "opened_at, closed_at")
    assert (closed - opened).total_seconds() == 60


async def test_an_orders_day_and_slot_follow_the_restaurants_clock(books: Books) -> None:
    event = placed(books.table)
    await books.writer.write([event])
    restaurant = books.settings.restaurant
    day, slot = BusinessDays(restaurant.time_zone, restaurant.business_day_starts).slot(event.placed_at)
    [row] = books.tables.execute(
        "SELECT order_id, table_number, version FROM orders_by_day WHERE day = %s AND slot = %s AND placed_at = %s"
        " AND order_id = %s",
        (day, slot, event.placed_at, event.order_id),
    )
    assert row == (event.order_id, books.table, 1)


async def test_the_largest_order_there_can_be_is_written(books: Books) -> None:
    line = Line("m" * 64, "N" * 100, 99, 10**9, "🐟" * 200, tuple("x" * 64 for _ in range(20)))
    event = placed(books.table, lines=(line,) * 100, note="🐟" * 200)
    await books.writer.write([placed(books.table + "b"), event, placed(books.table + "c")])
    assert await books.store.order(event.order_id) == KeptOrder(event)
    assert [len(places) for places in books.places()] == [3, 3, 3]


async def test_an_operators_deletion_counts_and_a_replay_does_not_undo_it(books: Books) -> None:
    event = placed(books.table)
    await books.writer.write([event])
    books.tables.execute("DELETE FROM orders_by_id WHERE order_id = %s", (event.order_id,))
    await books.writer.write([event])
    assert await books.store.order(event.order_id) is None


@pytest.mark.parametrize("comes", ["behind", "before", "with it"])
async def test_a_cancelled_order_is_marked_in_every_table_and_is_never_half_a_row(books: Books, comes: str) -> None:
    order, other = placed(books.table), placed(books.table, 2)
    event = cancelled(order)
    batches: dict[str, list[list[Event]]] = {
        "behind": [[order, other], [event], [order]],
        "before": [[event], [other, order]],
        "with it": [[event, order, other, event]],
    }
    for number, batch in enumerate(batches[comes]):
        await books.writer.write(batch)
        if (comes, number) == ("before", 0):
            assert await books.store.order(order.order_id) is None
            assert await books.store.orders_of_session(books.table, 1) == []
    assert await books.store.order(order.order_id) == KeptOrder(order, is_cancelled=True)
    assert await books.store.orders_of_session(books.table, 1) == [
        KeptOrder(order, is_cancelled=True),
        KeptOrder(other),
    ]
    for table in ("orders_by_session", "orders_by_day"):
        marks = books.rows(table, "order_id, cancelled_at, total")
        assert sorted((row[1], row[2] is not None, row[3]) for row in marks) == sorted(
            [(order.order_id, True, 3798), (other.order_id, False, 3798)]
        )


async def test_of_two_cancels_the_earlier_time_counts(books: Books) -> None:
    order = placed(books.table)
    early, late = cancelled(order, NOON + 5), cancelled(order, NOON + 9)
    for event in (order, late, early, late):
        await books.writer.write([event])
    [(_, at)] = books.rows("orders_by_day", "cancelled_at")
    assert at == datetime.fromtimestamp((NOON + 5) / 1000, UTC).replace(tzinfo=None)


async def test_an_operators_deletion_of_a_cancelled_order_leaves_nothing(books: Books) -> None:
    order = placed(books.table)
    await books.writer.write([order, cancelled(order)])
    delete = "DELETE FROM orders_by_session WHERE table_number = %s AND session = %s AND version = %s"
    books.tables.execute(delete, (books.table, order.session, order.version))
    await books.writer.write([cancelled(order), order])
    assert books.rows("orders_by_session", "order_id") == []
    assert await books.store.order(order.order_id) is None


async def test_an_id_whose_place_another_order_has_is_no_order(books: Books) -> None:
    first, second = (
        placed(books.table),
        msgspec.structs.replace(placed(books.table), order_id="o" + "2" * 32, offset=99),
    )
    await books.writer.write([second, first])
    assert await books.store.order(first.order_id) == KeptOrder(first)
    assert await books.store.order(second.order_id) is None


async def test_without_cassandra_a_read_is_refused_and_does_not_wait(own_tables: Settings) -> None:
    away = own_tables.model_copy(update={"cassandra": own_tables.cassandra.model_copy(update={"hosts": "127.0.0.250"})})
    session = CassandraSession(away)
    store = CassandraOrderStore(session)
    session.start()
    try:
        with pytest.raises(UnavailableError):
            await store.order("o1")
        with pytest.raises(UnavailableError):
            await store.orders_of_session("T1", 1)
    finally:
        await session.stop()

"""What is written to Cassandra, and which write wins: told by the event's place in the log, whenever it comes."""

import asyncio
from typing import Any

import pytest
from cassandra.query import BatchStatement, BatchType

from app.adapters import order_writer
from app.adapters.batch import RowBatch
from app.adapters.cassandra import Statement
from app.adapters.order_writer import BATCH_BYTES, FIRST, CassandraOrderWriter
from app.domain.business_day import BusinessDays
from app.messages import Event, Line, OrderCancelled, OrderPlaced, SessionClosed, SessionOpened, encode
from app.ports import UnavailableError
from app.settings import Settings
from tests.cassandra_driver import prepared, request, rows_of


class Session:
    """Notes the batches that it is given."""

    breaks = 0

    def __init__(self, *, answers: bool = True) -> None:
        self.statements: list[Statement] = []
        self.batches: list[RowBatch] = []
        self.failures = 0
        self.answers = answers

    def prepare(self, text: str) -> Statement:
        statement = Statement(text)
        self.statements.append(statement)
        if self.answers:
            self._take(statement)
        return statement

    def answer(self) -> None:
        for statement in self.statements:
            self._take(statement)

    def _take(self, statement: Statement) -> None:
        if not statement.cql.startswith("SELECT"):
            statement.take(prepared(statement.cql))

    async def write(self, batch: RowBatch) -> None:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("too slow")
        self.batches.append(batch)

    @property
    def written(self) -> dict[str, list[Any]]:
        """Table -> the values of the last row that was written to it, in bytes."""
        by_name = {prepared(s.cql).query_id: s.cql for s in self.statements if not s.cql.startswith("SELECT")}
        rows = [row for batch in self.batches for row in rows_of(request(batch))]
        return {_table(by_name[name]): values for name, values in rows}


def _table(cql: str) -> str:
    return cql.split()[2 if cql.startswith("INSERT") else 1]


def event_at(offset: int, placed_at: int, **more: Any) -> OrderPlaced:
    line = Line("m1", "Grilled Salmon", 2, 1899)
    facts = {"order_id": "o1", "table": "T1", "version": 1, "lines": (line,), "note": "no salt – «bien cuit» 🐟"} | more
    return OrderPlaced(
        client_order_id="id-1", session=1, total=3798, currency="EUR", placed_at=placed_at, offset=offset, **facts
    )


def writer_to(session: Any) -> CassandraOrderWriter:
    return CassandraOrderWriter(session, Settings())


async def stamps(event: Event) -> dict[str, int]:
    """Table -> the timestamp of its write."""
    session = Session()
    await writer_to(session).write([event])
    return {table: int.from_bytes(values[-1], signed=True) for table, values in session.written.items()}


async def test_the_event_of_the_earlier_command_wins_in_every_table() -> None:
    first = await stamps(event_at(7, placed_at=2_000))
    second = await stamps(event_at(8, placed_at=1_000))
    assert first == await stamps(event_at(7, placed_at=2_000))  # a repeat changes nothing
    assert first.keys() == {"orders_by_id", "orders_by_session", "orders_by_day"}
    assert all(first[table] > second[table] for table in first)
    assert all(0 < stamp < FIRST for stamp in first.values())  # below a clock's: an operator's DELETE counts


@pytest.mark.parametrize("kind", [SessionOpened, SessionClosed])
async def test_a_sessions_earliest_time_wins(kind: Any) -> None:
    early = await stamps(kind("T1", 1, 1_000))
    late = await stamps(kind("T1", 1, 2_000))
    assert early["sessions"] > late["sessions"]


async def test_a_cancel_is_marked_where_the_order_is_read_by_its_key_and_the_earliest_time_wins() -> None:
    placed, marked = Session(), Session()
    await writer_to(placed).write([event_at(7, placed_at=2_000)])
    await writer_to(marked).write([OrderCancelled("T1", 1, "o1", 1, 3798, placed_at=2_000, at=9_000)])
    rows, marks = placed.written, marked.written
    assert marks.keys() == rows.keys() - {"orders_by_id"}
    # An INSERT would make a row of it.
    assert all(s.cql.startswith("UPDATE") for s in marked.statements if "cancelled_at" in s.cql)
    stamp, at = (number.to_bytes(8, signed=True) for number in (FIRST - 9_000, 9_000))
    assert marks["orders_by_session"] == [stamp, at, b"T1", (1).to_bytes(4), (1).to_bytes(8)]
    assert marks["orders_by_day"] == [stamp, at, *rows["orders_by_day"][:4]]


async def test_what_is_sent_of_an_order_is_what_the_driver_would_send() -> None:
    session, event = Session(), event_at(7, placed_at=1_790_000_000_000)
    await writer_to(session).write([event])
    settings = Settings()
    slot = BusinessDays(settings.restaurant.time_zone, settings.restaurant.business_day_starts).slot(event.placed_at)
    whole = (
        "o1",
        "id-1",
        "T1",
        1,
        1,
        encode(event.lines).decode(),
        event.note,
        3798,
        "EUR",
        event.placed_at,
        7,
        FIRST - 7,
    )
    brief = (*slot, event.placed_at, "o1", "T1", 1, 1, 3798, "EUR", FIRST - 7)
    pointer = ("o1", "T1", 1, 1, 7, FIRST - 7)
    expected = BatchStatement(BatchType.UNLOGGED)
    by_table = {s.cql.split()[2]: s for s in session.statements if s.cql.startswith("INSERT INTO orders")}
    for table, values in (("orders_by_id", pointer), ("orders_by_session", whole), ("orders_by_day", brief)):
        expected.add(by_table[table].bind(values))
    (batch,) = session.batches
    assert request(batch) == request(expected)
    assert batch.routing_key == b"o1"


async def test_all_rows_of_an_order_are_in_one_batch_of_a_size_that_cassandra_takes() -> None:
    session = Session()
    orders = [event_at(n, placed_at=2_000, table=f"T{n % 7}", version=n, order_id=f"o{n}") for n in range(1, 300)]
    await writer_to(session).write(orders)
    found = []
    for batch in session.batches:
        data = request(batch)
        assert len(data) < BATCH_BYTES
        rows = rows_of(data)
        ids = [next(v for v in values if v.startswith(b"o")) for _, values in rows]
        assert ids[::3] == ids[1::3] == ids[2::3]
        found += ids[::3]
    assert sorted(found) == sorted(order.order_id.encode() for order in orders)
    assert len(session.batches) < len(orders) / 25


async def test_the_rows_of_an_order_too_large_for_a_batch_go_one_by_one() -> None:
    session = Session()
    large = event_at(7, placed_at=2_000, note="🐟" * 10_000)
    await writer_to(session).write([event_at(1, 2_000, table="T0"), large, event_at(2, 2_000, table="T2")])
    assert sorted(len(batch) for batch in session.batches) == [1, 1, 1, 6]


async def test_what_comes_before_cassandra_answers_is_written_when_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_writer, "FIRST_RETRY_SECONDS", 0.001)
    session = Session(answers=False)
    write = asyncio.create_task(writer_to(session).write([event_at(7, placed_at=2_000)]))
    await asyncio.sleep(0.01)
    assert not write.done()
    session.answer()
    await write
    assert len(session.batches) == 1


async def test_a_batch_that_was_not_taken_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_writer, "FIRST_RETRY_SECONDS", 0.001)
    session = Session()
    session.failures = 2
    await writer_to(session).write([event_at(7, placed_at=2_000)])
    assert session.written.keys() == {"orders_by_id", "orders_by_session", "orders_by_day"}

"""Reading from a table's owner: its row and the log, and over HTTP where it is another worker."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web
from faust.types import TP

from app.adapters.owners import MAX_READS, FaustOwners, OwnRows
from app.domain.claims import Claims
from app.domain.row import Row, encode_id
from app.messages import Nothing, OrderPlaced, PlaceOrder, TableState, encode
from app.ports import LogReader, Record, UnavailableError
from app.tables.rows import ChunkTable, RowTable
from app.topics import TABLES_CHANGELOG
from app.web.internal import add_internal_routes


class Tables:
    """The rows of the worker that is asked: whatever the table, its session is 7."""

    def table(self, table: str) -> TableState:
        return TableState(table, 7, True, 0, 0, 0)

    async def order(self, table: str, order_id: str) -> OrderPlaced | None: ...

    async def order_of_any_table(self, order_id: str) -> OrderPlaced | None: ...

    async def orders_of_session(self, table: str, session: int, after: int) -> list[OrderPlaced]:
        raise NotImplementedError


class WorkersOnly:
    def verify(self, token: str) -> Claims | None:
        return Claims("worker", 2**40, "", 0) if token == "worker" else None


@pytest.mark.parametrize("table", ["T1", ".", "..", "a:b"])
async def test_a_table_of_any_number_is_found_at_its_owner(table: str) -> None:
    application = web.Application()
    add_internal_routes(application, Tables(), WorkersOnly())
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    app = SimpleNamespace(assignor=SimpleNamespace(_tps_url={TP(TABLES_CHANGELOG, 0): url}))
    nothing = cast(OwnRows, SimpleNamespace(partition_of=lambda _: 0, owns=lambda _: False))
    owners = FaustOwners(app, nothing, lambda: "worker")
    try:
        assert await owners.table(table) == TableState(table, 7, True, 0, 0, 0)
    finally:
        await owners.stop()
        await runner.cleanup()


class Log:
    """A log in which each record is an order of table T1; notes what was read, and waits where it is told to."""

    def __init__(self) -> None:
        self.read_ranges: list[tuple[int, int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def read(self, topic: str, partition: int, start: int, stop: int) -> Sequence[Record]:
        del topic, partition
        await self.go_on.wait()
        self.read_ranges.append((start, stop))
        return [Record(offset, 0, b"T1", order_at(offset)) for offset in range(start, stop)]


def order_at(offset: int) -> bytes:
    return encode(PlaceOrder("r", "", "T1", 1, 0, f"c{offset}", f"o{offset:032x}", "00" * 8, (), 0, "EUR"))


def own_rows(log: Log, *offsets: int) -> OwnRows:
    ids = b"".join(encode_id(bytes([n]) * 16, bytes(8), offset) for n, offset in enumerate(offsets))
    row = Row(session=1, is_open=True, version=len(offsets), offset=offsets[-1], ids=ids)
    rows = cast(RowTable, SimpleNamespace(rows=lambda _: {"T1": row}))
    chunks = cast(ChunkTable, SimpleNamespace(chunks=lambda _: {}))
    return OwnRows(rows, chunks, cast(LogReader, log), 1, lambda: {0})


async def test_a_long_evening_is_read_without_what_the_other_tables_ordered_in_between() -> None:
    log = Log()
    orders = await own_rows(log, 7, 9, 900_000).orders_of_session("T1", 1, 0)
    assert [(order.version, order.client_order_id) for order in orders] == [(1, "c7"), (2, "c9"), (3, "c900000")]
    assert log.read_ranges == [(7, 10), (900_000, 900_001)]


async def test_guests_who_read_much_at_once_are_put_off() -> None:
    log = Log()
    log.go_on.clear()
    own = own_rows(log, 7)
    waiting = [asyncio.create_task(own.orders_of_session("T1", 1, 0)) for _ in range(MAX_READS)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError):
        await own.orders_of_session("T1", 1, 0)
    log.go_on.set()
    assert [len(orders) for orders in await asyncio.gather(*waiting)] == [1] * MAX_READS
    assert len(await own.orders_of_session("T1", 1, 0)) == 1


async def test_an_order_whose_command_was_lost_and_filled_up_by_a_repair_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"{__name__}.order_at", lambda _: encode(Nothing()))
    with pytest.raises(UnavailableError):
        await own_rows(Log(), 7).orders_of_session("T1", 1, 0)


async def test_a_table_that_another_worker_may_own_is_not_told_of() -> None:
    own = own_rows(Log(), 7)
    assert own.table("T1").version == 1
    own._owned = set
    with pytest.raises(UnavailableError):
        own.table("T1")
    with pytest.raises(UnavailableError):
        await own.order("T1", "o7")
    with pytest.raises(UnavailableError):
        await own.orders_of_session("T1", 1, 0)
    assert await own.order_of_any_table("o7") is None


async def test_a_log_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.owners.READ_SECONDS", 0.01)
    log = Log()
    log.go_on.clear()
    with pytest.raises(UnavailableError):
        await own_rows(log, 7).orders_of_session("T1", 1, 0)

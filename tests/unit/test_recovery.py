"""Recovery in batches, on Faust's own recovery service, without a broker."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace

import faust
import pytest
from faust.types import TP

from app.adapters.fatal import end_process
from app.domain.row import NO_ROW, Chunk, chunk_key
from app.ports import Record, UnavailableError
from app.tables import patience
from app.tables.recovery import BatchRecovery
from app.tables.rows import ChunkTable, RowTable
from app.topics import ORDER_IDS, ORDER_IDS_CHANGELOG, TABLES, TABLES_CHANGELOG

ROWS, IDS = TP(TABLES_CHANGELOG, 1), TP(ORDER_IDS_CHANGELOG, 1)


class Log:
    """The changelogs of one partition."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {TABLES_CHANGELOG: [], ORDER_IDS_CHANGELOG: []}
        self.read: list[tuple[str, int, int]] = []
        self.away = False
        self.breaks_after: int | None = None  # records

    def append(self, topic: str, key: bytes, value: bytes) -> None:
        self.records[topic].append(Record(len(self.records[topic]), 0, key, value))

    async def end(self, topic: str, partition: int) -> int:
        if self.away:
            raise UnavailableError("no Kafka")
        return len(self.records[topic])

    async def batches(self, topic: str, spans: Mapping[int, range]) -> AsyncIterator[tuple[int, Sequence[Record]]]:
        span = spans[1]
        self.read.append((topic, span.start, span.stop))
        for count, record in enumerate(self.records[topic][span.start : span.stop]):
            if count == self.breaks_after:
                self.breaks_after = None
                raise UnavailableError("nothing came for 5 s")
            yield 1, [record]

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, 0)

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        return {tp: len(self.records[tp.topic]) for tp in tps}


class House:
    """Two tables of a worker and their recovery."""

    def __init__(self) -> None:
        self.log = Log()
        for offset in range(3):
            row = replace(NO_ROW, session=1, is_open=True, offset=offset)
            self.log.append(TABLES_CHANGELOG, b"T1", row.encode())
        self.log.append(ORDER_IDS_CHANGELOG, chunk_key("T1", 1, 0), Chunk(0, 7, bytes(32)).encode())
        app = faust.App("orders", store="memory://")
        self.rows = RowTable(app, name=TABLES, partitions=4, fatal=end_process)
        self.chunks = ChunkTable(app, name=ORDER_IDS, partitions=4, fatal=end_process)
        self.recovery = app.tables._recovery = BatchRecovery(app, self.log, lambda *_: -1)  # type: ignore[arg-type]
        for table, tp in ((self.rows, ROWS), (self.chunks, IDS)):
            app.tables.add(table)
            self.recovery.add_active(table, tp)

    async def recover(self) -> None:
        """What Faust does once it knows the assignment."""
        recovery, consumer = self.recovery, self.log
        await recovery._build_highwaters(consumer, recovery.active_tps, recovery.active_highwaters, "active")
        await recovery._build_offsets(consumer, recovery.active_tps, recovery.active_offsets, "active")


@pytest.fixture
async def house() -> House:
    return House()


async def test_the_tables_are_read_in_batches_and_nothing_is_left_for_fausts_recovery(house: House) -> None:
    await house.recover()
    assert house.rows.rows(1)["T1"].offset == 2
    assert [chunk.stamp for chunk in house.chunks.chunks(1)["T1", 1]] == [7]
    assert not house.recovery.need_recovery()
    assert house.rows.read_up_to(1) == 3


async def test_the_order_ids_are_read_after_the_rows_that_rely_on_them(house: House) -> None:
    await house.recover()
    assert [topic for topic, _, _ in house.log.read] == [TABLES_CHANGELOG, ORDER_IDS_CHANGELOG]


async def test_a_partition_that_stays_is_read_on_from_where_it_was(house: House) -> None:
    await house.recover()
    house.log.read.clear()
    house.log.append(TABLES_CHANGELOG, b"T2", replace(NO_ROW, session=1, offset=9).encode())
    await house.recover()
    assert house.log.read == [(TABLES_CHANGELOG, 3, 4)]
    assert house.rows.rows(1).keys() == {"T1", "T2"}


async def test_a_partition_that_left_and_came_back_is_read_from_its_start(house: House) -> None:
    await house.recover()
    await house.rows.on_recovery_completed(set(), set())
    house.log.read.clear()
    await house.recover()
    assert house.log.read == [(TABLES_CHANGELOG, 0, 3)]


async def test_without_kafka_recovery_waits_and_does_not_end_half_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "RETRY_SECONDS", 0.001)
    house.log.away = True
    recovery = asyncio.ensure_future(house.recover())
    await asyncio.sleep(0.05)
    assert not recovery.done()
    house.log.away = False
    await recovery
    assert house.rows.applied == 3


async def test_a_recovery_that_breaks_off_goes_on_where_it_was(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "RETRY_SECONDS", 0.001)
    house.log.breaks_after = 2
    await house.recover()
    assert house.log.read[:2] == [(TABLES_CHANGELOG, 0, 3), (TABLES_CHANGELOG, 2, 3)]
    assert (house.rows.applied, house.rows.rows(1)["T1"].offset) == (3, 2)


class FailingTable:
    """A table that cannot be taken over."""

    asked = False

    async def on_recovery_completed(self, active: set[TP], standby: set[TP]) -> None:
        self.asked = True
        raise RuntimeError("half the rows")


async def test_faust_does_not_notice_a_table_that_cannot_be_taken_over(house: House) -> None:
    # Hence ours ends the process. Once this fails, Faust tells of it, and ours need not.
    async def told() -> None: ...

    failing, recovery = FailingTable(), house.recovery
    recovery.tables = SimpleNamespace(values=lambda: [failing])
    recovery.app = SimpleNamespace(
        on_rebalance_complete=SimpleNamespace(send=told),
        consumer=SimpleNamespace(assignment=set),
        consumer_generation_id=2,
    )
    await recovery.on_recovery_completed(generation_id=1)
    assert failing.asked

"""Where recovery reads from, over a log that the test writes; and what a lane knows of its partition."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import faust
import pytest
from faust.tables.recovery import Recovery
from faust.types import TP

from app.adapters.appender import Appender
from app.adapters.log_writer import KafkaLane
from app.domain.row import NO_ROW, Chunk, chunk_key, encode_id
from app.ports import Record
from app.tables.recovery import BatchRecovery
from app.tables.rows import ChunkTable, RowTable
from app.topics import ORDER_IDS_CHANGELOG, TABLES_CHANGELOG

ROWS, IDS = TP(TABLES_CHANGELOG, 1), TP(ORDER_IDS_CHANGELOG, 1)


def fatal(reason: str) -> NoReturn:
    raise AssertionError(reason)


@dataclass
class GivenLog:
    """Changelogs in memory; `read` is what was asked for, in order."""

    records: dict[TP, list[Record]] = field(default_factory=dict)
    read_spans: list[tuple[str, int, range]] = field(default_factory=list)

    def add(self, tp: TP, key: bytes, value: bytes) -> None:
        there = self.records.setdefault(tp, [])
        there.append(Record(len(there), 0, key, value))

    async def end(self, topic: str, partition: int) -> int:
        return len(self.records.get(TP(topic, partition), ()))

    async def read(self, topic: str, partition: int, start: int, stop: int) -> Sequence[Record]:
        raise AssertionError("not in recovery")

    async def batches(self, topic: str, spans: Mapping[int, range]) -> AsyncIterator[tuple[int, Sequence[Record]]]:
        for partition, span in spans.items():
            if span:
                self.read_spans.append((topic, partition, span))
                yield partition, self.records[TP(topic, partition)][span.start : span.stop]


@dataclass
class House:
    log: GivenLog
    rows: RowTable
    chunks: ChunkTable
    known: dict[str, int]
    recovery: Any

    async def recover(self, *tps: TP) -> dict[TP, int]:
        offsets = dict.fromkeys(tps, -1)
        await self.recovery._build_offsets(None, set(tps), offsets, "active")
        return offsets


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    async def nothing(*_: Any) -> None:
        return None

    monkeypatch.setattr(Recovery, "_build_offsets", nothing)  # asks the consumer
    app = faust.App("orders", store="memory://")
    log, known = GivenLog(), {}
    rows = RowTable(app, name="tables", partitions=4, fatal=fatal)
    chunks = ChunkTable(app, name="order-ids", partitions=4, fatal=fatal)
    recovery = BatchRecovery(app, log, lambda topic, _: known.get(topic, -1))
    recovery.tp_to_table.update({TP(table.changelog_topic_name, n): table for table in (rows, chunks) for n in (1, 2)})
    return House(log, rows, chunks, known, recovery)


def row(offset: int) -> bytes:
    return replace(NO_ROW, session=1, is_open=True, offset=offset).encode()


def ids(number: int) -> bytes:
    return Chunk(number, 0, encode_id(bytes([number]) * 16, b"printed!", number)).encode()


async def test_rows_are_read_before_order_ids_and_faust_goes_on_behind_them(house: House) -> None:
    house.log.add(IDS, chunk_key("T1", 1, 0), ids(0))
    for offset in range(3):
        house.log.add(ROWS, b"T1", row(offset))
    offsets = await house.recover(IDS, ROWS, TP(TABLES_CHANGELOG, 2), TP(ORDER_IDS_CHANGELOG, 2))
    assert house.log.read_spans == [(*ROWS, range(3)), (*IDS, range(1))]
    assert (offsets[ROWS], offsets[IDS], offsets[TP(TABLES_CHANGELOG, 2)]) == (2, 0, -1)
    assert (house.rows.applied, house.chunks.applied) == (3, 1)
    assert house.rows.rows(1)["T1"].offset == 2
    assert 0 in house.chunks.chunks(1)["T1", 1]


async def test_a_partition_that_stays_is_read_on_behind_what_its_owner_wrote(house: House) -> None:
    house.log.add(ROWS, b"T1", row(0))
    await house.recover(ROWS)
    for offset in range(1, 5):
        house.log.add(ROWS, b"T1", row(offset))
    house.known[TABLES_CHANGELOG] = 4
    await house.recover(ROWS)
    assert house.log.read_spans[1:] == [(*ROWS, range(4, 5))]
    assert house.rows.rows(1)["T1"].offset == 4


async def test_a_partition_that_was_away_is_read_from_its_beginning_whatever_was_written_here(house: House) -> None:
    house.log.add(ROWS, b"T1", row(0))
    house.known[TABLES_CHANGELOG] = 1
    await house.recover(ROWS)
    assert house.log.read_spans == [(*ROWS, range(1))]


# ── what a lane knows ─────────────────────────────────────────────────────────────────────────────────────────────────


class Bench:
    """A lane whose records Kafka puts where the test says."""

    def __init__(self) -> None:
        appender = cast(Appender, SimpleNamespace(outbox=self._outbox))
        self.lane = KafkaLane(appender, TABLES_CHANGELOG, 1, fatal)

    def _outbox(self, topic: str, partition: int, delivered: Callable[[int, int], None], _: Any) -> Any:
        self.delivered = delivered
        return SimpleNamespace(send=lambda key, value: None)

    def write(self, offset: int) -> None:
        self.lane.send(b"T1", b"row")
        self.delivered(offset, 1)


def test_a_lane_knows_its_own_records_behind_what_was_read() -> None:
    bench = Bench()
    bench.write(6)
    assert bench.lane.known == -1  # what came before was never read
    bench.lane.read_up_to(7)
    bench.write(7)
    bench.write(8)
    assert bench.lane.known == 9


def test_what_a_lane_knows_ends_at_a_strangers_record_until_that_is_read() -> None:
    bench = Bench()
    bench.lane.read_up_to(7)
    bench.write(7)
    bench.write(9)  # 8 is another owner's row, and may be newer than ours
    assert bench.lane.known == 8
    assert bench.lane.strangers(10) == [(8, 9)]
    assert bench.lane.known == 8  # looked at by the repair, but not taken in
    bench.lane.read_up_to(10)
    bench.write(10)
    assert bench.lane.known == 11

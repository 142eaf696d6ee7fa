"""The tables of the orders service, as Faust's recovery fills them."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, NoReturn

import faust
import pytest
from faust.types import TP

from app.domain.row import NO_ROW, Row
from app.ports import Record
from app.tables.rows import RowTable
from app.topics import TABLES_CHANGELOG

CHANGELOG = TP(TABLES_CHANGELOG, 1)


class EndedError(Exception):
    """The process would have ended."""


def fatal(reason: str) -> NoReturn:
    raise EndedError(reason)


@dataclass
class Signal:
    on: bool = False

    def is_set(self) -> bool:
        return self.on


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> RowTable:
    app = faust.App("orders", store="memory://")
    table = RowTable(app, name="tables", partitions=4, fatal=fatal)
    recovery = SimpleNamespace(
        signal_recovery_start=Signal(), active_offsets={CHANGELOG: 9}, active_highwaters={CHANGELOG: 9}
    )
    monkeypatch.setattr(type(app.tables), "recovery", recovery)
    return table


def records(*rows: Row) -> list[Any]:
    return [
        SimpleNamespace(
            message=SimpleNamespace(topic=CHANGELOG.topic, partition=1, offset=n, key=b"T1", value=row.encode())
        )
        for n, row in enumerate(rows)
    ]


def row_at(offset: int) -> Row:
    return replace(NO_ROW, session=1, is_open=True, offset=offset)


def test_the_row_of_the_later_command_stays_whatever_the_order_of_the_records(table: RowTable) -> None:
    table.apply_changelog_batch(records(row_at(7), row_at(3)))
    assert table.rows(1)["T1"].offset == 7
    assert table.stale[1] == {"T1"}  # the changelog's last record is not the newest: it must be said again
    table.apply_changelog_batch(records(row_at(8)))
    assert table.stale[1] == set()


def test_a_record_that_is_no_row_ends_the_worker(table: RowTable) -> None:
    [record] = records(row_at(1))
    record.message.value = b"garbage"
    with pytest.raises(EndedError, match="cannot be read"):
        table.apply_changelog_batch([record])


def test_a_record_that_is_no_row_ends_the_worker_also_in_our_own_recovery(table: RowTable) -> None:
    def read(value: bytes) -> None:
        reading = table.reading(1)
        reading.take([Record(7, 0, b"T1", good), Record(8, 0, b"T2", value)])
        reading.end()

    good, old = row_at(1).encode(), b"\x01" + row_at(2).encode()[1:]
    for bad, why in ((b"garbage", "damaged"), (old, "older version"), (good + b"x", "damaged")):
        with pytest.raises(EndedError, match=f"record 8 of {CHANGELOG.topic}/1 cannot be read.*{why}"):
            read(bad)


async def test_a_partition_that_left_is_forgotten(table: RowTable) -> None:
    table.apply_changelog_batch(records(row_at(1)))
    await table.on_recovery_completed(set(), set())
    assert table.rows(1) == {}


async def test_tables_are_taken_over_once_their_changelog_is_read(table: RowTable) -> None:
    taken: list[set[int]] = []

    async def take_over(partitions: set[int]) -> None:
        taken.append(partitions)

    table.recovered = take_over
    table.apply_changelog_batch(records(row_at(1)))
    await table.on_recovery_completed({CHANGELOG}, set())
    assert taken == [{1}]
    assert table.read_up_to(1) == 10
    table.app.tables.recovery.signal_recovery_start.on = True  # a rebalance interrupted it, and it will begin anew
    await table.on_recovery_completed({CHANGELOG}, set())
    assert taken == [{1}]


async def test_a_recovery_that_ended_early_ends_the_worker(table: RowTable) -> None:
    table.app.tables.recovery.active_offsets[CHANGELOG] = 8
    with pytest.raises(EndedError, match="recovery ended before"):
        await table.on_recovery_completed({CHANGELOG}, set())


async def test_a_failure_in_taking_over_ends_the_worker(table: RowTable) -> None:
    async def fail(_partitions: set[int]) -> None:
        raise RuntimeError("no Kafka")

    table.recovered = fail
    with pytest.raises(EndedError, match="could not be taken over"):
        await table.on_recovery_completed({CHANGELOG}, set())

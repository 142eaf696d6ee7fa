"""Recovery skips what is overwritten: the rows must be those that all records, taken one by one, would leave."""

from dataclasses import replace
from typing import NoReturn

import faust
from hypothesis import given
from hypothesis import strategies as st

from app.domain.row import NO_ROW
from app.ports import Record
from app.tables.rows import RowTable

PARTITION = 1

# (table, offset of its row; None is a tombstone): in any order, as zombies and repairs leave them
written = st.lists(st.tuples(st.sampled_from("ABC"), st.none() | st.integers(0, 6)), max_size=20)


def fatal(reason: str) -> NoReturn:
    raise AssertionError(reason)


def new_table() -> RowTable:
    return RowTable(faust.App("orders", store="memory://"), name="tables", partitions=4, fatal=fatal)


def records(rows: list[tuple[str, int | None]]) -> list[Record]:
    return [
        # Rows of one offset differ, so that it shows which of them was kept.
        Record(
            place, 0, table.encode(), None if offset is None else replace(NO_ROW, offset=offset, total=place).encode()
        )
        for place, (table, offset) in enumerate(rows)
    ]


@given(before=written, read=written, size=st.integers(1, 5))
def test_the_rows_are_those_that_every_record_would_leave(
    before: list[tuple[str, int | None]], read: list[tuple[str, int | None]], size: int
) -> None:
    one_by_one, skipping = new_table(), new_table()
    for record in (*records(before), *records(read)):
        one_by_one.apply(PARTITION, record.key, record.value)
    for record in records(before):
        skipping.apply(PARTITION, record.key, record.value)
    reading, left = skipping.reading(PARTITION), records(read)
    while left:
        reading.take(left[:size])
        left = left[size:]
    reading.end()
    assert skipping.rows(PARTITION) == one_by_one.rows(PARTITION)
    assert skipping.stale.get(PARTITION, set()) == one_by_one.stale.get(PARTITION, set())

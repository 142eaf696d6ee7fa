"""Rows in the bytes of Cassandra's protocol: held to what the driver itself makes of the same values."""

from datetime import date
from typing import Any

import pytest
from cassandra import cqltypes
from cassandra.protocol import ColumnMetadata
from cassandra.query import BatchStatement, BatchType, PreparedStatement

from app.adapters.batch import RowBatch, RowEncoder
from app.adapters.cassandra import PROTOCOL
from app.domain.moments import LAST_MOMENT
from tests.cassandra_driver import prepared, request, rows_of

WHOLE = prepared(
    "INSERT INTO orders_by_session (order_id, table_number, session, version, lines, note, placed_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
BRIEF = prepared("INSERT INTO orders_by_day (day, slot, placed_at, order_id) VALUES (?, ?, ?, ?) USING TIMESTAMP ?")
MARK = prepared("UPDATE orders_by_id USING TIMESTAMP ? SET cancelled_at = ? WHERE order_id = ?")

ROWS: list[tuple[PreparedStatement, tuple[Any, ...]]] = [
    (WHOLE, ("o1", "T1", 1, 1, '[{"name":"Soup"}]', "by the window", 1_790_000_000_000, 10**15)),
    (WHOLE, ("", "", 2**31 - 1, 2**53, "[]", "", 0, 0)),
    (WHOLE, ("o" * 33, "T" * 64, 0, -(2**63), "«bien cuit» 🐟" * 9_000, "\x00", LAST_MOMENT, 2**63 - 1)),
    (BRIEF, (date(2026, 11, 26), 299, 1_790_000_000_001, "o2", 10**15 - 7)),
    (BRIEF, (date(1970, 1, 1), 0, 1, "o3", 1)),
    (BRIEF, (date(1, 1, 1), -(2**31), 1, "o4", 1)),
    (BRIEF, (date.max, 1, 1, "o5", 1)),
    (MARK, (10**15 - 9_000, 9_000, "o1")),
]


def ours(*rows: tuple[PreparedStatement, tuple[Any, ...]]) -> RowBatch:
    batch = RowBatch()
    for statement, values in rows:
        encoder = RowEncoder(statement)
        batch.add_row(encoder, encoder.values(values))
    return batch


def the_drivers(*rows: tuple[PreparedStatement, tuple[Any, ...]]) -> BatchStatement:
    batch = BatchStatement(BatchType.UNLOGGED)
    for statement, values in rows:
        batch.add(statement.bind(values))
    return batch


@pytest.mark.parametrize("first", range(len(ROWS)))
def test_a_batch_is_byte_for_byte_the_drivers_and_goes_to_the_same_node(first: int) -> None:
    for rows in ([ROWS[first]], ROWS[first:] + ROWS[:first]):
        batch, expected = ours(*rows), the_drivers(*rows)
        assert request(batch) == request(expected)
        assert (batch.routing_key, batch.keyspace, len(batch)) == (expected.routing_key, expected.keyspace, len(rows))


def test_a_batch_that_is_sent_again_is_the_same() -> None:
    batch = ours(*ROWS)
    assert request(batch) == request(batch)


def test_a_batch_of_the_drivers_own_is_sent_as_ever() -> None:
    statement, values = ROWS[3]
    assert rows_of(request(the_drivers(ROWS[3]))) == [(statement.query_id, statement.bind(values).values)]


def test_a_type_that_is_not_known_here_is_encoded_by_the_driver() -> None:
    columns = [
        ColumnMetadata("k", "t", name, kind)
        for name, kind in (("a", cqltypes.BooleanType), ("b", cqltypes.DoubleType), ("c", cqltypes.UTF8Type))
    ]
    statement = PreparedStatement(columns, b"name", [2], "", "k", PROTOCOL, None, None)
    row = (statement, (True, 1.5, "x"))
    assert request(ours(row)) == request(the_drivers(row))


@pytest.mark.parametrize("values", [(10**15, 9_000), (10**15, 9_000, "o1", 1)])
def test_a_row_has_a_value_for_each_column(values: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="zip"):
        RowEncoder(MARK).values(values)


@pytest.mark.parametrize("values", [(10**15, "9000", "o1"), (10**15, 9_000, 1), (10**15, None, "o1"), (2**63, 1, "o1")])
def test_a_value_that_the_column_cannot_hold_is_refused(values: tuple[Any, ...]) -> None:
    with pytest.raises(Exception, match=r"integer|int too large|encode|format"):
        RowEncoder(MARK).values(values)

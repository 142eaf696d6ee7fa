"""Orders read from Cassandra, as the ledger wrote them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.adapters.breaker import UNGUARDED, Guard
from app.adapters.cassandra import CassandraSession, milliseconds_of
from app.messages import Line, OrderPlaced

ORDER_COLUMNS = (
    "order_id, client_order_id, table_number, session, version, lines, note, total, currency, placed_at, log_offset"
)

_lines = msgspec.json.Decoder(tuple[Line, ...])


class CassandraOrderStore:
    """Reads orders over a connection that others share."""

    def __init__(self, session: CassandraSession, guard: Guard = UNGUARDED) -> None:
        self._session = session
        self._guard = guard
        self._by_id = session.prepare(
            f"SELECT {ORDER_COLUMNS} FROM orders_by_id WHERE order_id = ?"  # noqa: S608 - constants
        )
        self._by_session = session.prepare(
            f"SELECT {ORDER_COLUMNS} FROM orders_by_session"  # noqa: S608 - constants
            " WHERE table_number = ? AND session = ? AND version > ?"
        )

    async def order(self, order_id: str) -> OrderPlaced | None:
        """The order with this id; UnavailableError while Cassandra is away."""
        rows = await self._guard.call(lambda: self._session.rows(self._by_id, (order_id,)))
        return order_of_row(rows[0]) if rows else None

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[OrderPlaced]:
        """A session's orders by version, those above `after_version`; UnavailableError while Cassandra is away."""
        values = (table, session, after_version)
        rows = await self._guard.call(lambda: self._session.rows(self._by_session, values))
        return [order_of_row(row) for row in rows]


def order_of_row(row: tuple[Any, ...]) -> OrderPlaced:
    """The order of a row of `ORDER_COLUMNS`."""
    order_id, client_order_id, table, session, version, lines, note, total, currency, placed_at, log_offset = row
    return OrderPlaced(
        order_id=order_id,
        client_order_id=client_order_id,
        table=table,
        session=session,
        version=version,
        lines=_lines.decode(lines),
        total=total,
        currency=currency,
        placed_at=milliseconds_of(placed_at),
        offset=log_offset,
        note=note,
    )

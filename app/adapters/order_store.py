"""Orders read from Cassandra, as the ledger wrote them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from app.adapters.breaker import UNGUARDED, Guard
from app.adapters.cassandra import CassandraSession, milliseconds_of
from app.messages import Line, OrderPlaced
from app.ports import KeptOrder

ORDER_COLUMNS = (
    "order_id, client_order_id, table_number, session, version, lines, note, total, currency, placed_at, log_offset,"
    " cancelled_at"
)

# Where the order with an id stands, and that order; of a pointer without `log_offset` only the cancel came yet, once.
POINTER = "SELECT table_number, session, version FROM orders_by_id WHERE order_id = {}"
PLACED = (
    f"SELECT {ORDER_COLUMNS} FROM orders_by_session"  # noqa: S608 - constants
    " WHERE table_number = {0} AND session = {0} AND version = {0}"
)

_lines = msgspec.json.Decoder(tuple[Line, ...])


class CassandraOrderStore:
    """Reads orders over a connection that others share."""

    def __init__(self, session: CassandraSession, guard: Guard = UNGUARDED) -> None:
        self._session = session
        self._guard = guard
        self._pointer = session.prepare(POINTER.format("?"))
        self._placed = session.prepare(PLACED.format("?"))
        self._by_session = session.prepare(
            f"SELECT {ORDER_COLUMNS} FROM orders_by_session"  # noqa: S608 - constants
            " WHERE table_number = ? AND session = ? AND version > ?"
        )

    async def order(self, order_id: str) -> KeptOrder | None:
        """The order with this id; UnavailableError while Cassandra is away."""
        place = next(iter(await self._guard.call(lambda: self._session.rows(self._pointer, (order_id,)))), (None,))
        if None in place:
            return None
        rows = await self._guard.call(lambda: self._session.rows(self._placed, place))
        return next((kept for kept in _kept(rows) if kept.order.order_id == order_id), None)

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[KeptOrder]:
        """A session's orders by version, those above `after_version`; UnavailableError while Cassandra is away."""
        values = (table, session, after_version)
        rows = await self._guard.call(lambda: self._session.rows(self._by_session, values))
        return list(_kept(rows))


def _kept(rows: Iterable[tuple[Any, ...]]) -> Iterator[KeptOrder]:
    for row in rows:
        order = order_of_row(row)
        if order is not None:
            yield KeptOrder(order, cancelled_at_of_row(row) > 0)


def cancelled_at_of_row(row: tuple[Any, ...]) -> int:
    """When the order of a row of `ORDER_COLUMNS` was cancelled (ms since 1970, UTC); 0: it was not."""
    return 0 if row[-1] is None else milliseconds_of(row[-1])


def order_of_row(row: tuple[Any, ...]) -> OrderPlaced | None:
    """The order of a row of `ORDER_COLUMNS`; None where only its cancel has been written yet."""
    order_id, client_order_id, table, session, version, lines, note, total, currency, placed_at, log_offset, _ = row
    if log_offset is None:
        return None
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

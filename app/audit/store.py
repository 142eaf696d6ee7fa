"""What Cassandra holds of the orders: each table read whole."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cassandra import DriverException
from cassandra.cluster import Cluster, NoHostAvailable
from cassandra.query import SimpleStatement

from app.adapters.cassandra import describe, new_cluster
from app.audit.log import AuditError
from app.audit.orders import Found, Place, of_brief, of_whole
from app.settings import Settings

PAGE = 5000
PAGE_SECONDS = 60.0

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

_BY_ID = "SELECT order_id FROM orders_by_id WHERE order_id = %s"
_PLACE = "table_number, session, version, order_id, total, currency, placed_at"
_WHOLE = f"{_PLACE}, client_order_id, lines, note, log_offset"


def _brief(row: tuple[Any, ...]) -> tuple[Place, Found]:
    table, session, version, order_id, total, currency, placed_at = row
    if placed_at is None:
        raise ValueError("placed_at is missing")
    at = (placed_at.replace(tzinfo=UTC) - EPOCH) // MILLISECOND
    return Place(table, session, version), of_brief(order_id, total, currency, at)


def _whole(row: tuple[Any, ...]) -> tuple[Place, Found]:
    place, brief = _brief(row[:7])
    client_order_id, lines, note, log_offset = row[7:]
    return place, of_whole(brief, client_order_id, lines, note or "", log_offset)


# Each table that the ledger writes an order to: what is read of it, and how.
TABLES: dict[str, tuple[str, Callable[[tuple[Any, ...]], tuple[Place, Found]]]] = {
    "orders_by_id": (_WHOLE, _whole),
    "orders_by_session": (_WHOLE, _whole),
    "orders_by_day": (_PLACE, _brief),
}


class Store:
    """A connection that reads; close it."""

    def __init__(self, settings: Settings) -> None:
        """Connect.

        Raises:
            AuditError: Cassandra does not answer.
        """
        self._cluster: Cluster = new_cluster(settings, timeout=PAGE_SECONDS)
        try:
            self._session = self._cluster.connect(settings.cassandra.keyspace)
        except (DriverException, NoHostAvailable) as error:
            self._cluster.shutdown()
            raise AuditError(f"Cassandra: {describe(error)}") from error

    def orders(self, table: str) -> Iterator[tuple[Place, Found] | str]:
        """Every order of a table; a text where a row is none.

        Raises:
            AuditError: Cassandra does not answer.
        """
        columns, decode = TABLES[table]
        query = SimpleStatement(f"SELECT {columns} FROM {table}", fetch_size=PAGE)  # noqa: S608 - names of ours
        try:
            for row in self._session.execute(query):
                try:
                    yield decode(row)
                except (ValueError, TypeError) as error:
                    yield f"{table}: a row that is no order ({error}): {row[:4]}"
        except (DriverException, NoHostAvailable) as error:
            raise AuditError(f"Cassandra, {table}: {describe(error)}") from error

    def which(self, order_ids: Sequence[str]) -> set[str]:
        """Those of the orders that are there, by their ids.

        Raises:
            AuditError: Cassandra does not answer.
        """
        try:
            answers = [self._session.execute_async(_BY_ID, (order_id,)) for order_id in order_ids]
            return {row[0] for answer in answers for row in answer.result()}
        except (DriverException, NoHostAvailable) as error:
            raise AuditError(f"Cassandra, orders_by_id: {describe(error)}") from error

    def close(self) -> None:
        """Let go of Cassandra."""
        self._cluster.shutdown()

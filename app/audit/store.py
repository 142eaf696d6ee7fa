"""What Cassandra holds of the orders: each table read whole, or looked through for some."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cassandra import DriverException
from cassandra.cluster import Cluster, NoHostAvailable
from cassandra.concurrent import execute_concurrent
from cassandra.connection import ConnectionException
from cassandra.query import PreparedStatement, SimpleStatement

from app.adapters.cassandra import describe, new_cluster
from app.adapters.order_store import ORDER_COLUMNS, cancelled_at_of_row, order_of_row
from app.audit.log import AuditError
from app.audit.orders import Found, Order, Place, id_of, of_brief, of_pointer, of_whole
from app.domain.business_day import BusinessDays
from app.messages import OrderCancelled, OrderPlaced
from app.settings import Settings

PAGE = 5000
PAGE_SECONDS = 60.0
FAILURES = (DriverException, NoHostAvailable, ConnectionException)
LOOK_SECONDS = 5.0  # for a look at some orders
AT_ONCE = 4  # such looks under way; the ledger's writes come first
IDS_AT_ONCE = 25  # of one look: each is a partition of its own

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

_BY_ID = "SELECT order_id, log_offset FROM orders_by_id WHERE order_id = %s"
_POINTER = "table_number, session, version, order_id, log_offset"
_PLACE = "table_number, session, version, order_id, total, currency, placed_at"
_WHOLE = f"{_PLACE}, client_order_id, lines, note, log_offset"


class _NoOrderYetError(ValueError):
    """A row that an order's cancel has made before the order itself: as good as none."""


def _brief(row: tuple[Any, ...]) -> tuple[Place, Found]:
    table, session, version, order_id, total, currency, placed_at = row
    if currency is None:
        raise _NoOrderYetError
    if placed_at is None:
        raise ValueError("placed_at is missing")
    at = (placed_at.replace(tzinfo=UTC) - EPOCH) // MILLISECOND
    return Place(table, session, version), of_brief(order_id, total, currency, at)


def _pointer(row: tuple[Any, ...]) -> tuple[Place, Found]:
    table, session, version, order_id, log_offset = row
    if log_offset is None:
        raise _NoOrderYetError
    return Place(table, session, version), of_pointer(order_id)


def _whole(row: tuple[Any, ...]) -> tuple[Place, Found]:
    place, brief = _brief(row[:7])
    client_order_id, lines, note, log_offset = row[7:]
    return place, of_whole(brief, client_order_id, lines, note or "", log_offset)


Told = tuple[Place, Found]  # what a row tells

# Each table that the ledger writes an order to: what is read of it, and how.
TABLES: dict[str, tuple[str, Callable[[tuple[Any, ...]], tuple[Place, Found]]]] = {
    "orders_by_id": (_POINTER, _pointer),
    "orders_by_session": (_WHOLE, _whole),
    "orders_by_day": (_PLACE, _brief),
}


# How some orders are looked for in each of them, by what of an order.
_SOME = {
    "orders_by_id": "order_id IN ?",
    "orders_by_session": "table_number = ? AND session = ? AND version IN ?",
    "orders_by_day": "day = ? AND slot = ? AND placed_at IN ?",
}


class Store:
    """A connection that reads; close it."""

    def __init__(self, settings: Settings, timeout: float = PAGE_SECONDS) -> None:
        """Connect; `timeout` in s is that of a query.

        Raises:
            AuditError: Cassandra does not answer.
        """
        self._cluster: Cluster = new_cluster(settings, timeout=timeout)
        try:
            self._session = self._cluster.connect(settings.cassandra.keyspace)
        except FAILURES as error:
            self._cluster.shutdown()
            raise AuditError(f"Cassandra: {describe(error)}") from error
        self._days = BusinessDays(settings.restaurant.time_zone, settings.restaurant.business_day_starts)
        self._prepared: dict[str, PreparedStatement] = {}

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
                except _NoOrderYetError:
                    continue
                except (ValueError, TypeError) as error:
                    yield f"{table}: a row that is no order ({error}): {row[:4]}"
        except FAILURES as error:
            raise AuditError(f"Cassandra, {table}: {describe(error)}") from error

    def events(self) -> Iterator[OrderPlaced | OrderCancelled]:
        """Every order as its event told it, those of a session by their versions; a cancelled one's cancel follows it.

        Raises:
            AuditError: Cassandra does not answer.
        """
        query = SimpleStatement(f"SELECT {ORDER_COLUMNS} FROM orders_by_session", fetch_size=PAGE)  # noqa: S608 - ours
        try:
            for row in self._session.execute(query):
                order = order_of_row(row)
                if order is not None:
                    yield order
                    if at := cancelled_at_of_row(row):
                        yield _cancel_of(order, at)
        except FAILURES as error:
            raise AuditError(f"Cassandra, orders_by_session: {describe(error)}") from error

    def which(self, order_ids: Sequence[str]) -> set[str]:
        """Those of the orders that are there, by their ids.

        Raises:
            AuditError: Cassandra does not answer.
        """
        try:
            answers = [self._session.execute_async(_BY_ID, (order_id,)) for order_id in order_ids]
            return {row[0] for answer in answers for row in answer.result() if row[1] is not None}
        except FAILURES as error:
            raise AuditError(f"Cassandra, orders_by_id: {describe(error)}") from error

    def ping(self) -> None:
        """Returns once Cassandra has answered.

        Raises:
            AuditError: it does not.
        """
        try:
            self._session.execute("SELECT key FROM system.local")
        except FAILURES as error:
            raise AuditError(f"Cassandra: {describe(error)}") from error

    def look_for(self, orders: Sequence[Order]) -> list[dict[str, Told | None]]:
        """What each table holds where each order belongs: by its id, at its place, at its time under its id.

        Raises:
            AuditError: Cassandra does not answer.
        """
        held: list[dict[str, Told | None]] = [{} for _ in orders]
        for table, rows in self._rows(self._looks(orders)).items():
            by_key = {_key(table, *told): told for told in rows}
            for order, tables in zip(orders, held, strict=True):
                tables[table] = by_key.get(_key(table, order.place, order.found))
        return held

    def _looks(self, orders: Sequence[Order]) -> Iterator[tuple[str, Sequence[Any]]]:
        """Table and parameters of each query, few rows of one partition or some partitions of one row each."""
        ids = sorted({id_of(order.found) for order in orders})
        for start in range(0, len(ids), IDS_AT_ONCE):
            yield "orders_by_id", (ids[start : start + IDS_AT_ONCE],)
        sessions: defaultdict[Any, set[int]] = defaultdict(set)
        slots: defaultdict[Any, set[int]] = defaultdict(set)
        for order in orders:
            sessions[order.place[:2]].add(order.place.version)
            slots[self._days.slot(order.placed_at)].add(order.placed_at)
        yield from (("orders_by_session", (*session, sorted(versions))) for session, versions in sessions.items())
        yield from (("orders_by_day", (*slot, sorted(times))) for slot, times in slots.items())

    def _rows(self, looks: Iterator[tuple[str, Sequence[Any]]]) -> dict[str, list[Told]]:
        """The rows of each table; one that is no order counts as none."""
        found: dict[str, list[Told]] = {table: [] for table in TABLES}
        try:
            asked = [(self._statement(table), table, values) for table, values in looks]
            answers = execute_concurrent(
                self._session, [(statement, values) for statement, _, values in asked], concurrency=AT_ONCE
            )
            for (_, table, _), answer in zip(asked, answers, strict=True):
                for row in answer.result_or_exc:
                    try:
                        found[table].append(TABLES[table][1](row))
                    except (ValueError, TypeError):
                        continue
        except FAILURES as error:
            raise AuditError(f"Cassandra: {describe(error)}") from error
        return found

    def _statement(self, table: str) -> PreparedStatement:
        if table not in self._prepared:
            cql = f"SELECT {TABLES[table][0]} FROM {table} WHERE {_SOME[table]}"  # noqa: S608 - names of ours
            self._prepared[table] = self._session.prepare(cql)
        return self._prepared[table]

    def close(self) -> None:
        """Let go of Cassandra."""
        self._cluster.shutdown()


def _cancel_of(order: OrderPlaced, at: int) -> OrderCancelled:
    return OrderCancelled(
        table=order.table,
        session=order.session,
        order_id=order.order_id,
        version=order.version,
        total=order.total,
        placed_at=order.placed_at,
        at=at,
    )


def _key(table: str, place: Place, found: Found) -> Place | str:
    """By what an order is known in a table."""
    return place if table == "orders_by_session" else id_of(found)

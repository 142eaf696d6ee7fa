"""Reads from the row of the worker that owns a table: here, or over HTTP at the worker that Faust's assignor names."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import aiohttp
import msgspec
from aiokafka.partitioner import murmur2
from faust.types import TP
from yarl import URL

from app.domain.row import NO_ROW, Row
from app.messages import BadMessageError, OrderPlaced, PlaceOrder, TableState, decode_command, order_placed
from app.ports import LogReader, UnavailableError
from app.tables.lookup import Place, find_order, orders_of_session
from app.tables.rows import ChunkTable, RowTable
from app.topics import ORDER_COMMANDS, TABLES_CHANGELOG

FORWARD_SECONDS = 2.0

# While Cassandra is away every read may come here. They share one consumer, and orders must not wait for them.
MAX_READS = 16
READ_SECONDS = 2.0
READ_OVER = 500  # records of other tables between two of ours, which cost less than another request
POSITIVE = 0x7FFFFFFF

_orders = msgspec.json.Decoder(list[OrderPlaced])
_state = msgspec.json.Decoder(TableState)


@lru_cache(maxsize=10_000)  # asked for with each command, and written in Python
def partition_of(table: str, partitions: int) -> int:
    """The partition of a table's commands: Kafka's own partitioner."""
    return int((murmur2(table.encode()) & POSITIVE) % partitions)


def state_of(table: str, row: Row) -> TableState:
    """How a table stands whose row this is."""
    return TableState(table, row.session, row.is_open, row.version, row.total, row.opened_at, row.cancelled)


class OwnRows:
    """Reads from the rows of this worker.

    A row is told only while the group's coordinator has answered a heartbeat lately: else another worker may own the
    table by now, and have accepted orders that this one knows nothing of.
    """

    def __init__(
        self,
        rows: RowTable,
        chunks: ChunkTable,
        reader: LogReader,
        partitions: int,
        owned: Callable[[], set[int]],
    ) -> None:
        self._rows = rows
        self._chunks = chunks
        self._reader = reader
        self._partitions = partitions
        self._owned = owned
        self._reading = 0

    def partition_of(self, table: str) -> int:
        """The table's partition."""
        return partition_of(table, self._partitions)

    def owns(self, partition: int) -> bool:
        """Whether this worker owns the partition for certain."""
        return partition in self._owned()

    def table(self, table: str) -> TableState:
        """How the table stands; UnavailableError where another worker may own it."""
        partition = self._certain(table)
        row = self._rows.rows(partition).get(table, NO_ROW)
        return state_of(table, row)

    async def order(self, table: str, order_id: str) -> OrderPlaced | None:
        """An accepted order of the table; UnavailableError where another worker may own it."""
        partition = self._certain(table)
        place = find_order(table, self._rows.rows(partition), self._chunks.chunks(partition), order_id)
        found = await self._read(partition, [place] if place else [])
        return found[0] if found else None

    async def order_of_any_table(self, order_id: str) -> OrderPlaced | None:
        """An accepted order of any table that this worker owns."""
        for partition in self._owned():
            rows, chunks = self._rows.rows(partition), self._chunks.chunks(partition)
            for table in list(rows):
                place = find_order(table, rows, chunks, order_id)
                if place is not None:
                    found = await self._read(partition, [place])
                    return found[0] if found else None
        return None

    async def orders_of_session(self, table: str, session: int, after: int) -> list[OrderPlaced]:
        """The session's orders above version `after`; UnavailableError where another worker may own the table."""
        partition = self._certain(table)
        rows, chunks = self._rows.rows(partition), self._chunks.chunks(partition)
        return await self._read(partition, orders_of_session(table, rows, chunks, session, after))

    def _certain(self, table: str) -> int:
        partition = self.partition_of(table)
        if not self.owns(partition):
            raise UnavailableError(f"table {table} is being moved to another worker")
        return partition

    async def _read(self, partition: int, places: Sequence[Place]) -> list[OrderPlaced]:
        """The orders as their commands in the log tell them."""
        if not places:
            return []
        if self._reading >= MAX_READS:
            raise UnavailableError(f"{MAX_READS} reads of the log are under way already")
        versions = {place.offset: place.version for place in places}
        self._reading += 1
        try:
            async with asyncio.timeout(READ_SECONDS):
                records = [
                    record
                    for start, stop in _runs(versions)
                    for record in await self._reader.read(ORDER_COMMANDS, partition, start, stop)
                ]
        except TimeoutError as error:
            raise UnavailableError(f"the log could not be read in {READ_SECONDS:g} s") from error
        finally:
            self._reading -= 1
        orders = []
        for record in records:
            if record.offset in versions:
                try:
                    command = decode_command(record.value)
                except BadMessageError as error:
                    raise UnavailableError(f"command {record.offset} cannot be read: {error}") from error
                if not isinstance(command, PlaceOrder):
                    raise UnavailableError(f"command {record.offset} was lost; a repair stands in its place")
                orders.append(order_placed(command, versions[record.offset], record.offset, record.time))
        return sorted(orders, key=lambda order: order.version)


def _runs(offsets: Iterable[int]) -> list[tuple[int, int]]:
    """Ranges (start, stop) that hold these offsets and little else: a session's orders may lie hours apart."""
    runs: list[tuple[int, int]] = []
    for offset in sorted(offsets):
        if runs and offset - runs[-1][1] <= READ_OVER:
            runs[-1] = runs[-1][0], offset + 1
        else:
            runs.append((offset, offset + 1))
    return runs


class FaustOwners:
    """Asks the worker that owns a table, this one or another."""

    def __init__(self, app: Any, own: OwnRows, authorization: Callable[[], str]) -> None:
        self._app = app
        self._own = own
        self._authorization = authorization
        self._session: aiohttp.ClientSession | None = None

    async def table(self, table: str) -> TableState:
        """How the table stands.

        Raises:
            UnavailableError: its owner cannot answer for certain.
        """
        if self._own.owns(self._own.partition_of(table)):
            return self._own.table(table)
        return _state.decode(await self._get(self._owner(table), f"/internal/tables/{table}"))

    async def order(self, table: str | None, order_id: str) -> OrderPlaced | None:
        """An accepted order as the log tells it; None where its table's owner knows no such order.

        `table` None asks every owner.

        Raises:
            UnavailableError: an owner cannot answer for certain.
        """
        if table is None:
            return await self._order_of_any_table(order_id)
        if self._own.owns(self._own.partition_of(table)):
            return await self._own.order(table, order_id)
        found = _orders.decode(await self._get(self._owner(table), f"/internal/tables/{table}/orders/{order_id}"))
        return found[0] if found else None

    async def _order_of_any_table(self, order_id: str) -> OrderPlaced | None:
        own = await self._own.order_of_any_table(order_id)
        if own is not None:
            return own
        others = {url for tp, url in self._urls().items() if not self._own.owns(tp.partition)}
        answers = await asyncio.gather(*(self._get(url, f"/internal/orders/{order_id}") for url in sorted(others)))
        return next((order for answer in answers for order in _orders.decode(answer)), None)

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[OrderPlaced]:
        """Accepted orders of a session by version, those above `after_version`, as the log tells them.

        Raises:
            UnavailableError: the table's owner cannot answer for certain.
        """
        if self._own.owns(self._own.partition_of(table)):
            return await self._own.orders_of_session(table, session, after_version)
        path = f"/internal/tables/{table}/sessions/{session}/orders?after={after_version}"
        return _orders.decode(await self._get(self._owner(table), path))

    def _urls(self) -> dict[TP, str]:
        # What Faust's own table router looks at, without its producer in between; can go when that is public.
        urls: dict[TP, str] = self._app.assignor._tps_url
        return {tp: url for tp, url in urls.items() if tp.topic == TABLES_CHANGELOG}

    def _owner(self, table: str) -> str:
        partition = self._own.partition_of(table)
        url = self._urls().get(TP(TABLES_CHANGELOG, partition))
        if url is None:
            raise UnavailableError(f"no worker owns table {table} at present")
        return url

    async def _get(self, url: str, path: str) -> bytes:
        """One hop: the worker there answers from its own rows or says 503, it never asks on."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FORWARD_SECONDS))
        headers = {"Authorization": f"Bearer {self._authorization()}"}
        try:
            # As it is: ".." is a table number, and would become another path.
            target = URL(url.rstrip("/") + path, encoded=True)
            async with self._session.get(target, headers=headers) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnavailableError(f"the owner at {url} does not answer: {error!r}") from error
        if response.status != 200:
            raise UnavailableError(f"the owner at {url} answered {response.status}")
        return body

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

"""The menu in Cassandra, where it is kept, and in Redis, from where the workers fetch it."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import redis
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable, Session
from cassandra.query import BatchStatement, BatchType

from app.adapters.cassandra import CassandraSession, describe, new_cluster
from app.domain.menu import MenuItem
from app.settings import Settings

MENU = "main"  # the partition of the one menu
REDIS_KEY = "menu"

WRITE_SECONDS = 20.0
# Cassandra refuses batches above 50 KiB. Up to about a hundred dishes change together, a longer menu in several steps.
BATCH_BYTES = 40_000
ROW_OVERHEAD = 100

_COLUMNS = "item_id, position, name, price, category, station, description, allergens, available"
_SELECT = f"SELECT {_COLUMNS} FROM menu_items WHERE menu = ?"  # noqa: S608 - constants
_FOUND = "SELECT item_id, WRITETIME(price) FROM menu_items WHERE menu = ?"
_INSERT = (
    f"INSERT INTO menu_items (menu, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - constants
    "USING TIMESTAMP ?"
)
_DELETE = "DELETE FROM menu_items USING TIMESTAMP ? WHERE menu = ? AND item_id = ?"

_decoder = msgspec.json.Decoder(list[MenuItem])

encode_menu = msgspec.json.Encoder().encode


class MenuLoadError(Exception):
    """The menu was not loaded, or not wholly; the text says why."""


def decode_menu(data: bytes) -> list[MenuItem]:
    """The dishes that `encode_menu` wrote; ValueError where these bytes are something else."""
    return _decoder.decode(data)


class MenuReader:
    """Reads the menu over a connection that others share."""

    def __init__(self, session: CassandraSession) -> None:
        self._session = session
        self._select = session.prepare(_SELECT)

    async def read(self) -> list[MenuItem]:
        """Every dish in the menu's order, none where no menu was loaded; UnavailableError while Cassandra is away."""
        return _in_order(await self._session.rows(self._select, (MENU,)))


def load_menu(settings: Settings, items: Sequence[MenuItem]) -> tuple[int, bool]:
    """Make this the menu: dishes that it does not name are removed. It blocks.

    Returns how many dishes were removed, and whether Redis was told (else workers see it after `menu.fresh` s).

    Raises:
        MenuLoadError: Cassandra does not answer, lacks the schema, or shows another menu afterwards.
    """
    cluster = new_cluster(settings, timeout=WRITE_SECONDS)
    try:
        session = cluster.connect(settings.cassandra.keyspace)
        removed = _replace(session, items)
    except (DriverException, NoHostAvailable) as error:
        raise MenuLoadError(f"Cassandra: {describe(error)}") from error
    finally:
        cluster.shutdown()
    return removed, _forget_cached(settings)


def _replace(session: Session, items: Sequence[MenuItem]) -> int:
    insert, delete, select, look = (session.prepare(cql) for cql in (_INSERT, _DELETE, _SELECT, _FOUND))
    found: dict[str, int] = dict(session.execute(look, (MENU,)))
    removed = found.keys() - {item.id for item in items}
    # The newer of two writes counts. This one shall, also where the last was made before the clock was set back; all of
    # a load bear one time, so that what it removed is not newer than what it left.
    now = max([time.time_ns() // 1000, *(written + 1 for written in found.values())])
    statements: list[tuple[Any, Sequence[object]]] = [(insert, (*_row(at, item), now)) for at, item in enumerate(items)]
    statements += [(delete, (now, MENU, item_id)) for item_id in sorted(removed)]
    batch, size = BatchStatement(BatchType.UNLOGGED), 0  # one partition: a batch is written whole or not at all
    for statement, values in statements:
        length = ROW_OVERHEAD + sum(len(str(value).encode()) for value in values)
        if size + length > BATCH_BYTES:
            session.execute(batch)
            batch, size = BatchStatement(BatchType.UNLOGGED), 0
        batch.add(statement, values)
        size += length
    session.execute(batch)
    if _in_order(list(session.execute(select, (MENU,)))) != list(items):
        raise MenuLoadError("another menu stands there: another load at the same time, or a clock that was set back")
    return len(removed)


def _row(position: int, item: MenuItem) -> Sequence[object]:
    texts = (item.category, item.station, item.description, list(item.allergens))
    return (MENU, item.id, position, item.name, item.price, *texts, item.available)


def _in_order(rows: list[tuple[Any, ...]]) -> list[MenuItem]:
    rows.sort(key=lambda row: (row[1], row[0]))
    return [
        MenuItem(item_id, name, price, category, station, description, tuple(allergens or ()), available)
        for item_id, _, name, price, category, station, description, allergens, available in rows
    ]


def _forget_cached(settings: Settings) -> bool:
    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2) as client:
            client.delete(REDIS_KEY)
    except redis.RedisError:
        return False
    return True

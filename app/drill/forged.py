"""What somebody writes into Cassandra past all of our programs: damaged rows, and a menu of which nobody is told."""

import time
from dataclasses import replace
from typing import Any

from cassandra.cluster import Cluster

from app.adapters.cassandra import new_cluster
from app.adapters.menu_store import MENU, decode_menu, encode_menu
from app.settings import Settings

# The first orders of three tables.
_SOME = "SELECT * FROM orders_by_session PER PARTITION LIMIT 1 LIMIT 3"
_BY_ID = "SELECT * FROM orders_by_id WHERE order_id = %s"
_DELETE = "DELETE FROM orders_by_id WHERE order_id = %s"
_AT = "WHERE table_number = %s AND session = %s AND version = %s"
_TOTAL = f"UPDATE orders_by_session SET total = %s {_AT}"  # noqa: S608 - constants
_ORDER = f"UPDATE orders_by_session SET order_id = %s {_AT}"  # noqa: S608 - constants
_MENU = "SELECT revision, dishes FROM menu_revisions WHERE menu = %s LIMIT 1"
_CHANGE = (
    "INSERT INTO menu_revisions (menu, revision, change_id, made_at, who, what, dishes)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s)"
)


class Rows:
    """Three orders: one is deleted from a table, one's total is changed, one is put where another was; and mended."""

    def __init__(self, settings: Settings) -> None:
        self._cluster: Cluster = new_cluster(settings)
        self._session = self._cluster.connect(settings.cassandra.keyspace)
        self._lost, self._changed, self._replaced = self._ask(_SOME)
        [self._whole] = self._ask(_BY_ID, self._lost["order_id"])

    def _ask(self, query: str, *values: Any) -> list[dict[str, Any]]:
        result = self._session.execute(query, values)
        return [dict(zip(result.column_names, row, strict=True)) for row in result]

    def damage(self) -> None:
        """Write wrong things."""
        self._session.execute(_DELETE, (self._lost["order_id"],))
        self._session.execute(_TOTAL, (self._changed["total"] + 1, *_place(self._changed)))
        self._session.execute(_ORDER, (self._changed["order_id"], *_place(self._replaced)))

    def mend(self) -> None:
        """Write what stood there."""
        names = ", ".join(self._whole)
        marks = ", ".join(["%s"] * len(self._whole))
        self._session.execute(
            f"INSERT INTO orders_by_id ({names}) VALUES ({marks})",  # noqa: S608 - names of columns
            tuple(self._whole.values()),
        )
        self._session.execute(_TOTAL, (self._changed["total"], *_place(self._changed)))
        self._session.execute(_ORDER, (self._replaced["order_id"], *_place(self._replaced)))

    def close(self) -> None:
        """Let go of Cassandra."""
        self._cluster.shutdown()


def _place(row: dict[str, Any]) -> tuple[str, int, int]:
    return row["table_number"], row["session"], row["version"]


def change_menu_silently(settings: Settings) -> None:
    """Make a revision of the menu, the same dishes once more, and tell nobody."""
    cluster = new_cluster(settings)
    try:
        session = cluster.connect(settings.cassandra.keyspace)
        revision, dishes = session.execute(_MENU, (MENU,)).one()
        menu = replace(decode_menu(dishes), revision=revision + 1)
        made = revision + 1, "forged", round(time.time() * 1000), "nobody", "nothing", encode_menu(menu).decode()
        session.execute(_CHANGE, (MENU, *made))
    finally:
        cluster.shutdown()

"""The kitchen's state: a record for each order that is being cooked, and one for each table, in one changelog.

A table's record comes after that of the order that changed it, in the same partition: so whoever reads that an order is
known has read the order, too.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from app.domain.kitchen import KitchenTable, is_finished
from app.domain.row import BadRowError
from app.domain.tickets import NEW, KitchenOrder, tickets_of
from app.tables.rows import ChangelogTable

FORMAT = 1
_HEAD = struct.Struct(">BBqqq")  # format, flags, offset, placed at, changed at
_OFFSET, _OFFSET_AT = struct.Struct(">q"), struct.calcsize(">BB")
TABLE, FINISHED, UNSEEN = 1, 2, 4  # flags

_encode = msgspec.msgpack.Encoder().encode
_order = msgspec.msgpack.Decoder(KitchenOrder)
_table = msgspec.msgpack.Decoder(KitchenTable)


class Head(NamedTuple):
    """What of a record is known without reading all of it; times in ms."""

    flags: int
    offset: int
    placed_at: int
    changed_at: int

    @property
    def is_table(self) -> bool:
        """Whether it is a table's and no order's."""
        return bool(self.flags & TABLE)

    @property
    def is_finished(self) -> bool:
        """Whether no display has to show the order any more."""
        return bool(self.flags & FINISHED)

    @property
    def is_unseen(self) -> bool:
        """Whether a ticket of the order was shown by no display yet."""
        return bool(self.flags & UNSEEN)


def head_of(data: bytes) -> Head:
    """The head of a record.

    Raises:
        BadRowError: it is none of this format.
    """
    if len(data) <= _HEAD.size or data[0] != FORMAT:
        raise BadRowError(_what_else(data))
    return Head._make(_HEAD.unpack_from(data)[1:])


def offset_of(data: bytes) -> int:
    """The offset in the head of a record, without the rest of it.

    Raises:
        BadRowError: it is none of this format.
    """
    if len(data) <= _HEAD.size or data[0] != FORMAT:
        raise BadRowError(_what_else(data))
    offset: int = _OFFSET.unpack_from(data, _OFFSET_AT)[0]
    return offset


def _what_else(data: bytes) -> str:
    """What bytes are that are no record of this format, and what to do."""
    if data and FORMAT < data[0] < 32:
        return f"a record of format {data[0]}, from a newer version of this program: upgrade this worker"
    return f"no record of the kitchen: {data[:16].hex()}… ({len(data)} bytes). It was damaged: restore the topic"


def order_key(table: str, order_id: str) -> bytes:
    """The key of an order's record; `/` stands in no table number."""
    return f"{table}/{order_id}".encode()


def split_order_key(key: bytes) -> tuple[str, str]:
    """Table and order id of the key of an order's record."""
    table, _, order_id = key.decode().partition("/")
    return table, order_id


def table_key(table: str) -> bytes:
    """The key of a table's record."""
    return table.encode()


def encode_order(order: KitchenOrder) -> bytes:
    """An order's record."""
    is_unseen = any(ticket.state == NEW for ticket in tickets_of(order).values())
    flags = (FINISHED if is_finished(order) else 0) | (UNSEEN if is_unseen else 0)
    return _HEAD.pack(FORMAT, flags, order.offset, order.placed_at, order.changed_at) + _encode(order)


def encode_table(table: KitchenTable) -> bytes:
    """A table's record."""
    return _HEAD.pack(FORMAT, TABLE, table.offset, 0, 0) + _encode(table)


@lru_cache(maxsize=4)  # a change asks for the order that it decides on, and again when that one's record is replaced
def decode_order(data: bytes) -> KitchenOrder:
    """The order of a record; its head has been looked at."""
    return _order.decode(memoryview(data)[_HEAD.size :])


def decode_table(data: bytes) -> KitchenTable:
    """The table of a record; its head has been looked at."""
    return _table.decode(memoryview(data)[_HEAD.size :])


Records = dict[bytes, bytes]  # by key, as they stand in the changelog


class KitchenState(ChangelogTable):
    """Records by partition; `stale`: keys whose last record in the changelog is not their newest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._records: dict[int, Records] = {}
        self.stale: dict[int, set[bytes]] = {}

    def records(self, partition: int) -> Records:
        """The records of a partition."""
        return self._records.setdefault(partition, {})

    def apply(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Keep the record of the later command, whatever their order; what was deleted is finished, and is gone."""
        stale = self.stale.setdefault(partition, set())
        if put_newer(self.records(partition), key, value):
            stale.discard(key)
        else:
            stale.add(key)

    def keep_only(self, partitions: set[int]) -> None:
        """Forget the partitions that this worker no longer owns."""
        for partition in self._records.keys() - partitions:
            del self._records[partition]
            self.stale.pop(partition, None)


def put_newer(records: Records, key: bytes, value: bytes | None) -> bool:
    """Keep a record, unless the one that is there is of a later command; whether it was kept.

    Raises:
        BadRowError: it is none.
    """
    if value is None:
        records.pop(key, None)
        return True
    offset, mine = offset_of(value), records.get(key)
    if mine is not None and offset_of(mine) > offset:
        return False
    records[key] = value
    return True


def orders_of(records: Records) -> Iterable[tuple[bytes, Head]]:
    """Key and head of each order, the oldest first."""
    heads = [(key, head_of(value)) for key, value in records.items()]
    return sorted(
        [(key, head) for key, head in heads if not head.is_table], key=lambda entry: (entry[1].placed_at, entry[0])
    )

"""Rows that Cassandra is to take together, in the bytes of its protocol.

The driver asks for each value what its column is and whether it is encrypted, makes an object of each row, and writes
value by value: a third of what an order cost the ledger. Here a statement knows from its preparation how its values are
encoded, and a row is encoded once, also where two tables take the same values. The request is byte for byte what the
driver would have sent, and whatever else there is to a request is the driver's.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from io import BytesIO
from struct import Struct
from typing import Any

from cassandra.cqltypes import DateType, Int32Type, LongType, SimpleDateType, UTF8Type
from cassandra.protocol import BatchMessage, ProtocolHandler
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement

# A value in bytes, after its length.
Encode = Callable[[Any], bytes]

_LENGTH = Struct(">i")
_COUNT = Struct(">H")
_KIND = 1  # byte that tells what kind of batch it is, before the number of its rows
_DAYS = 64  # of which the encoding is kept: all orders of an evening have the same

_length = _LENGTH.pack


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def _by_type(column_type: Any, protocol: int) -> Encode:
    def encode(value: object) -> bytes:
        encoded: bytes = column_type.serialize(value, protocol)
        return _length(len(encoded)) + encoded

    return lru_cache(_DAYS)(encode) if column_type is SimpleDateType else encode


_ENCODED: dict[Any, Encode] = {
    UTF8Type: _text,
    Int32Type: partial(Struct(">ii").pack, 4),
    LongType: partial(Struct(">iq").pack, 8),
    DateType: partial(Struct(">iq").pack, 8),  # a timestamp, of ms since 1970
}


class RowEncoder:
    """A prepared statement as it stands in a batch, and how its values are encoded."""

    __slots__ = ("_encode", "_prepared", "head")

    def __init__(self, prepared: PreparedStatement) -> None:
        columns, protocol = prepared.column_metadata, prepared.protocol_version
        self._prepared = prepared
        self._encode = [_ENCODED.get(column.type) or _by_type(column.type, protocol) for column in columns]
        name = prepared.query_id
        self.head: bytes = b"\x01" + _COUNT.pack(len(name)) + name + _COUNT.pack(len(columns))

    def values(self, parameters: Sequence[object]) -> bytes:
        """The values of a row, of which none is null; any statement of the same columns takes them."""
        return b"".join([encode(value) for encode, value in zip(self._encode, parameters, strict=True)])

    def bound(self, values: bytes) -> BoundStatement:
        """The statement with these values as the driver knows it."""
        bound = BoundStatement(self._prepared)
        bound.values = list(_split(values))
        return bound


def _split(values: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(values):
        (length,) = _LENGTH.unpack_from(values, place)
        place += _LENGTH.size
        yield values[place : place + length]
        place += length


class _Rows:
    """Rows in bytes, in the place of the driver's list of statements and their values."""

    def __init__(self) -> None:
        self.count = 0
        self.parts: list[bytes] = []


class RowBatch(BatchStatement):  # type: ignore[misc]
    """An unlogged batch; it goes to a node that has the first row's partition, as the driver's does."""

    def __init__(self) -> None:
        super().__init__(BatchType.UNLOGGED)
        self._statements_and_parameters = self._rows = _Rows()

    def add_row(self, encoder: RowEncoder, values: bytes) -> None:
        """Add a row that this encoder's statement writes."""
        if not self._rows.count:
            first = encoder.bound(values)
            self.routing_key, self.keyspace = first.routing_key, first.keyspace
        self._rows.count += 1
        self._rows.parts += (encoder.head, values)

    def __len__(self) -> int:
        return self._rows.count


class _RowsMessage(BatchMessage):  # type: ignore[misc]
    queries: Any

    def __init__(self, message: BatchMessage) -> None:
        self.__dict__.update(message.__dict__)  # the driver sets more than its constructor takes

    def send_body(self, f: BytesIO, protocol_version: int) -> None:
        rows, self.queries = self.queries, ()
        body = BytesIO()
        super().send_body(body, protocol_version)  # as if there were none
        kind, end = body.getvalue()[:_KIND], body.getvalue()[_KIND + _COUNT.size :]
        f.write(b"".join([kind, _COUNT.pack(rows.count), *rows.parts, end]))


class RowProtocol(ProtocolHandler):  # type: ignore[misc]
    """The driver's protocol, which knows such batches, too."""

    @classmethod
    def encode_message(cls, msg: Any, *args: Any, **more: Any) -> bytes:
        """A message in bytes."""
        if isinstance(msg, BatchMessage) and isinstance(msg.queries, _Rows):
            msg = _RowsMessage(msg)
        encoded: bytes = super().encode_message(msg, *args, **more)
        return encoded

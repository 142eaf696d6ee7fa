"""A table's row: what its owner knows of it, and how rows and chunks of order ids travel as bytes.

An accepted order id takes 32 bytes: 16 of the id's hash, 8 of the order's fingerprint, 8 of the offset at which it was
accepted. Ids stand in the order of acceptance, so an id's place is its version. The row holds the newest few; a
full chunk of them moves once to a record of its own.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

ID_BYTES = 32
# Few: the row is written anew with each order, and until Kafka compacts them the next owner reads all of these.
CHUNK_IDS = 8
CHUNK_BYTES = CHUNK_IDS * ID_BYTES

# 1 had chunks of 32 ids; 3 is 2 and the cancelled versions. A row without any is written as 2: no larger, and whoever
# goes back to a release that knows no cancelling has lost few rows if any.
FORMAT = 3
PLAIN_FORMAT = 2  # chunks', too
_FORMATS = (PLAIN_FORMAT, FORMAT)

# format, open, session, version, base, placed in all sessions, total, offset, opened at offset, log time, opened at
_HEAD = struct.Struct(">BBIQQQqqqqq")
_OFFSET, _OFFSET_AT = struct.Struct(">q"), struct.calcsize(">BBIQQQq")
_COUNT = struct.Struct(">I")  # of cancelled versions, which stand behind it, 4 bytes each, and before the ids
_ID = struct.Struct(">16s8sq")
_CHUNK_HEAD = struct.Struct(">Bq")


class BadRowError(ValueError):
    """Bytes that are no row or chunk of the format known here; the text says what to do."""


@dataclass(frozen=True, slots=True)
class AcceptedId:
    """An order id that was accepted: at which version it found the table, and at which offset of the log."""

    version: int
    fingerprint: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class Row:
    """The state of one table.

    `session` is 0 before the first; `version` counts the session's accepted orders, `placed` those of all sessions;
    `total` is the session's sum in minor units; `offset` is that of the last command that changed the row and `time`
    the highest log time seen by then (ms); `ids` are the accepted ids from version `base` on. `cancelled` are the
    versions of the session's orders that were cancelled, rising: `version` and `placed` count them, `total` does not.
    """

    session: int = 0
    is_open: bool = False
    version: int = 0
    base: int = 0
    placed: int = 0
    total: int = 0
    offset: int = -1
    opened_offset: int = -1
    time: int = 0
    opened_at: int = 0
    ids: bytes = b""
    cancelled: tuple[int, ...] = ()

    def find(self, id_hash: bytes) -> AcceptedId | None:
        """The accepted id with this hash among those that the row still holds."""
        return _find(self.ids, id_hash, self.base)

    def full_chunks(self) -> Iterator[tuple[int, bytes]]:
        """Number and ids of each chunk that is full and still in the row, oldest first."""
        for start in range(0, len(self.ids) - CHUNK_BYTES + 1, CHUNK_BYTES):
            yield (self.base * ID_BYTES + start) // CHUNK_BYTES, self.ids[start : start + CHUNK_BYTES]

    def last_chunk(self) -> tuple[int, bytes] | None:
        """Number and ids of the chunk that is not full, None where there is none; it moves when the session closes."""
        rest = len(self.ids) % CHUNK_BYTES
        return (self.version // CHUNK_IDS, self.ids[-rest:]) if rest else None

    def without_chunk(self) -> "Row":
        """The row without its oldest full chunk."""
        return replace(self, base=self.base + CHUNK_IDS, ids=self.ids[CHUNK_BYTES:])

    def encode(self) -> bytes:
        """The row as bytes."""
        cancelled = self.cancelled
        return (
            _HEAD.pack(
                FORMAT if cancelled else PLAIN_FORMAT,
                self.is_open,
                self.session,
                self.version,
                self.base,
                self.placed,
                self.total,
                self.offset,
                self.opened_offset,
                self.time,
                self.opened_at,
            )
            + (struct.pack(f">{1 + len(cancelled)}I", len(cancelled), *cancelled) if cancelled else b"")
            + self.ids
        )

    @staticmethod
    def decode(data: bytes) -> "Row":
        """The row of these bytes.

        Raises:
            BadRowError: they are none, or of another format.
        """
        if len(data) < _HEAD.size or data[0] not in _FORMATS:
            raise BadRowError(_what_else("row", data, FORMAT))
        cancelled, start = _cancelled(data) if data[0] == FORMAT else ((), _HEAD.size)
        if start > len(data) or (len(data) - start) % ID_BYTES:
            raise BadRowError(_what_else("row", data, FORMAT))
        _, is_open, *rest = _HEAD.unpack_from(data)
        session, version, base, placed, total, offset, opened_offset, time, opened_at = rest
        return Row(
            session,
            bool(is_open),
            version,
            base,
            placed,
            total,
            offset,
            opened_offset,
            time,
            opened_at,
            data[start:],
            cancelled,
        )


def _cancelled(data: bytes) -> tuple[tuple[int, ...], int]:
    """The cancelled versions of a row's bytes, and where its ids begin: past the end where not all are there."""
    start = _HEAD.size + _COUNT.size
    if len(data) < start:
        return (), start
    (count,) = _COUNT.unpack_from(data, _HEAD.size)
    end = start + count * _COUNT.size
    return (struct.unpack_from(f">{count}I", data, start) if end <= len(data) else ()), end


NO_ROW = Row()


def row_offset(data: bytes) -> int:
    """The offset of the row of these bytes, without all the rest of it.

    Raises:
        BadRowError: they are none, or of another format.
    """
    if len(data) < _HEAD.size or data[0] not in _FORMATS:
        raise BadRowError(_what_else("row", data, FORMAT))
    offset: int = _OFFSET.unpack_from(data, _OFFSET_AT)[0]
    return offset


def newer(mine: Row | None, other: Row) -> Row:
    """The row to keep of two: rows go forward by the offset of the last command that changed them."""
    return other if mine is None or other.offset > mine.offset else mine


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of accepted ids of one table and session that left the row; `stamp` is the log time (ms) at its end."""

    number: int
    stamp: int
    ids: bytes

    def find(self, id_hash: bytes) -> AcceptedId | None:
        """The accepted id with this hash."""
        return _find(self.ids, id_hash, self.number * CHUNK_IDS)

    def encode(self) -> bytes:
        """The chunk as bytes; its number stands in its key."""
        return _CHUNK_HEAD.pack(PLAIN_FORMAT, self.stamp) + self.ids

    @staticmethod
    def decode(number: int, data: bytes) -> "Chunk":
        """The chunk of these bytes.

        Raises:
            BadRowError: they are none, or of another format.
        """
        size = len(data) - _CHUNK_HEAD.size
        if not 0 <= size <= CHUNK_BYTES or data[0] != PLAIN_FORMAT or size % ID_BYTES:
            raise BadRowError(_what_else("chunk", data, PLAIN_FORMAT))
        return Chunk(number, _CHUNK_HEAD.unpack_from(data)[1], data[_CHUNK_HEAD.size :])


def _what_else(what: str, data: bytes, newest: int) -> str:
    """What bytes are that are no row or chunk of a format known here, and what to do."""
    if data and 0 < data[0] < PLAIN_FORMAT:
        return (
            f"a {what} of format {data[0]}, from an older version of this program; this one reads formats from "
            f"{PLAIN_FORMAT} on. Go back to that version, or begin with empty state"
        )
    if data and newest < data[0] < 32:
        return f"a {what} of format {data[0]}, from a newer version of this program: upgrade this worker"
    return f"no {what}: {data[:16].hex()}… ({len(data)} bytes). It was damaged: restore the topic"


def chunk_key(table: str, session: int, number: int) -> bytes:
    """The key of a chunk; `/` stands in no table number."""
    return f"{table}/{session}/{number}".encode()


def split_chunk_key(key: bytes) -> tuple[str, int, int]:
    """Table, session and number of a chunk's key.

    Raises:
        BadRowError: the key is none of a chunk.
    """
    try:
        table, session, number = key.decode().split("/")
        return table, int(session), int(number)
    except ValueError as error:
        raise BadRowError(f"not a chunk's key: {key!r}") from error


def encode_id(id_hash: bytes, fingerprint: bytes, offset: int) -> bytes:
    """One accepted id as its 32 bytes."""
    return _ID.pack(id_hash, fingerprint, offset)


def accepted_ids(ids: bytes, base: int) -> Iterator[AcceptedId]:
    """Each id of a run that begins at version `base`."""
    for index, (_, fingerprint, offset) in enumerate(_ID.iter_unpack(ids)):
        yield AcceptedId(base + index, fingerprint, offset)


def _find(ids: bytes, id_hash: bytes, base: int) -> AcceptedId | None:
    at = ids.find(id_hash)
    while at >= 0:
        if at % ID_BYTES == 0:
            _, fingerprint, offset = _ID.unpack_from(ids, at)
            return AcceptedId(base + at // ID_BYTES, fingerprint, offset)
        at = ids.find(id_hash, at + 1)  # a hash may by chance stand across two entries
    return None

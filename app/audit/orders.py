"""The orders that one source tells of, kept small: 32 bytes each, a million fit anywhere."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from app.audit.lines import NO_LINES, Lines, lines_of
from app.messages import Line, OrderPlaced, check_key, decode_event

MOST_VERSIONS = 1_000_000  # of one session; a number above it is no version but a fault

_ID_END, _BRIEF_END, _SLOT = 16, 24, 32
_EMPTY = bytes(_SLOT)
_NOT_TOLD = bytes(8)  # in place of a hash
_lines: msgspec.json.Decoder[tuple[Line, ...]] = msgspec.json.Decoder(tuple[Line, ...])


class Place(NamedTuple):
    """Where an order stands; `version` is the table's after it."""

    table: str
    session: int
    version: int

    def __str__(self) -> str:
        return f"table {self.table}, session {self.session}, version {self.version}"


# What a source tells of an order: its id, a hash of its money and time, and one of all else, zeros where not told. The
# hashes are Python's own: fast, and the same within one process, which is all that is asked of them.
Found = bytes


class Order(NamedTuple):
    """An order that the log tells of; `placed_at` is in ms since 1970, UTC."""

    place: Place
    found: Found
    placed_at: int
    lines: Lines = NO_LINES

    def __str__(self) -> str:
        return f"{id_of(self.found)} at {self.place}"


def of_record(key: bytes | None, value: bytes | None) -> Order | None:
    """The order of a record of `order-events`; None where it tells of something else.

    Raises:
        NewerSchemaError, BadMessageError: it is no event, or none that is known here.
        ValueError: its order has no proper id.
    """
    event = decode_event(value)
    check_key(event, key)
    if not isinstance(event, OrderPlaced):
        return None
    place = Place(event.table, event.session, event.version)
    return Order(place, of_event(event), event.placed_at, lines_of(event))


def of_event(event: OrderPlaced) -> Found:
    """An order as its event tells it.

    Raises:
        ValueError: its id is none.
    """
    brief = of_brief(event.order_id, event.total, event.currency, event.placed_at)
    return brief[:_BRIEF_END] + _hash((event.client_order_id, event.lines, event.note, event.offset))


def of_brief(order_id: str, total: int, currency: str, placed_at: int) -> Found:
    """An order as told without its lines; `placed_at` in ms since 1970, UTC.

    Raises:
        ValueError: its id is none.
    """
    return id_bytes(order_id) + _hash((total, currency, placed_at)) + _NOT_TOLD


def of_pointer(order_id: str) -> Found:
    """An order of which only the id is told.

    Raises:
        ValueError: it is none.
    """
    return id_bytes(order_id) + _NOT_TOLD + _NOT_TOLD


def of_whole(brief: Found, client_order_id: str, text: str, note: str, log_offset: int) -> Found:
    """The same order with its lines, which are the JSON `text`.

    Raises:
        ValueError: they are not.
    """
    return brief[:_BRIEF_END] + _hash((client_order_id, _lines.decode(text), note, log_offset))


def id_bytes(order_id: str) -> bytes:
    """The 16 bytes of a server's order id.

    Raises:
        ValueError: it is none.
    """
    data = bytes.fromhex(order_id[1:]) if order_id[:1] == "o" else b""
    if len(data) != _ID_END:
        raise ValueError(f"{order_id!r} is no order id")
    return data


def id_of(found: Found) -> str:
    """The order id."""
    return f"o{found[:_ID_END].hex()}"


def same_id(one: Found, other: bytes) -> bool:
    """Whether both are of one order; `other` may be an id's bytes alone."""
    return one[:_ID_END] == other[:_ID_END]


def agree(one: Found, other: Found) -> bool:
    """Whether two sources tell the same of an order, as far as both tell."""
    return one == other or (
        same_id(one, other) and _match(one, other, _ID_END, _BRIEF_END) and _match(one, other, _BRIEF_END, _SLOT)
    )


def _match(one: Found, other: Found, start: int, stop: int) -> bool:
    mine, theirs = one[start:stop], other[start:stop]
    return mine == theirs or _NOT_TOLD in (mine, theirs)


class Orders:
    """Orders by place; the first of several at one place is kept."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions: dict[tuple[str, int], bytearray] = {}
        self.count = 0

    def add(self, place: Place, found: Found) -> Found | None:
        """Note an order down; what stood at its place already, if anything.

        Raises:
            ValueError: there can be no such version.
        """
        if not 1 <= place.version <= MOST_VERSIONS:
            raise ValueError(f"{place.version} is no version of a table after an order")
        slots = self.sessions.setdefault(place[:2], bytearray())
        start = (place.version - 1) * _SLOT
        if len(slots) < start + _SLOT:
            slots.extend(bytes(start + _SLOT - len(slots)))
        elif (before := bytes(slots[start : start + _SLOT])) != _EMPTY:
            return before
        slots[start : start + _SLOT] = found
        self.count += 1
        return None

    def get(self, place: Place) -> Found | None:
        """What is told of the order at a place."""
        slots = self.sessions.get(place[:2], b"")
        data = bytes(slots[(place.version - 1) * _SLOT : place.version * _SLOT])
        return None if data in (b"", _EMPTY) else data

    def top(self, table: str, session: int) -> int:
        """The highest version told of a session, 0 for none."""
        return len(self.sessions.get((table, session), b"")) // _SLOT

    def of_session(self, table: str, session: int) -> Iterator[tuple[Place, Found]]:
        """A session's orders by version."""
        for version in range(1, self.top(table, session) + 1):
            place = Place(table, session, version)
            found = self.get(place)
            if found is not None:
                yield place, found


def _hash(parts: tuple[object, ...]) -> bytes:
    return (hash(parts) & (1 << 64) - 1 or 1).to_bytes(8)

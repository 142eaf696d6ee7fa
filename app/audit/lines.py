"""The lines of an order as a sum, so that the tickets of its stations can be added up to it in any order."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from app.domain.tickets import NO_STATION
from app.messages import OrderPlaced

MASK = (1 << 64) - 1


class Lines(NamedTuple):
    """Some lines: how many, and the sum of their hashes. These are Python's own, the same within one process."""

    number: int = 0
    digest: int = 0

    def plus(self, other: "Lines") -> "Lines":
        """Both together."""
        return Lines(self.number + other.number, (self.digest + other.digest) & MASK)


NO_LINES = Lines()


class Expected(NamedTuple):
    """What the log tells of an order for the kitchen; `placed_at` in ms since 1970, UTC, `offset` of its event."""

    lines: Lines
    placed_at: int
    offset: int


_SLOT = struct.Struct("<HQQQ")


class ExpectedOrders:
    """By place, 26 bytes each; the first that is told of a place counts."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, int], bytearray] = {}

    def add(self, table: str, session: int, version: int, expected: Expected) -> None:
        """Note an order down."""
        slots = self._sessions.setdefault((table, session), bytearray())
        start = (version - 1) * _SLOT.size
        slots.extend(bytes(max(0, start + _SLOT.size - len(slots))))
        if self.get(table, session, version) is None:
            lines, placed_at, offset = expected
            _SLOT.pack_into(slots, start, min(lines.number, 0xFFFF), lines.digest, placed_at, offset + 1)

    def get(self, table: str, session: int, version: int) -> Expected | None:
        """What was told of a place."""
        slots, start = self._sessions.get((table, session), b""), (version - 1) * _SLOT.size
        if len(slots) < start + _SLOT.size:
            return None
        count, digest, placed_at, after = _SLOT.unpack_from(slots, start)
        return Expected(Lines(count, digest), placed_at, after - 1) if after else None


def lines_of(event: OrderPlaced) -> Lines:
    """The lines of an order, as all of its tickets together are to tell them."""
    return sum_of(
        (
            event.order_id,
            line.station or NO_STATION,
            str(number),
            line.menu_item_id,
            line.name,
            line.quantity,
            line.note,
            line.choices or line.modifiers,
            line.allergens,
        )
        for number, line in enumerate(event.lines, 1)
    )


def sum_of(lines: Iterable[tuple[object, ...]]) -> Lines:
    """Lines, each as what is told of it."""
    digests = [hash(line) & MASK for line in lines]
    return Lines(len(digests), sum(digests) & MASK)

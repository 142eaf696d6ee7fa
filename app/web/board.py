"""All tickets of the house as a worker knows them from the kitchen's changelog, and what changed of late.

Every worker reads all of the changelog, so that each can serve any station. A change's place in the changelog is its
place for every worker, and that is what clients name to go on behind it: `LOG:o0.o1.…`, for each partition the offset
up to which they were told all, or `o+n` where they have the first n events of the record at that offset. While nobody
follows nothing is decoded.
"""

import re
from bisect import bisect
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain.kitchen import NO_TABLE, KitchenTable
from app.domain.tickets import KitchenOrder, Ticket, tickets_of, versions_of
from app.tables.kitchen import (
    Records,
    decode_order,
    decode_table,
    head_of,
    order_key,
    put_newer,
    split_order_key,
    table_key,
)
from app.web.bell import Bell

_place = re.compile(r"(\d{1,15})(?:\+(\d{1,4}))?")

AT_ONCE = 256  # entries that a stream is told of before others have their turn

Place = tuple[int, int]  # an offset, and how many events of its record


@dataclass(slots=True)
class Entry:
    """A record that came: `before` is what it took the place of, `places` how far the worker had read after it.

    `told` is what its followers are told, by station, once one of them had it made: all of them are sent the same.
    """

    partition: int
    offset: int
    key: bytes
    before: bytes | None
    after: bytes | None
    places: tuple[int, ...]
    told: tuple[tuple[str, bytes], ...] | None = None

    def tickets(self) -> tuple[Ticket, ...]:
        """The versions of tickets that it brought, in their order; worked out anew each time."""
        if self.after is None or head_of(self.after).is_table:
            return ()
        known = tickets_of(decode_order(self.before)) if self.before is not None else {}
        after = {station: ticket.version for station, ticket in known.items()}
        return tuple(versions_of(decode_order(self.after), after))


class Board:
    """The records of all partitions, and the last `kept` changes."""

    def __init__(self, partitions: int, kept: int) -> None:
        self.log = ""  # names the changelog: offsets of another one mean nothing
        self.bell = Bell()  # rings once something came; then there is another one
        self.next = [0] * partitions  # the offset to read on at, by partition
        self.finished: dict[bytes, None] = {}  # keys of finished orders, as they were finished
        self.open: dict[bytes, int] = {}  # keys of the others, as they came -> when they were placed
        self.unseen: dict[bytes, int] = {}  # keys of those that some station has not seen -> when they were placed
        self._kept = kept
        self._records: Records = {}
        self._keys: dict[str, bytes] = {}  # order id -> key
        self._entries: deque[Entry] = deque()
        self._first = 0  # number of the oldest entry that is kept
        self._since = [0] * partitions  # from which offset on all entries are kept, by partition

    # ── what comes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, log: str, ends: Sequence[int]) -> None:
        """What was read so far reaches up to these offsets; now all that comes is told of."""
        self.log = log
        self.next = list(ends)

    def take(self, partition: int, offset: int, key: bytes, value: bytes | None, *, is_recent: bool = True) -> None:
        """Take in a record; one that is not recent is not told of, since records before it may be missing.

        Raises:
            BadRowError: it is none.
        """
        before = self._records.get(key)
        is_newer = put_newer(self._records, key, value)
        self.next[partition] = offset + 1
        if is_newer:
            self._note(key, value)
        if not is_recent:
            self._since[partition] = offset + 1
        elif is_newer and value is not None:
            self._entries.append(Entry(partition, offset, key, before, value, tuple(self.next)))
            if len(self._entries) > self._kept:
                oldest = self._entries.popleft()
                self._first += 1
                self._since[oldest.partition] = oldest.offset + 1

    def ring(self) -> None:
        """Wake those who wait for more."""
        bell, self.bell = self.bell, Bell()
        bell.ring()

    def _note(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            for known in (self.finished, self.open, self.unseen):
                known.pop(key, None)
            self._keys.pop(split_order_key(key)[1], None)
            return
        head = head_of(value)
        if head.is_table:
            return
        self._keys.setdefault(split_order_key(key)[1], key)
        if head.is_finished:
            self.open.pop(key, None)
            self.finished.pop(key, None)
            self.finished[key] = None
        else:
            self.finished.pop(key, None)
            self.open.setdefault(key, head.placed_at)
        if head.is_unseen:
            self.unseen.setdefault(key, head.placed_at)
        else:
            self.unseen.pop(key, None)

    # ── what is known ─────────────────────────────────────────────────────────────────────────────────────────────────

    def table(self, table: str) -> KitchenTable:
        """What the kitchen knows of a table."""
        data = self._records.get(table_key(table))
        return NO_TABLE if data is None else decode_table(data)

    def table_of(self, order_id: str) -> str | None:
        """The table of an order; None where there is no such order."""
        key = self._keys.get(order_id)
        return None if key is None else split_order_key(key)[0]

    def order(self, table: str, order_id: str) -> KitchenOrder | None:
        """An order; None where it is not known, or no longer."""
        data = self._records.get(order_key(table, order_id))
        return None if data is None else decode_order(data)

    def records(self, keys: Sequence[bytes]) -> list[bytes]:
        """The records with these keys, as they are now."""
        return [self._records[key] for key in keys if key in self._records]

    def keys_of_table(self, table: str) -> list[bytes]:
        """The keys of the table's orders."""
        prefix = table_key(table) + b"/"
        return [key for known in (self.finished, self.open) for key in known if key.startswith(prefix)]

    # ── what changed ──────────────────────────────────────────────────────────────────────────────────────────────────

    def from_now(self) -> "Cursor":
        """What comes from now on."""
        return Cursor(self, self._first + len(self._entries), [(offset, 0) for offset in self.next])

    def after(self, event_id: str) -> "Cursor | None":
        """What came and comes behind this event; None where that is no longer known, or it is no event's id."""
        log, _, rest = event_id.partition(":")
        found = [_place.fullmatch(part) for part in rest.split(".")]
        if not self.log or log != self.log or len(found) != len(self.next):
            return None
        places: list[Place] = []
        for match, since in zip(found, self._since, strict=True):
            if match is None or int(match[1]) < since:
                return None
            places.append((int(match[1]), int(match[2] or 0)))
        return Cursor(self, self._first_behind(places), places)

    def _first_behind(self, places: Sequence[Place]) -> int:
        """The number of the first entry that a client who was told so much may lack: all before it were read earlier.

        Looked for by halves: when a worker dies, all its displays ask the others at the same moment.
        """

        def is_told(entry: Entry) -> bool:
            return all(read <= offset for read, (offset, _) in zip(entry.places, places, strict=True))

        return self._first + bisect(self._entries, False, key=lambda entry: not is_told(entry))

    def entries_from(self, number: int) -> Sequence[Entry]:
        """The next entries from this number on, at most AT_ONCE.

        Raises:
            LookupError: they are no longer kept.
        """
        if number < self._first:
            raise LookupError
        start, length = number - self._first, len(self._entries)
        # From the right: whoever follows has seen all but the last few.
        return [self._entries[index - length] for index in range(start, min(length, start + AT_ONCE))]

    def has_more(self, number: int) -> bool:
        """Whether there are entries from this number on."""
        return number < self._first + len(self._entries)


Select = Callable[[Entry], Sequence[bytes]]


class Cursor:
    """How far one stream has come: `number` is the entry to look at next, `places` what the client has."""

    def __init__(self, board: Board, number: int, places: list[Place]) -> None:
        self._board = board
        self._number = number
        self._floor: list[Place] | None = places  # ahead of the worker, perhaps; None once it has caught up
        self._last = places

    @property
    def id(self) -> str:
        """The id of what was told last."""
        return self._named(self._last)

    @property
    def is_behind(self) -> bool:
        """Whether there is more to take."""
        return self._board.has_more(self._number)

    @property
    def is_level(self) -> bool:
        """Whether the client has what the worker has: no less, and nothing that the worker has not read yet."""
        return self._floor is None and not self.is_behind

    def take(self, select: Select) -> bytes:
        """What came next, as events; `select` gives those of an entry, `event: …` and `data: …` without an id.

        Raises:
            LookupError: the stream is so far behind that what it lacks is no longer kept.
        """
        parts: list[bytes] = []
        for entry in self._board.entries_from(self._number):
            self._number += 1
            skip = self._skip(entry)
            if skip is None:
                continue
            events = select(entry)
            for count, event in enumerate(events, 1):
                if count > skip:
                    self._last = self._places_after(entry, count, is_last=count == len(events))
                    parts.append(b"id: %b\n%b\n\n" % (self.id.encode(), event))
            if not events:
                self._last = self._places_after(entry, 0, is_last=True)
        return b"".join(parts)

    def _skip(self, entry: Entry) -> int | None:
        """How many events of an entry the client has; None: all of them."""
        if self._floor is None:
            return 0
        offset, count = self._floor[entry.partition]
        if entry.offset < offset:
            return None
        return count if entry.offset == offset else 0

    def _places_after(self, entry: Entry, count: int, *, is_last: bool) -> list[Place]:
        places: list[Place] = [(offset, 0) for offset in entry.places]
        if not is_last:
            places[entry.partition] = entry.offset, count
        if self._floor is not None:
            merged = [max(place, floor) for place, floor in zip(places, self._floor, strict=True)]
            if merged == places:
                self._floor = None
            return merged
        return places

    def _named(self, places: list[Place]) -> str:
        return f"{self._board.log}:" + ".".join(f"{offset}+{n}" if n else str(offset) for offset, n in places)

"""What `kitchen-tickets` tells of orders: whether each station has its ticket, and whether the lines add up."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from app.audit.lines import MASK, NO_LINES, Expected, ExpectedOrders, Lines, sum_of
from app.audit.orders import MOST_VERSIONS, Order, Place, id_bytes
from app.domain.ids import is_order_id
from app.messages import BadMessageError, NewerSchemaError
from app.ticket_messages import SCHEMA, ticket_id
from app.topics import KITCHEN_TICKETS

LINES = 0  # the version at which a ticket's lines are kept: they are never to change
_ENTRY, _KEY = 8, 3  # bytes of a version of a ticket that was told, and of station and version among them


class Part(NamedTuple):
    """One message: a station's part of an order, at one of its versions. `content` is a hash of all that it tells."""

    place: Place
    order: bytes  # its id
    station: str
    stations: tuple[str, ...]
    version: int
    numbers: tuple[str, ...]  # ids of its lines
    lines: Lines
    content: bytes

    def __str__(self) -> str:
        return f"{ticket_id(f'o{self.order.hex()}', self.station)} at {self.place}"


class _Line(msgspec.Struct, frozen=True):
    line_id: str
    menu_item_id: str
    name: str
    quantity: int
    note: str
    modifiers: tuple[str, ...]
    allergens: tuple[str, ...]


class _Ticket(msgspec.Struct, frozen=True):
    schema: int
    ticket_id: str
    version: int
    order_id: str
    table_number: str
    session: int
    round: int
    station: str
    stations: tuple[str, ...]
    lines: tuple[_Line, ...]


class _Schema(msgspec.Struct, frozen=True):
    schema: int


_tickets = msgspec.json.Decoder(_Ticket)
_schemas = msgspec.json.Decoder(_Schema)


def of_ticket(key: bytes | None, value: bytes | None) -> Part:
    """What a record of `kitchen-tickets` tells.

    Raises:
        NewerSchemaError: it is of a newer format.
        BadMessageError: it is no ticket, or one that contradicts itself.
    """
    ticket = _decoded(value or b"")
    order = id_bytes(ticket.order_id)
    if ticket.ticket_id != ticket_id(ticket.order_id, ticket.station) or ticket.station not in ticket.stations:
        raise BadMessageError(f"no ticket: {ticket.ticket_id!r} is not of {ticket.order_id} at {ticket.station!r}")
    if key != ticket.table_number.encode():
        raise BadMessageError(f"no ticket: its key is {key!r}, its table {ticket.table_number!r}")
    if not (1 <= ticket.round <= MOST_VERSIONS and 1 <= ticket.version < 1 << 16):
        raise BadMessageError(f"no ticket: round {ticket.round}, version {ticket.version}")
    lines = (msgspec.structs.astuple(line) for line in ticket.lines)
    return Part(
        Place(ticket.table_number, ticket.session, ticket.round),
        order,
        ticket.station,
        ticket.stations,
        ticket.version,
        tuple(line.line_id for line in ticket.lines),
        sum_of((ticket.order_id, ticket.station, *line) for line in lines),
        (hash(value) & MASK).to_bytes(8),
    )


def _decoded(value: bytes) -> _Ticket:
    try:
        schema = _schemas.decode(value).schema
        ticket = _tickets.decode(value) if schema <= SCHEMA else None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessageError(f"no ticket: {error}") from error
    if ticket is None:
        raise NewerSchemaError(f"schema {schema} is not known here")
    if not is_order_id(ticket.order_id):
        raise BadMessageError(f"no ticket: {ticket.order_id!r} is no order id")
    return ticket


class Amiss(NamedTuple):
    """What is wrong with an order's tickets, in words."""

    kind: Literal["lost", "duplicated", "differing"]
    text: str


class _Told:
    """What was told of one order; some 300 bytes."""

    __slots__ = ("lines", "numbers", "order", "stations", "versions")

    def __init__(self, order: bytes, stations: tuple[str, ...]) -> None:
        self.order = order
        self.stations = stations
        self.numbers: tuple[str, ...] = ()
        self.lines = NO_LINES
        self.versions = b""  # entries: station and version, and a hash of what was told

    def find(self, key: bytes) -> bytes | None:
        """What was told of a version of a ticket."""
        for at in range(0, len(self.versions), _ENTRY):
            if self.versions[at : at + _KEY] == key:
                return self.versions[at + _KEY : at + _ENTRY]
        return None

    def note(self, key: bytes, content: bytes) -> bool:
        """Note it down; False where something else was told before."""
        content = content[: _ENTRY - _KEY]
        before = self.find(key)
        if before is None:
            self.versions += key + content
        return before in (None, content)


class Tickets:
    """Tickets by the places of their orders; past `most` orders the oldest ones that are complete are forgotten."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._told: dict[Place, _Told] = {}
        self._numbers: dict[str, int] = {}  # of the stations
        self._same: dict[tuple[str, ...], tuple[str, ...]] = {}  # stations and lines are much the same, order by order
        self._complete: deque[Place] = deque()
        self.incomplete: dict[Place, None] = {}  # orders of which only some tickets were told of

    def __len__(self) -> int:
        return len(self._told)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._told)

    def __contains__(self, place: Place) -> bool:
        return place in self._told

    def add(self, part: Part) -> Amiss | None:
        """Note a message down; what is wrong about it, if anything. The same once more is not."""
        told = self._told.get(part.place)
        if told is None:
            told = self._told[part.place] = _Told(part.order, self._kept(part.stations))
            self.incomplete[part.place] = None
            if self._most is not None and len(self.incomplete) > self._most:
                oldest = next(iter(self.incomplete))
                del self._told[oldest], self.incomplete[oldest]
        if told.order != part.order:
            return Amiss("duplicated", f"{part}: the kitchen has o{told.order.hex()} there, too")
        lines = self._key(part.station, LINES)
        if told.find(lines) is None:
            if twice := sorted(set(told.numbers) & set(part.numbers)) or _repeated(part.numbers):
                return Amiss("duplicated", f"{part}: line {', '.join(twice)} stands in another ticket, too")
            told.numbers = self._kept(told.numbers + part.numbers)
            told.lines = told.lines.plus(part.lines)
        same = told.note(lines, part.lines.digest.to_bytes(8))
        same = told.note(self._key(part.station, part.version), part.content) and same
        if part.place in self.incomplete and not self.lacking(part.place):
            self._complete_now(part.place)
        if not same:
            return Amiss("differing", f"{part}: its version {part.version} is told in two ways")
        if part.stations != told.stations:
            return Amiss("differing", f"{part}: it names the stations {', '.join(part.stations)}, others did not")
        return None

    def lacking(self, place: Place) -> list[str]:
        """The stations of an order that was told of which have no ticket of it."""
        told = self._told[place]
        return [station for station in told.stations if told.find(self._key(station, LINES)) is None]

    def lines(self, place: Place) -> Lines:
        """The lines of all tickets of an order that was told of."""
        return self._told[place].lines

    def judge(self, place: Place, order: bytes | None, lines: Lines | None) -> Amiss | None:
        """What is wrong with an order's tickets; its id and lines as the log tells of them, None where it does not."""
        told = self._told.get(place)
        if told is None:
            return Amiss("lost", f"missing in {KITCHEN_TICKETS}")
        if lacking := self.lacking(place):
            return Amiss("lost", f"missing in {KITCHEN_TICKETS} for {', '.join(lacking)}")
        if order is not None and told.order != order:
            return Amiss("differing", f"{KITCHEN_TICKETS} has o{told.order.hex()} there")
        if lines is None or told.lines == lines:
            return None
        missing = {str(number) for number in range(1, lines.number + 1)} - set(told.numbers)
        if missing:
            return Amiss("lost", f"missing in {KITCHEN_TICKETS} with its line {', '.join(sorted(missing))}")
        return Amiss("differing", f"{KITCHEN_TICKETS} tells other lines of it")

    def _complete_now(self, place: Place) -> None:
        del self.incomplete[place]
        if self._most is not None:
            self._complete.append(place)
            if len(self._complete) > self._most:
                del self._told[self._complete.popleft()]

    def _kept(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        """The same texts, held once."""
        return self._same.setdefault(texts, texts)

    def _key(self, station: str, version: int) -> bytes:
        number = self._numbers.setdefault(station, len(self._numbers)) & 0xFF  # no house has so many
        return number.to_bytes(1) + version.to_bytes(2)


CLOCKS_MS = 60_000  # between the clocks of brokers


@dataclass
class Cooking:
    """All that the kitchen told, and what the log tells of the same orders.

    `partitions` of the tables. `done`: before which offset of a partition's events the kitchen is done with them.
    `oldest`: of a partition whose tickets have begun to leave by their age, when the oldest one that is left came (ms).
    """

    tickets: Tickets = field(default_factory=Tickets)
    expected: ExpectedOrders = field(default_factory=ExpectedOrders)
    partitions: dict[str, int] = field(default_factory=dict)
    done: Mapping[int, int] = field(default_factory=dict)
    oldest: dict[int, int] = field(default_factory=dict)

    def tell(self, order: Order, partition: int, offset: int) -> None:
        """An order's event, and where it stands."""
        if 1 <= order.place.version <= MOST_VERSIONS:
            self.partitions[order.place.table] = partition
            self.expected.add(*order.place, Expected(order.lines, order.placed_at, offset))

    def judge(self, place: Place, order: bytes | None) -> tuple[Amiss | None, Literal["", "behind", "expired"]]:
        """What is wrong with an order's tickets, or why it is no fault that some are missing."""
        expected, partition = self.expected.get(*place), self.partitions.get(place.table, -1)
        amiss = self.tickets.judge(place, order, expected.lines if expected else None)
        if amiss is None or amiss.kind != "lost":
            return amiss, ""
        if expected is None:
            return None, "expired"  # nobody knows when it was placed: the log has lost it, and tells so
        if expected.offset >= self.done.get(partition, 0):
            return None, "behind"
        if expected.placed_at < self.oldest.get(partition, 0) + CLOCKS_MS * (partition in self.oldest):
            return None, "expired"
        return amiss, ""


def _repeated(numbers: Sequence[str]) -> list[str]:
    return sorted({number for number in numbers if numbers.count(number) > 1})

"""What the views and agents need of the outside; adapters give it, the composition root hands it over."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn, Protocol

import msgspec

from app.domain.menu import Menu, MenuItem
from app.domain.menu_edits import Edit, Edited, Refused
from app.domain.windows import Limited, Verdict
from app.messages import Answer, Asked, Event, KitchenAsked, OrderPlaced, PlaceOrder, TableState


class UnavailableError(Exception):
    """The answer cannot be had now: not ready, owner away, deadline passed. The guest may send the same again."""


class MenuTooLargeError(Exception):
    """The menu would be larger than the store takes; the message says by how much."""


class Edge(Protocol):
    """The way of a command to its table's owner and of the answer back."""

    @property
    def address(self) -> str:
        """Where the owner is to answer: a command's `reply_to`."""
        ...

    def new_request_id(self) -> str:
        """A random id that names a request at this worker."""
        ...

    async def ask(self, command: Asked | KitchenAsked) -> Answer:
        """Append the command to the log and wait for its owner's answer.

        Raises:
            UnavailableError: no answer within the view's deadline, or too much waits already.
        """
        ...


class Admission(Protocol):
    """Lets as many orders through as are answered soon; those who order as usual first."""

    def wait_of(self, table: str) -> int:
        """0 where an order of this table may be appended; else how many s its pad is to wait."""
        ...


class OpenDoor:
    """Lets everything through."""

    def wait_of(self, table: str) -> int:
        """No wait."""
        del table
        return 0


OPEN_DOOR = OpenDoor()


class Owners(Protocol):
    """Reads from the row of the worker that owns a table, wherever that is."""

    async def table(self, table: str) -> TableState:
        """How the table stands.

        Raises:
            UnavailableError: its owner cannot answer for certain.
        """
        ...

    async def order(self, table: str | None, order_id: str) -> OrderPlaced | None:
        """An accepted order as the log tells it; None where its table's owner knows no such order.

        `table` None asks every owner: for staff, who may read any table's orders.

        Raises:
            UnavailableError: an owner cannot answer for certain.
        """
        ...

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[OrderPlaced]:
        """Accepted orders of a session by version, those above `after_version`, as the log tells them.

        For what Cassandra does not have yet; ids older than the replay promise are not found.

        Raises:
            UnavailableError: the table's owner cannot answer for certain.
        """
        ...


class LiveMenu(Protocol):
    """The menu as this worker holds it, in memory; a newer revision takes an older one's place, never the reverse."""

    def current(self) -> Menu:
        """The newest menu seen; UnavailableError where none was ever fetched."""
        ...

    def find(self, item_id: str) -> MenuItem | None:
        """The dish with this id; UnavailableError where no menu was ever fetched."""
        ...

    @property
    def stale_since(self) -> float | None:
        """When the menu was last known to be the newest (s since 1970), where that is in doubt; else None."""
        ...

    async def catch_up(self, revision: int) -> None:
        """Look once for a menu of at least this revision; shared by all who ask meanwhile."""
        ...

    async def reload(self) -> None:
        """Take what the store itself has, for measuring only; UnavailableError while it is away."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` called on the event loop after another menu was taken."""
        ...


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of the menu: what it was called, by whom, when (ms since 1970, UTC), and the menus round it.

    `before` is None where it is no longer kept.
    """

    revision: int
    at: int
    who: str
    what: str
    before: Menu | None
    after: Menu


class MenuEditor(Protocol):
    """Changes the menu in the store, and has every worker told."""

    async def apply(self, edit: Edit, who: str, what: str) -> Edited | Refused:
        """Apply an edit to the newest menu, anew where another manager was faster; returns once it is stored.

        Raises:
            UnavailableError: the store is away; whether the edit was made is not known, and asking again is safe.
            MenuTooLargeError: nothing was changed.
        """
        ...

    async def newest(self) -> Menu:
        """The newest menu in the store; revision 0 where there is none. UnavailableError while the store is away."""
        ...

    async def history(self, limit: int, before: int | None = None) -> Sequence[Revision]:
        """The last changes, newest first, those before a revision; UnavailableError while the store is away."""
        ...


@dataclass(frozen=True, slots=True)
class KeptOrder:
    """An order, and whether it was cancelled since, as far as that is known where it was found."""

    order: OrderPlaced
    is_cancelled: bool = False


class OrderStore(Protocol):
    """Orders as the ledger has written them to Cassandra; it may lag."""

    async def order(self, order_id: str) -> KeptOrder | None:
        """The order with this id; UnavailableError while Cassandra is away."""
        ...

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[KeptOrder]:
        """A session's orders by version, those above `after_version`; UnavailableError while Cassandra is away."""
        ...


class EventWriter(Protocol):
    """Writes events where they are asked for later."""

    @property
    def breaks(self) -> int:
        """How often the store was seen to break off; what it answered shortly before may be lost."""
        ...

    async def write(self, events: Sequence[Event]) -> None:
        """Write the events, in any order; returns once each stands in all of its tables, and tries until then."""
        ...

    async def wait_until_it_answers(self) -> None:
        """Returns once the store has answered anything; whether it broke off before is then known."""
        ...


class Lane(Protocol):
    """One topic's partition as this process writes it; records are acknowledged in the order of sending."""

    @property
    def sent(self) -> int:
        """Records sent so far."""
        ...

    @property
    def acked(self) -> int:
        """Records of these that Kafka has acknowledged, on all in-sync replicas."""
        ...

    @property
    def known(self) -> int:
        """The offset before which everything was written by this process or read by it; -1: unknown."""
        ...

    def send(self, key: bytes, value: bytes | None) -> None:
        """Append a record; a delivery that fails for good ends the process."""
        ...

    def read_up_to(self, offset: int) -> None:
        """What stands before this offset is known to the owner."""
        ...

    def strangers(self, end: int) -> list[tuple[int, int]]:
        """Ranges of offsets that this process neither wrote nor read, up to the partition's `end`; told once."""
        ...

    def look_again(self, gaps: list[tuple[int, int]]) -> None:
        """Tell these ranges once more: they could not be looked at."""
        ...


class LogWriter(Protocol):
    """Writes what the owner of a table decided."""

    def lane(self, topic: str, partition: int) -> Lane:
        """The lane of this partition, always the same one."""
        ...

    def on_delivered(self, callback: Callable[[], None]) -> None:
        """Have `callback` called on the event loop after some records were acknowledged."""
        ...


class Answers(Protocol):
    """The way of an answer to the view that waits for it; one that gets lost is a 503, and the guest asks again."""

    def give(self, reply_to: str, answer: Answer) -> None:
        """Send the answer to the worker at this link address."""
        ...


class Journal(Protocol):
    """Notes what becomes of each order, for whoever looks for a single one later (`python -m app trace`)."""

    def answered(self, command: PlaceOrder, outcome: str, version: int, seconds: float) -> None:
        """A view has an answer for its guest, `seconds` after it was asked."""
        ...

    def decided(self, command: PlaceOrder, partition: int, offset: int, outcome: str, version: int) -> None:
        """The owner has decided on the command at this place of `order-commands`."""
        ...

    def written(self, order: OrderPlaced, partition: int, offset: int) -> None:
        """Every table of Cassandra has taken the order of the event at this place of `order-events`."""
        ...

    def acknowledged(self, partition: int, first: int, last: int) -> None:
        """The ledger is done with the events at these offsets: they stand in Cassandra for good."""
        ...

    def flush(self) -> None:
        """Write what has gathered: the process ends."""
        ...


class NoJournal:
    """Notes nothing."""

    def answered(self, command: PlaceOrder, outcome: str, version: int, seconds: float) -> None:
        """Nothing."""

    def decided(self, command: PlaceOrder, partition: int, offset: int, outcome: str, version: int) -> None:
        """Nothing."""

    def written(self, order: OrderPlaced, partition: int, offset: int) -> None:
        """Nothing."""

    def acknowledged(self, partition: int, first: int, last: int) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""


NO_JOURNAL = NoJournal()


class Consumed(Protocol):
    """A record as the consumer hands it over; `timestamp` is its log time in ms."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class DeadLetters(Protocol):
    """Where records go that cannot be decoded."""

    async def put(self, record: Consumed, reason: str) -> None:
        """Set the record aside; returns once Kafka has acknowledged that."""
        ...


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as it stands in the log; `time` is its log time in ms."""

    offset: int
    time: int
    key: bytes
    value: bytes | None


class LogReader(Protocol):
    """Reads the log beside the consumer: single records, ranges and ends."""

    async def end(self, topic: str, partition: int) -> int:
        """The offset after the partition's last record; UnavailableError while Kafka is away."""
        ...

    async def read(self, topic: str, partition: int, start: int, stop: int) -> Sequence[Record]:
        """The records from `start` to before `stop` that still stand; UnavailableError while Kafka is away."""
        ...

    def batches(self, topic: str, spans: Mapping[int, range]) -> AsyncIterator[tuple[int, Sequence[Record]]]:
        """The same of many records and several partitions, in batches with their partition."""
        ...


class Fatal(Protocol):
    """Ends the process: what happened must not be worked around, and a supervisor starts anew."""

    def __call__(self, reason: str) -> NoReturn: ...


SAMPLED = 8  # one order in so many is timed part by part: a look at the clock costs, too
OrderPart = Literal["edge", "log", "decision", "acknowledgement", "reply"]


class OrderWatch(Protocol):
    """Hears how orders fare. Called on the event loop with every order: it must be quick, and never raises."""

    def answered(self, outcome: str, seconds: float) -> None:
        """A request to place an order got its answer, so long after it came."""
        ...

    def took(self, part: OrderPart, seconds: float) -> None:
        """A part of an order that is timed took so long."""
        ...


class LedgerWatch(Protocol):
    """Hears how events come into the store; on the event loop."""

    def written(self, events: Sequence[Event]) -> None:
        """These stand in all of their tables."""
        ...

    def acknowledged(self, events: int) -> None:
        """So many more stand there for good, and are acknowledged to the log."""
        ...


class KitchenWatch(Protocol):
    """Hears what the kitchen decides; on the event loop, and it never raises."""

    def made(self, seconds: float) -> None:
        """The tickets of an order were decided on, so long after its command came into the log."""
        ...

    def decided(self, outcome: str) -> None:
        """What a cook or a guest asked for was decided on."""
        ...


class Unwatched:
    """Hears nothing: for tests of something else."""

    def answered(self, outcome: str, seconds: float) -> None:
        """Nobody counts."""

    def took(self, part: OrderPart, seconds: float) -> None:
        """Nobody measures."""

    def written(self, events: Sequence[Event]) -> None:
        """Nobody counts."""

    def acknowledged(self, events: int) -> None:
        """Nobody counts."""

    def made(self, seconds: float) -> None:
        """Nobody measures."""

    def decided(self, outcome: str) -> None:
        """Nobody counts."""


UNWATCHED = Unwatched()


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that would change something, by the token that sends it.

    An order has a table and its session, and a `mark` that is the same where the same order is sent again.
    """

    token: str
    table: str = ""
    session: int = 0
    mark: bytes = b""


class Limiter(Protocol):
    """Judges who may ask how much."""

    @property
    def limits_writes(self) -> bool:
        """Whether anything that changes something is limited; else `write` need not be asked."""
        ...

    async def write(self, sent: Sent) -> Verdict:
        """Judge a request that would change something; it never fails, and waits for nothing for long."""
        ...

    def read(self, token: str) -> Verdict:
        """Judge a request that reads."""
        ...

    def stranger(self, address: str) -> Verdict:
        """Judge a request from this address that has no token that holds."""
        ...

    def accepted(self, verdict: Verdict) -> None:
        """The order was accepted, now or before: sent again it costs nothing from now on."""
        ...

    def give_back(self, verdict: Verdict, *, also_source: bool = False) -> None:
        """The request counts no longer for its table, nor, if `also_source`, for who sent it."""
        ...


class Unlimited:
    """Lets everything through."""

    limits_writes = False

    async def write(self, sent: Sent) -> Verdict:  # noqa: ARG002 - all the same
        """It may."""
        return Verdict()

    def read(self, token: str) -> Verdict:  # noqa: ARG002 - all the same
        """It may."""
        return Verdict()

    def stranger(self, address: str) -> Verdict:  # noqa: ARG002 - all the same
        """It may."""
        return Verdict()

    def accepted(self, verdict: Verdict) -> None:
        """Nobody remembers."""

    def give_back(self, verdict: Verdict, *, also_source: bool = False) -> None:
        """Nothing was taken."""


UNLIMITED = Unlimited()


class LimitWatch(Protocol):
    """Hears how requests are limited; on the event loop."""

    def limited(self, which: Limited) -> None:
        """A request was refused by this limit."""
        ...

    def judged(self, where: Literal["redis", "here"]) -> None:
        """A request that would change something was judged there."""
        ...


class Unheard:
    """Hears nothing."""

    def limited(self, which: Limited) -> None:
        """Nobody counts."""

    def judged(self, where: Literal["redis", "here"]) -> None:
        """Nobody counts."""


UNHEARD = Unheard()

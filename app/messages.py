"""What travels between the services: commands, events and the answers between workers.

JSON in Kafka, so that an operator can read it with any tool; each message carries the number of its schema. A reader
takes fields that it does not know as none of its business, and refuses a schema above its own.
"""

from typing import Annotated, Literal, TypeVar

import msgspec

from app.domain.ids import are_ids, is_order_id, is_table
from app.domain.moments import LAST_MOMENT

SCHEMA = 1
# No release comes so far: what claims a schema above is garbage, and must not stop every worker that reads it.
LAST_SCHEMA = 9999
# An event is no larger than its command, and a broker takes 1 MB: a command above could be accepted, but not told of.
MAX_COMMAND_BYTES = 900_000
MAX_CHANGED = 100  # dishes that a change of the menu names


def _this_schema() -> int:
    # A default made by a function is always written: left out, it would mean another number after the next change.
    return SCHEMA


class BadMessageError(ValueError):
    """A record that is none of the messages here; the text says why."""


class NewerSchemaError(BadMessageError):
    """A record of a schema that only newer workers know; it is no garbage, so the reader must stop and be upgraded."""


# What a message may hold, so that whatever can be decoded can also be decided, told and stored.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]  # from 1 on
Quantity = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Claimed = Annotated[int, msgspec.Meta(ge=0, le=2**53)]  # as a guest says, who may say any number
Station = Annotated[str, msgspec.Meta(max_length=100)]  # of the settings
Reason = Annotated[str, msgspec.Meta(max_length=200)]
Who = Annotated[str, msgspec.Meta(max_length=100)]  # a role and a name
Trace = Annotated[str, msgspec.Meta(max_length=64)]  # empty: none
Address = Annotated[str, msgspec.Meta(max_length=300)]  # of a worker
Place = Annotated[int, msgspec.Meta(ge=0, le=10**15 - 1)]  # an offset
Amount = Annotated[int, msgspec.Meta(ge=0, le=2**53)]  # minor units
Moment = Annotated[int, msgspec.Meta(ge=0, le=LAST_MOMENT)]  # ms since 1970, UTC

# Orders and what becomes of them are left out by the garbage collector (`gc=False`): nothing in them can lead back to
# them, and while thousands wait to be written it would walk them all.


class Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One line of an order; `price` is that of one piece with its modifiers, in minor units, from the menu.

    `station`, `allergens` and `choices`, the names of the modifiers, are what the kitchen needs of the menu.
    """

    menu_item_id: str
    name: str
    quantity: Quantity
    price: Amount
    note: str = ""
    modifiers: tuple[str, ...] = ()
    station: str = ""
    allergens: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


class PlaceOrder(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="PlaceOrder"):
    """A guest's order as its view judged it.

    `refusal` is empty, or says why the view refused the items: the owner alone knows whether the order id was accepted
    before, so a refused order travels too. `version` is the one that the pad holds; `total` the sum in minor units.
    `reply_to` is the link address of the view's worker, `request_id` names the request there; `trace` is the
    `X-Request-Id` by which the guest knows it, and who looks for it in the logs.
    """

    request_id: str
    reply_to: Address
    table: Name
    session: Claimed
    version: Claimed
    client_order_id: Name
    order_id: Name
    fingerprint: Name
    lines: tuple[Line, ...]
    total: Amount
    currency: Name
    note: str = ""
    refusal: str = ""
    trace: Trace = ""
    schema: int = msgspec.field(default_factory=_this_schema)


class OpenSession(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="OpenSession"):
    """Open a table's session of this number: the one after its last."""

    request_id: str
    reply_to: Address
    table: Name
    session: Claimed
    schema: int = msgspec.field(default_factory=_this_schema)


class CloseSession(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="CloseSession"):
    """Close a table's session of this number."""

    request_id: str
    reply_to: Address
    table: Name
    session: Claimed
    schema: int = msgspec.field(default_factory=_this_schema)


class NoteCancelled(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="NoteCancelled"):
    """The kitchen has cancelled an order of this table's session, which stood at `version` and cost `total`.

    `at` is when it decided so, `placed_at` when the order was placed: who keeps orders by their time finds it by that.
    0 is not told.
    """

    table: Name
    session: Count
    order_id: Name
    version: Count
    total: Amount
    at: Moment
    placed_at: Moment = 0
    trace: Trace = ""
    schema: int = msgspec.field(default_factory=_this_schema)


class Nothing(msgspec.Struct, frozen=True, tag_field="type", tag="Nothing"):
    """Changes nothing: fills a log that lost its end up to the offset that its tables have seen."""

    schema: int = SCHEMA


class OrderPlaced(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="OrderPlaced"):
    """An order stands. The first event of a (table, session, version) counts; any later one says the same.

    `version` is the table's version after the order; `placed_at` is the log time of its command (ms, UTC) and `offset`
    that command's place in its partition of `order-commands`. `trace` is the command's; Cassandra does not keep it.
    """

    order_id: Name
    client_order_id: Name
    table: Name
    session: Count
    version: Count
    lines: tuple[Line, ...]
    total: Amount
    currency: Name
    placed_at: Moment
    offset: Place
    note: str = ""
    trace: Trace = ""
    schema: int = msgspec.field(default_factory=_this_schema)


class SessionOpened(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="SessionOpened"):
    """A party sat down. `at` is the log time (ms, UTC)."""

    table: Name
    session: Count
    at: Moment
    schema: int = msgspec.field(default_factory=_this_schema)


class SessionClosed(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="SessionClosed"):
    """A party left. `at` is the log time (ms, UTC)."""

    table: Name
    session: Count
    at: Moment
    schema: int = msgspec.field(default_factory=_this_schema)


class OrderCancelled(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="OrderCancelled"):
    """An order will not be cooked, and is not to be paid; the table's version stays. It comes after its OrderPlaced.

    `at` is when the kitchen decided so (log time, ms, UTC), `placed_at` and `total` are the order's. It may come more
    than once, and says the same.
    """

    table: Name
    session: Count
    order_id: Name
    version: Count
    total: Amount
    at: Moment
    placed_at: Moment = 0
    trace: Trace = ""
    schema: int = msgspec.field(default_factory=_this_schema)


class ChangeTicket(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="ChangeTicket"):
    """A cook's change of the ticket of an order at a station, who saw it at `version` (0: at any).

    `action` is one of `app.domain.tickets`; `by` is who it was. The same `command_id` is the same change sent again.
    """

    request_id: str
    reply_to: Address
    table: Name
    order_id: Name
    station: Station
    action: Name
    version: Claimed
    command_id: Name
    line: Trace = ""
    reason: Reason = ""
    by: Who = ""
    trace: Trace = ""
    schema: int = msgspec.field(default_factory=_this_schema)


class CancelOrder(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="CancelOrder"):
    """Cancel a whole order, which is known to stand at `version` of this session, unless a cook has begun."""

    request_id: str
    reply_to: Address
    table: Name
    session: Count
    version: Count
    order_id: Name
    total: Amount
    placed_at: Moment = 0
    by: Who = ""
    trace: Trace = ""
    schema: int = msgspec.field(default_factory=_this_schema)


class ClearOrder(msgspec.Struct, frozen=True, tag_field="type", tag="ClearOrder"):
    """Take an order off the displays that nobody has worked on for hours, or that is far more than fits on them."""

    table: Name
    order_id: Name
    schema: int = msgspec.field(default_factory=_this_schema)


class MenuChanged(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="MenuChanged"):
    """The menu has this revision, and whoever holds an older one fetches it. It may come late, or more than once.

    `at` is when it was made (ms, UTC), `who` made it and `what` it was; `changed` are ids of dishes, of which no more
    than `MAX_CHANGED` are named.
    """

    revision: Count
    at: Moment
    who: str
    what: str
    changed: tuple[str, ...] = ()
    schema: int = msgspec.field(default_factory=_this_schema)


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What the owner of a table answers to a command, sent to the view's worker.

    `outcome` is the name of the decision; `version` the table's version after the order (accepted, replayed) or its
    current one (conflict); `session` and `is_open` tell how a session command left the table. `at` is when the owner
    gave the answer (s since 1970), 0 where the order is not timed. `ticket` is the JSON of a ticket as it stands, from
    the kitchen; there `id_reused` is of a command id, `version_conflict` of a ticket.
    """

    request_id: str
    outcome: Literal[
        "accepted",
        "replayed",
        "id_reused",
        "session_closed",
        "invalid_item",
        "version_conflict",
        "opened",
        "closed",
        "unchanged",
        "unknown",
        "changed",
        "changed_before",
        "not_possible",
        "not_found",
        "cancelled",
        "cannot_cancel",
    ]
    version: int = 0
    session: int = 0
    is_open: bool = False
    detail: str = ""
    at: float = 0.0
    ticket: bytes = b""


class TableState(msgspec.Struct, frozen=True):
    """How a table stands, from its owner's row; `session` 0: none yet. `total` is the session's, in minor units.

    `cancelled` are the versions of the session's orders that were cancelled.
    """

    table: str
    session: int
    is_open: bool
    version: int
    total: int
    opened_at: int
    cancelled: tuple[int, ...] = ()


def order_placed(command: PlaceOrder, version: int, offset: int, time: int) -> OrderPlaced:
    """The event of an accepted order: the same each time that its command is read."""
    return OrderPlaced(
        order_id=command.order_id,
        client_order_id=command.client_order_id,
        table=command.table,
        session=command.session,
        version=version,
        lines=command.lines,
        total=command.total,
        currency=command.currency,
        placed_at=time,
        offset=offset,
        note=command.note,
        trace=command.trace,
    )


def order_cancelled(command: NoteCancelled) -> OrderCancelled:
    """The event of a cancelled order: the same each time that its command is read."""
    return OrderCancelled(
        table=command.table,
        session=command.session,
        order_id=command.order_id,
        version=command.version,
        total=command.total,
        placed_at=command.placed_at,
        at=command.at,
        trace=command.trace,
    )


Asked = PlaceOrder | OpenSession | CloseSession
Command = Asked | NoteCancelled | Nothing
Event = OrderPlaced | OrderCancelled | SessionOpened | SessionClosed
KitchenAsked = ChangeTicket | CancelOrder
# The events are copies from `order-events`: what the kitchen decides, it decides from one log.
KitchenCommand = KitchenAsked | ClearOrder | Event | Nothing
Message = TypeVar("Message", Command, Event, KitchenCommand, MenuChanged)

_encoder = msgspec.json.Encoder()
_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_kitchen_commands: msgspec.json.Decoder[KitchenCommand] = msgspec.json.Decoder(KitchenCommand)
_menu_changes = msgspec.json.Decoder(MenuChanged)

encode = _encoder.encode


class _Numbered(msgspec.Struct):
    type: str
    schema: int


_numbered = msgspec.json.Decoder(_Numbered)

# Besides its own errors msgspec raises UnicodeDecodeError, a ValueError, and RecursionError for what is nested deeply.
_NOT_DECODED = (msgspec.DecodeError, ValueError, RecursionError)


def decode_command(data: bytes | None) -> Command:
    """The command of a record of `order-commands`.

    Raises:
        NewerSchemaError: it is of a newer schema.
        BadMessageError: it is none.
    """
    command = _decode(_commands, data, "a command")
    if data is not None and len(data) > MAX_COMMAND_BYTES:
        raise BadMessageError(f"not a command: {len(data)} bytes, at most {MAX_COMMAND_BYTES} are allowed")
    if isinstance(command, PlaceOrder) and not are_ids(command.order_id, command.fingerprint):
        raise BadMessageError(f"not a command: {command.order_id!r} or {command.fingerprint!r} is no id or fingerprint")
    if isinstance(command, NoteCancelled) and not is_order_id(command.order_id):
        raise BadMessageError(f"not a command: {command.order_id!r} is no order id")
    return command


def decode_event(data: bytes | None) -> Event:
    """The event of a record of `order-events`.

    Raises:
        NewerSchemaError: it is of a newer schema.
        BadMessageError: it is none.
    """
    event = _decode(_events, data, "an event")
    if isinstance(event, OrderPlaced | OrderCancelled) and not is_order_id(event.order_id):
        raise BadMessageError(f"not an event: {event.order_id!r} is no order id")
    if not is_table(event.table):
        raise BadMessageError(f"not an event: {event.table!r} is no table number")
    return event


def decode_kitchen_command(data: bytes | None) -> KitchenCommand:
    """The command, or the copy of an event, of a record of `kitchen-commands`.

    Raises:
        NewerSchemaError: it is of a newer schema.
        BadMessageError: it is none.
    """
    command = _decode(_kitchen_commands, data, "a command of the kitchen")
    if not isinstance(command, SessionOpened | SessionClosed | Nothing) and not is_order_id(command.order_id):
        raise BadMessageError(f"not a command of the kitchen: {command.order_id!r} is no order id")
    return command


def decode_menu_change(data: bytes | None) -> MenuChanged:
    """The message of a record of `menu-changes`.

    Raises:
        NewerSchemaError: it is of a newer schema.
        BadMessageError: it is none.
    """
    return _decode(_menu_changes, data, "a change of the menu")


def check_key(message: Command | Event | KitchenCommand, key: bytes | None) -> None:
    """See that a record's key is its table: the key chose the partition, and with it the owner.

    Raises:
        BadMessageError: it is another one.
    """
    if not isinstance(message, Nothing) and message.table.encode() != key:
        shown = key if key is None else key[:64]
        raise BadMessageError(f"the message is of table {message.table!r}, but its key is {shown!r}")


def _decode(decoder: msgspec.json.Decoder[Message], data: bytes | None, what: str) -> Message:
    try:
        message = decoder.decode(data or b"")
    except _NOT_DECODED as error:
        _check(_schema_of(data))  # what is newer may well look like nothing that is known here
        raise BadMessageError(f"not {what}: {error}") from error
    _check(message.schema)
    return message


def _schema_of(data: bytes | None) -> int:
    try:
        return _numbered.decode(data or b"").schema
    except _NOT_DECODED:
        return SCHEMA


def _check(schema: int) -> None:
    if SCHEMA < schema <= LAST_SCHEMA:
        raise NewerSchemaError(
            f"schema {schema} is not known here (1 to {SCHEMA}): upgrade the readers before the writers"
        )
    if schema != SCHEMA:
        raise BadMessageError(f"schema {schema} was never one")

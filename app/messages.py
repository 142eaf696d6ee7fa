"""What travels between the services: commands, events and the answers between workers.

JSON in Kafka, so that an operator can read it with any tool; each message carries the number of its schema. A reader
takes fields that it does not know as none of its business, and refuses a schema above its own.
"""

from typing import Literal

import msgspec

SCHEMA = 1


class BadMessageError(ValueError):
    """A record that is none of the messages here; the text says why."""


class NewerSchemaError(BadMessageError):
    """A record of a schema that only newer workers know; it is no garbage, so the reader must stop and be upgraded."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an order; `price` is that of one piece with its modifiers, in minor units, from the menu."""

    menu_item_id: str
    name: str
    quantity: int
    price: int
    note: str = ""
    modifiers: tuple[str, ...] = ()


class PlaceOrder(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="PlaceOrder"):
    """A guest's order as its view judged it.

    `refusal` is empty, or says why the view refused the items: the owner alone knows whether the order id was accepted
    before, so a refused order travels too. `version` is the one that the pad holds; `total` the sum in minor units.
    `reply_to` is the link address of the view's worker, `request_id` names the request there.
    """

    request_id: str
    reply_to: str
    table: str
    session: int
    version: int
    client_order_id: str
    order_id: str
    fingerprint: str
    lines: tuple[Line, ...]
    total: int
    currency: str
    note: str = ""
    refusal: str = ""
    schema: int = SCHEMA


class OpenSession(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="OpenSession"):
    """Open a table's session of this number: the one after its last."""

    request_id: str
    reply_to: str
    table: str
    session: int
    schema: int = SCHEMA


class CloseSession(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="CloseSession"):
    """Close a table's session of this number."""

    request_id: str
    reply_to: str
    table: str
    session: int
    schema: int = SCHEMA


class OrderPlaced(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="OrderPlaced"):
    """An order stands. The first event of a (table, session, version) counts; any later one says the same.

    `version` is the table's version after the order; `placed_at` is the log time of its command (ms, UTC) and `offset`
    that command's place in its partition of `order-commands`.
    """

    order_id: str
    client_order_id: str
    table: str
    session: int
    version: int
    lines: tuple[Line, ...]
    total: int
    currency: str
    placed_at: int
    offset: int
    note: str = ""
    schema: int = SCHEMA


class SessionOpened(msgspec.Struct, frozen=True, tag_field="type", tag="SessionOpened"):
    """A party sat down. `at` is the log time (ms, UTC)."""

    table: str
    session: int
    at: int
    schema: int = SCHEMA


class SessionClosed(msgspec.Struct, frozen=True, tag_field="type", tag="SessionClosed"):
    """A party left. `at` is the log time (ms, UTC)."""

    table: str
    session: int
    at: int
    schema: int = SCHEMA


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What the owner of a table answers to a command, sent to the view's worker.

    `outcome` is the name of the decision; `version` the table's version after the order (accepted, replayed) or its
    current one (conflict); `session` and `is_open` tell how a session command left the table.
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
    ]
    version: int = 0
    session: int = 0
    is_open: bool = False
    detail: str = ""


class TableState(msgspec.Struct, frozen=True):
    """How a table stands, from its owner's row; `session` 0: none yet. `total` is the session's, in minor units."""

    table: str
    session: int
    is_open: bool
    version: int
    total: int
    opened_at: int


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
    )


Command = PlaceOrder | OpenSession | CloseSession
Event = OrderPlaced | SessionOpened | SessionClosed

_encoder = msgspec.json.Encoder()
_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)

encode = _encoder.encode


def decode_command(data: bytes | None) -> Command:
    """The command of a record of `order-commands`.

    Raises:
        BadMessageError: it is none, or of a newer schema.
    """
    try:
        command = _commands.decode(data or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessageError(f"not a command: {error}") from error
    _check(command.schema)
    return command


def decode_event(data: bytes | None) -> Event:
    """The event of a record of `order-events`.

    Raises:
        BadMessageError: it is none, or of a newer schema.
    """
    try:
        event = _events.decode(data or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessageError(f"not an event: {error}") from error
    _check(event.schema)
    return event


def _check(schema: int) -> None:
    if not 1 <= schema <= SCHEMA:
        raise BadMessageError(
            f"schema {schema} is not known here (1 to {SCHEMA}): upgrade the readers before the writers"
        )

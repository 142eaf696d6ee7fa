"""Records that nobody of ours writes: what a stranger, a bug or a bad disk may put into our topics."""

from typing import Any

import msgspec

from app.domain.ids import order_id
from app.messages import Line, OrderPlaced, PlaceOrder, encode

DEEP = b"[" * 100_000


def command(table: str, /, **change: Any) -> bytes:
    """An order of a table that would be accepted, but for the change."""
    line = Line("m1", "Grilled Salmon", 1, 1899)
    order = PlaceOrder("r", "unix:nobody", table, 1, 0, "c1", order_id(table, 1, "c1"), "0" * 16, (line,), 1899, "EUR")
    return changed(encode(order), change)


def event(table: str, /, **change: Any) -> bytes:
    """The event of a table's first order, but for the change."""
    line = Line("m1", "Grilled Salmon", 1, 1899)
    order = OrderPlaced(order_id(table, 1, "c1"), "c1", table, 1, 1, (line,), 1899, "EUR", 1_790_000_000_000, 7)
    return changed(encode(order), change)


def changed(message: bytes, change: dict[str, Any]) -> bytes:
    """The message with other fields."""
    return msgspec.json.encode({**msgspec.json.decode(message), **change})


def neither() -> dict[str, bytes | None]:
    """Values that are neither command nor event, by what is wrong with them."""
    return {
        "null": None,
        "empty": b"",
        "no JSON": b"order: salmon",
        "cut JSON": b'{"type":"PlaceOrder","table":"T',
        "a list": b"[1,2]",
        "a number": b"7",
        "another shape": b'{"id":7,"schema":"x"}',
        "another type": b'{"type":"OrderReserved","schema":1}',
        "a schema of no release": b'{"type":"PlaceOrder","schema":' + b"9" * 30 + b"}",
        "a newer schema without a type": b'{"schema":2}',
        "a type that is none": b'{"schema":2,"type":7}',
        "no UTF-8": b'{"type":"\xff\xfe"}',
        "half a surrogate": b'{"type":"PlaceOrder","table":"\\ud800"}',
        "a surrogate in bytes": b'{"type":"PlaceOrder","table":"\xed\xa0\x80"}',
        "nested deeply": DEEP,
        "nested deeply within": b'{"x":' + DEEP,
        "nested deeply before the type": b'{"x":' + DEEP + b"]" * len(DEEP) + b',"type":"Nothing","schema":1}',
        "a number of 5,000 digits": b'{"type":"PlaceOrder","session":' + b"9" * 5000 + b"}",
    }


def bad_commands(table: str) -> dict[str, bytes | None]:
    """Values that are no command of the table, though most look like one."""
    line = {"menu_item_id": "m1", "name": "Grilled Salmon", "quantity": 1, "price": 1899}
    return {
        **neither(),
        "an event": event(table),
        "a fingerprint that is no hex": command(table, fingerprint="z" * 16),
        "a fingerprint too short": command(table, fingerprint="00"),
        "a fingerprint with blanks": command(table, fingerprint="00 00 00 00 00 0"),
        "an order id that is no hex": command(table, order_id="o" + "g" * 32),
        "an order id too short": command(table, order_id="o12"),
        "an order id and a blank": command(table, order_id="o" + "0" * 32 + " "),
        "an empty order id": command(table, order_id=""),
        "a client id that no event may hold": command(table, client_order_id=""),
        "a currency that no event may hold": command(table, currency="E" * 65),
        "a negative version": command(table, version=-1),
        "a session of a text": command(table, session="1"),
        "a version above all": command(table, version=2**63 - 1),
        "a huge total": command(table, total=2**63 - 1),
        "a negative total": command(table, total=-1),
        "a huge price": command(table, lines=[{**line, "price": 2**63 - 1}]),
        "a huge quantity": command(table, lines=[{**line, "quantity": 2**63 - 1}]),
        "a price of 40 digits": command(table).replace(b'"price":1899', b'"price":' + b"9" * 40),
        "a session of 40 digits": command(table).replace(b'"session":1', b'"session":' + b"9" * 40),
        "an address without end": command(table, reply_to="tcp:" + "x" * 300),
        "schema 0": command(table, schema=0),
        "too large to be told": command(table, note="n" * 950_000),
    }


def bad_events(table: str) -> dict[str, bytes | None]:
    """Values that are no event of the table, though most look like one."""
    return {
        **neither(),
        "a command": command(table),
        "an order id that is no hex": event(table, order_id="o" + "g" * 32),
        "version 0": event(table, version=0),
        "session 0": event(table, session=0),
        "a huge version": event(table, version=2**31),
        "a time after 2100": event(table, placed_at=10**16),
        "a price of 40 digits": event(table).replace(b'"price":1899', b'"price":' + b"9" * 40),
        "schema 0": event(table, schema=0),
    }

"""What travels in the topics, and what a reader makes of what it does not know."""

import gc
import json
from typing import Any

import pytest

from app.messages import (
    SCHEMA,
    BadMessageError,
    Line,
    NewerSchemaError,
    NoteCancelled,
    OpenSession,
    OrderCancelled,
    OrderPlaced,
    SessionOpened,
    decode_command,
    decode_event,
    encode,
)

ORDER = OrderPlaced(
    "o" + "1" * 32, "id-1", "T1", 1, 1, (Line("m1", "Grilled Salmon", 2, 1899, "no salt", ("x",)),), 3798, "EUR", 5, 7
)


CANCELLED = OrderCancelled("T1", 1, ORDER.order_id, 1, 3798, 5, 9)


@pytest.mark.parametrize("event", [ORDER, CANCELLED, SessionOpened("T1", 1, 5)])
def test_an_event_comes_back_and_always_tells_its_schema(event: Any) -> None:
    data = encode(event)
    assert decode_event(data) == event
    assert json.loads(data)["schema"] == SCHEMA


@pytest.mark.parametrize("event", [ORDER, ORDER.lines[0], CANCELLED, SessionOpened("T1", 1, 5)])
def test_the_collector_does_not_walk_the_events_that_wait_to_be_written(event: Any) -> None:
    assert not gc.is_tracked(event)


def test_a_command_comes_back_and_always_tells_its_schema() -> None:
    data = encode(OpenSession("r", "unix:x", "T1", 1))
    assert decode_command(data) == OpenSession("r", "unix:x", "T1", 1)
    assert json.loads(data)["schema"] == SCHEMA


@pytest.mark.parametrize(
    "change",
    [
        {"schema": SCHEMA + 1},
        {"schema": SCHEMA + 1, "type": "OrderReserved"},
        {"schema": SCHEMA + 1, "version": "seven"},
    ],
)
def test_an_event_of_a_newer_release_is_no_garbage_whatever_it_looks_like(change: dict[str, Any]) -> None:
    with pytest.raises(NewerSchemaError):
        decode_event(json.dumps({**json.loads(encode(ORDER)), **change}).encode())


@pytest.mark.parametrize("data", [None, b"", b"{", b"[1]", b"\xff\xfe", b'{"type":"OrderPlaced"}', b'{"schema":"x"}'])
def test_what_is_no_event_is_garbage(data: bytes | None) -> None:
    with pytest.raises(BadMessageError) as caught:
        decode_event(data)
    assert not isinstance(caught.value, NewerSchemaError)


@pytest.mark.parametrize(
    "change",
    [
        {"table": ""},
        {"table": "T" * 65},
        {"session": 2**31},
        {"version": -1},
        {"placed_at": 10**16},
        {"offset": 10**15},
    ],
)
def test_what_no_table_could_hold_is_no_event(change: dict[str, Any]) -> None:
    with pytest.raises(BadMessageError):
        decode_event(json.dumps({**json.loads(encode(ORDER)), **change}).encode())


def test_a_field_that_is_not_known_is_none_of_the_readers_business() -> None:
    assert decode_event(json.dumps({**json.loads(encode(ORDER)), "tip": 5}).encode()) == ORDER


def test_what_is_cancelled_has_a_servers_order_id() -> None:
    note = NoteCancelled("T1", 1, ORDER.order_id, 1, 3798, 5, 9)
    assert decode_command(encode(note)) == note
    for message, decode in ((note, decode_command), (CANCELLED, decode_event)):
        with pytest.raises(BadMessageError, match="no order id"):
            decode(encode(message).replace(b'"o1111', b'"x1111'))

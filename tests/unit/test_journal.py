"""The lines that tell of single orders: in the form of all others, and never torn by what somebody sent."""

import asyncio
from typing import Any

import msgspec
import pytest

from app.adapters.journal import LogJournal, quoted
from app.messages import OrderPlaced, PlaceOrder, decode_command, encode, order_placed
from app.trace.lines import parse
from tests.house import House, order, serving
from tests.property.restaurant import place

COMMAND = msgspec.structs.replace(place("a"), client_order_id="order-1", trace="pad-7:1")


class Written:
    """Takes what the journal writes."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, lines: bytes) -> None:
        self.text += lines.decode()


@pytest.fixture
def written() -> Written:
    return Written()


async def test_each_step_of_an_order_is_a_line_that_names_it(written: Written) -> None:
    journal = LogJournal(written)
    event = order_placed(COMMAND, 4, 17, 1_700_000_000_000)
    journal.answered(COMMAND, "accepted", 4, 0.0025)
    journal.decided(COMMAND, 2, 17, "accepted", 4)
    journal.written(event, 2, 11)
    journal.acknowledged(2, 9, 12)
    journal.flush()
    lines = [parse("orders-1", text) for text in written.text.splitlines()]
    assert [line and line.event for line in lines] == [
        "order answered",
        "order decided",
        "order written",
        "events acknowledged",
    ]
    named = {
        "order_id": COMMAND.order_id,
        "client_order_id": "order-1",
        "table": COMMAND.table,
        "session": str(COMMAND.session),
        "version": "4",
        "request_id": "pad-7:1",
    }
    answered, decided, stored, acknowledged = [dict(line.facts) for line in lines if line]
    assert answered == named | {"outcome": "accepted", "ms": "2.50"}
    assert decided == named | {"partition": "2", "offset": "17", "outcome": "accepted"}
    assert stored == named | {"partition": "2", "offset": "11"}
    assert acknowledged == {"partition": "2", "first": "9", "last": "12"}


async def test_lines_are_written_together_a_little_later(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.journal.FLUSH_SECONDS", 0.0)
    journal = LogJournal(written)
    for offset in range(3):
        journal.decided(COMMAND, 2, offset, "accepted", 1)
    assert written.text == ""
    async with asyncio.timeout(5):
        while not written.text:  # noqa: ASYNC110 - the loop's own timer
            await asyncio.sleep(0)
    assert written.text.count("\n") == 3


@pytest.mark.parametrize(
    "text", ["", "plain-1", 'a"b', "a b", "a=b", "a\nlevel=critical event=forged", "\\", "é", "\x1b[2J", "\ud800"]
)
async def test_whatever_an_id_holds_the_line_stays_one_and_tells_it(written: Written, text: str) -> None:
    journal = LogJournal(written)
    journal.decided(msgspec.structs.replace(COMMAND, client_order_id=text), 2, 17, "accepted", 4)
    journal.flush()
    assert written.text.count("\n") == 1
    line = parse("orders-1", written.text)
    assert line is not None
    assert (line.event, line.facts["partition"], line.facts["request_id"]) == ("order decided", "2", "pad-7:1")
    if text.isprintable():
        assert line.facts["client_order_id"] == text
    assert "\x1b" not in written.text
    assert quoted(quoted("plain")) == "plain"


async def test_a_view_carries_the_pads_request_id_into_the_log_of_commands() -> None:
    house = House()
    pad = await house.seat()
    noted: list[Any] = []
    journal: Any = type("Kept", (), {"answered": lambda _, *said: noted.append(said)})()
    object.__setattr__(house.services, "journal", journal)
    async with serving(house) as client:
        reply = await client.order(order(), pad, headers={"X-Request-Id": "pad-7:1"})
        unnamed = await client.order(order(1, "id-2"), pad)
        house.owner.away = True
        await client.order(order(2, "id-3"), pad, headers={"X-Request-Id": "pad-7:3"})
    assert (reply.status, reply.headers["X-Request-Id"]) == (201, "pad-7:1")
    commands = [command for command in house.owner.commands if isinstance(command, PlaceOrder)]
    assert [command.trace for command in commands] == ["pad-7:1", unnamed.headers["X-Request-Id"]]
    assert [(said[0].trace, said[1], said[2]) for said in noted] == [
        ("pad-7:1", "accepted", 1),
        (unnamed.headers["X-Request-Id"], "accepted", 2),
        ("pad-7:3", "no_answer", 0),
    ]


def test_commands_and_events_without_a_request_id_are_read_as_before() -> None:
    old = encode(msgspec.structs.replace(COMMAND, trace=""))
    assert b"trace" not in old
    assert decode_command(old) == msgspec.structs.replace(COMMAND, trace="")
    event: OrderPlaced = order_placed(COMMAND, 4, 17, 1_700_000_000_000)
    assert event.trace == "pad-7:1"

"""Orders read and answered by their bytes: the same as by aiohttp, and never out of turn."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.menu_edits import revised
from app.messages import Answer, Command
from app.ports import UnavailableError
from app.web.fast_orders import FastOrders
from app.web.limits import admit_order
from app.web.orders import Asked
from tests.house import DISHES, House, order, serving
from tests.wire import alike, exchange, read_on, run


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends half a request is hung up on soon."""
    monkeypatch.setattr("app.web.server.IDLE_SECONDS", 0.1)
    monkeypatch.setattr("app.web.bodies.BODY_SECONDS", 0.05)


PAD = "pad/T1/1"
MENU = b"GET /menu_items HTTP/1.1\r\nHost: bistro\r\n\r\n"
TABLE = b"GET /tables/T1 HTTP/1.1\r\nHost: bistro\r\nAuthorization: Bearer pad/T1/1\r\n\r\n"


def sent(body: Any, *more: str, token: str = PAD, line: str = "POST /orders HTTP/1.1") -> bytes:
    """An order on the wire, with these headers on top."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [line, "Host: bistro", f"Authorization: Bearer {token}", f"Content-Length: {len(content)}", *more]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


@contextlib.contextmanager
def reading(is_fast: bool = True) -> Any:
    """The bodies that were read by their bytes; none are where it is not `is_fast`."""
    read, taken = FastOrders.read, list[bytes]()

    def watched(self: FastOrders, chunk: bytes, is_gone: Callable[[], bool]) -> Asked | None:
        asked = read(self, chunk, is_gone) if is_fast else None
        if asked is not None:
            taken.append(asked.body)
        return asked

    FastOrders.read = watched  # type: ignore[method-assign]
    try:
        yield taken
    finally:
        FastOrders.read = read  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def open_house(house: House) -> AsyncIterator[int]:
    """Its port, with a party at T1 and at T2."""
    await house.seat("T1")
    await house.seat("T2")
    async with serving(house) as client:
        yield int(client.url.rpartition(":")[2])


async def same(chunks: Sequence[bytes], turns: int = 30, make: Callable[[], House] = House) -> tuple[bytes, int]:
    """What is answered, the same with the fast path and without; and how many orders were read by their bytes."""
    answers, outcomes = [], []
    for is_fast in (False, True):
        house = make()
        with reading(is_fast) as taken:
            async with open_house(house) as port:
                answers.append(await exchange(port, chunks, turns))
        outcomes.append(house.watch.outcomes)
    assert answers[0] == answers[1]
    assert outcomes[0] == outcomes[1]
    return answers[1], len(taken)


FIRST = sent(order())
FAST = [
    FIRST,
    sent(order(), "Content-Type: application/json"),
    sent(order(), "content-type:text/plain", "User-Agent: pad/1.0", "Accept: */*", "Connection: keep-alive"),
    sent(order(), "Origin: http://bistro:8090", "Sec-Fetch-Mode: cors", 'sec-ch-ua: "Chromium";v="130"'),
    sent(order(version=3)),
    sent(order(note="no salt, please: Ünïcode")),
    sent(order(items=[{"menu_item_id": "m3", "quantity": 1}])),
    sent(order(items=[{"menu_item_id": "m1", "quantity": 100}])),
    sent(order(menu_revision=0)),
    sent(order(table="T2")),
    sent(order(), token="kitchen//"),
    sent(order(), token="pad/T1/2"),
    sent(b"{"),
    sent(b"[]"),
    sent(b"\xff\xfe"),
    sent(order(surprise=1)),
    sent(b""),
]
SLOW = [
    sent(order(), token="forged"),
    sent(order(), "X-Request-Id: pad-7"),
    sent(order(), "X-Anything: at all"),
    sent(order(), "Connection: close"),
    sent(order(), "Authorization: Bearer pad/T2/1"),
    sent(order(), "Transfer-Encoding: chunked"),
    sent(order(), "Content-Encoding: gzip"),
    sent(order(), "Expect: 100-continue"),
    sent(order(), line="POST /orders HTTP/1.0"),
    sent(order(), line="POST /orders?a=b HTTP/1.1"),
    sent(order(), line="PUT /orders HTTP/1.1"),
    sent(order(note="x" * 66_000)),
    FIRST.replace(b"Host: bistro\r\n", b""),
    FIRST.replace(b"Bearer ", b"Basic "),
    FIRST.replace(b"Authorization", b"X-Else"),
    FIRST.replace(b"Content-Length: ", b"Content-Length: +"),
    FIRST.replace(b"Content-Length: ", b"Content-Length: 0000000"),
    FIRST.replace(b"\r\n", b"\n", 1),
]


@pytest.mark.parametrize("chunk", FAST, ids=range(len(FAST)))
async def test_a_plain_order_is_answered_by_its_bytes_as_aiohttp_would(chunk: bytes) -> None:
    _, taken = await same([chunk, chunk, FIRST])
    assert taken == 3


@pytest.mark.parametrize("chunk", SLOW, ids=range(len(SLOW)))
async def test_what_is_in_any_way_odd_is_left_to_aiohttp(chunk: bytes) -> None:
    _, taken = await same([chunk])
    assert taken == 0


async def test_an_order_is_placed_replayed_and_refused_by_its_version() -> None:
    answer, taken = await same([FIRST, FIRST, sent(order(order_id="id-2")), sent(order(1, "id-2"))])
    assert taken == 4
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) == [b"201", b"201", b"409", b"201", b"404"]
    assert answer.count(b"Idempotency-Replayed: true") == 1


def pads_elsewhere() -> House:
    return House(web={"cors_origins": ["https://pads.bistro"]})


async def test_what_a_page_of_another_origin_may_read_is_said_by_aiohttp() -> None:
    there, here = (sent(order(), f"Origin: {origin}") for origin in ("https://pads.bistro", "https://elsewhere"))
    answer, taken = await same([there, here], make=pads_elsewhere)
    assert (answer.count(b"Access-Control-Allow-Origin"), taken) == (1, 1)


def away() -> House:
    house = House()
    house.owner.ask = failing(UnavailableError("owner is away"), house.owner.ask)  # type: ignore[method-assign]
    return house


def broken() -> House:
    house = House()
    house.owner.ask = failing(ZeroDivisionError("a fault"), house.owner.ask)  # type: ignore[method-assign]
    return house


def failing(error: Exception, ask: Any) -> Any:
    async def fails(command: Command) -> Answer:
        if type(command).__name__ == "PlaceOrder":
            raise error
        return await ask(command)  # type: ignore[no-any-return]

    return fails


@pytest.mark.parametrize(("make", "status"), [(away, b"503 Service Unavailable"), (broken, b"500 Internal Server")])
async def test_what_fails_is_answered_as_the_contract_says(make: Callable[[], House], status: bytes) -> None:
    answer, taken = await same([FIRST, MENU], make=make)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert taken == 1


def not_ready() -> House:
    house = House()
    house.not_ready = "recovering"
    return house


async def test_nothing_is_taken_by_a_worker_that_is_not_ready() -> None:
    answer, taken = await same([FIRST], make=not_ready)
    assert (answer[:13], taken) == (b"HTTP/1.1 503 ", 0)


ORDERS = [sent(order(number, f"id-{number}")) for number in range(3)]


@pytest.mark.parametrize("turns", [0, 30])
async def test_what_comes_before_an_answer_waits_for_its_turn(turns: int) -> None:
    await same([ORDERS[0], MENU, ORDERS[1], TABLE, ORDERS[2], MENU + TABLE], turns)


@pytest.mark.parametrize("chunk", [ORDERS[0], ORDERS[0] + MENU, ORDERS[0] + ORDERS[1]])
def test_a_chunk_cut_anywhere_is_answered_as_the_whole(chunk: bytes) -> None:
    async def all_cuts() -> None:
        with reading() as taken:
            for cut in range(1, len(chunk), 13):
                async with open_house(House()) as port:
                    chunks = [chunk[:cut], chunk[cut:], MENU]
                    whole = await exchange(port, [chunk, MENU], 5)
                async with open_house(House()) as port:
                    assert await exchange(port, chunks, 5) == whole
        assert len(taken) < len(chunk)

    run(all_cuts())


# Whole requests: while one waits for its turn nothing is read, so that the kernel joins what comes; and of what is
# joined aiohttp answers nothing where a part of it is no HTTP.
PIECES = [*ORDERS, FAST[3], FAST[-1], SLOW[1], MENU, TABLE]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=7), st.sampled_from([0, 30]), st.booleans())
def test_whatever_is_sent_in_whatever_chunks_the_answers_are_the_same(
    pieces: list[bytes], turns: int, is_one: bool
) -> None:
    run(same([b"".join(pieces)] if is_one else pieces, turns))


class SlowOwner:
    """Answers once it may."""

    def __init__(self, house: House) -> None:
        self.may = asyncio.Event()
        self.asked = asyncio.Event()
        self._ask = house.owner.ask
        house.owner.ask = self.ask  # type: ignore[method-assign]

    async def ask(self, command: Command) -> Answer:
        if type(command).__name__ == "PlaceOrder":
            self.asked.set()
            await self.may.wait()
        return await self._ask(command)


async def test_a_worker_that_stops_answers_first_and_says_that_it_ends() -> None:
    house = House()
    owner = SlowOwner(house)
    with reading() as taken:
        async with open_house(house) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(MENU)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(FIRST)
            await owner.asked.wait()
            asyncio.get_running_loop().call_later(0.05, owner.may.set)
        answer = alike(await read_on(reader))
        writer.close()
    assert len(taken) == 1
    assert b"HTTP/1.1 201 Created\r\n" in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert len(house.owner.events) == 1


async def test_who_asks_nothing_for_long_is_hung_up_on_but_not_who_waits_for_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.web.server.IDLE_SECONDS", 0.05)
    house = House()
    owner = SlowOwner(house)
    async with open_house(house) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, chunk in enumerate(ORDERS[:2]):
            owner.may.clear()
            writer.write(chunk)
            await asyncio.sleep(0.2)
            owner.may.set()
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 201 "), number
            await reader.readuntil(b"}")
        assert await reader.read() == b""
        writer.close()


async def test_a_guest_who_has_gone_is_answered_nothing_and_the_order_stands() -> None:
    house = House()
    owner = SlowOwner(house)
    async with open_house(house) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(FIRST)
        await owner.asked.wait()
        writer.transport.abort()
        await asyncio.sleep(0.05)
        owner.may.set()
        await asyncio.sleep(0.05)
    assert len(house.owner.events) == 1
    assert house.watch.outcomes == ["accepted"]


async def test_nothing_is_sent_to_the_owner_for_a_guest_who_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    house, is_asked, may = House(), asyncio.Event(), asyncio.Event()

    async def admit_later(*asked: Any) -> Any:
        is_asked.set()
        await may.wait()
        return await admit_order(*asked)

    monkeypatch.setattr("app.web.orders.admit_order", admit_later)
    async with open_house(house) as port:
        commands = len(house.owner.commands)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(FIRST)
        await is_asked.wait()
        writer.transport.abort()
        await asyncio.sleep(0.05)
        may.set()
        await asyncio.sleep(0.05)
        assert len(house.owner.commands) == commands
        assert house.watch.outcomes == []


async def test_heads_in_new_words_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.fast_orders._MAX_HEADS", 2)
    chunks = [sent(order(number, f"id-{number}"), f"User-Agent: {number}") for number in range(5)]
    answer, taken = await same(chunks)
    assert (answer.count(b"HTTP/1.1 201 "), taken) == (5, 5)


async def test_prices_are_those_of_the_menu_at_that_moment() -> None:
    house = House()
    async with open_house(house) as port:
        await exchange(port, [ORDERS[0]], 30)
        house.menu.take(revised(house.menu.current(), [DISHES[1]]).menu)
        assert (await exchange(port, [ORDERS[1]], 30)).startswith(b"HTTP/1.1 400 ")

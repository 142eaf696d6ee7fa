"""More connections and reads than a worker takes: those who ask for something are served."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from app.messages import OrderPlaced, TableState
from app.web.crowd import CROWD, RESERVED, Crowd
from app.web.routes import add_routes
from app.web.server import ContractRunner
from tests.house import House, order, serving

ASK = b"GET /health/live HTTP/1.1\r\nHost: bistro\r\n\r\n"
SLOW = b"POST /orders HTTP/1.1\r\nHost: bistro\r\nContent-Length: 1000\r\n\r\n"  # and its body does not come


class Stranger:
    """A connection by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, what: bytes = ASK) -> bytes:
        """The first line of the answer; empty where the connection was closed."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(what)
            head = await self.reader.readuntil(b"\r\n\r\n")
            await self.reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            return head.partition(b"\r\n")[0]
        return b""

    async def is_closed(self) -> bool:
        try:
            async with asyncio.timeout(0.05):
                return not await self.reader.read(1)
        except TimeoutError:
            return False
        except ConnectionError:
            return True


class Door:
    """A worker's port, and all who came to it."""

    def __init__(self, crowd: Crowd, port: int) -> None:
        self.crowd, self.port = crowd, port
        self.came: list[Stranger] = []

    async def enter(self) -> Stranger:
        stranger = Stranger(*await asyncio.open_connection("127.0.0.1", self.port))
        self.came.append(stranger)
        await asyncio.sleep(0.01)
        return stranger


@contextlib.asynccontextmanager
async def door(most: int, *, is_reserved: bool = False) -> AsyncIterator[Door]:
    application = web.Application()
    add_routes(application, House(orders={"max_connections": most}).services)
    runner = ContractRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found = Door(application[CROWD], runner.addresses[0][1])
        found.crowd.reserved_port = found.port if is_reserved else 0
        yield found
    finally:
        for stranger in found.came:
            stranger.writer.close()
        await runner.cleanup()


async def test_who_asks_nothing_makes_room_for_a_newcomer_before_any_pad_does() -> None:
    async with door(4) as here:
        pad = await here.enter()
        assert await pad.ask() == b"HTTP/1.1 200 OK"
        strangers = [await here.enter() for _ in range(3)]
        another = await here.enter()
        assert await another.ask() == b"HTTP/1.1 200 OK"
        assert await pad.ask() == b"HTTP/1.1 200 OK"
        assert [await stranger.is_closed() for stranger in strangers] == [True, False, False]
        assert (len(here.crowd), here.crowd.hung_up, here.crowd.sent_away) == (4, 1, 0)


async def test_of_pads_the_one_that_was_silent_longest_makes_room() -> None:
    async with door(3) as here:
        pads = [await here.enter() for _ in range(3)]
        for pad in (*pads, *pads, pads[0]):
            await pad.ask()
        assert await (await here.enter()).ask() == b"HTTP/1.1 200 OK"
        assert [await pad.is_closed() for pad in pads] == [False, True, False]


async def test_hundreds_of_strangers_do_not_keep_a_guest_out() -> None:
    async with door(20) as here:
        pad = await here.enter()
        for number in range(300):
            await here.enter()
            if number % 10 == 0:
                assert await pad.ask() == b"HTTP/1.1 200 OK"
        assert await (await here.enter()).ask() == b"HTTP/1.1 200 OK"
        assert len(here.crowd) == 20
        for stranger in here.came:
            stranger.writer.close()
        while len(here.crowd):  # noqa: ASYNC110 - the server's loop is this one
            await asyncio.sleep(0.01)


async def test_while_all_are_at_work_a_newcomer_is_told_so_at_once() -> None:
    async with door(2) as here:
        for _ in range(2):
            (await here.enter()).writer.write(SLOW)
        await asyncio.sleep(0.02)
        newcomer = await here.enter()
        answer = await newcomer.reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b'\r\n\r\n{"error":"Service unavailable"}')
        assert b"\r\nRetry-After: 1\r\n" in answer
        assert (len(here.crowd), here.crowd.sent_away) == (2, 1)


async def test_the_supervisor_gets_through_while_all_are_at_work() -> None:
    async with door(2, is_reserved=True) as here:
        for _ in range(2):
            (await here.enter()).writer.write(SLOW)
        await asyncio.sleep(0.02)
        assert await (await here.enter()).ask() == b"HTTP/1.1 200 OK"


class Line:
    """A connection that nobody reads from."""

    def __init__(self, *, is_silent: bool = True, has_asked: bool = False) -> None:
        self.is_silent, self.has_asked, self.is_up = is_silent, has_asked, True

    def hang_up(self) -> None:
        self.is_up = False


def test_also_those_of_the_supervisor_are_bounded() -> None:
    crowd = Crowd(10)
    crowd.reserved_port = 8092
    came = [crowd.come(Line(is_silent=False), 8092) for _ in range(10 + 2 * RESERVED)]
    assert came.count(True) == 10 + RESERVED
    assert not crowd.come(Line(), 8090)


def test_a_request_that_comes_byte_by_byte_makes_nobody_known() -> None:
    crowd = Crowd(2)
    slow, pad = Line(), Line(has_asked=True)
    for line in (slow, pad):
        crowd.come(line, 0)
    for _ in range(100):
        crowd.heard(slow)
    crowd.heard(pad)
    crowd.come(Line(), 0)
    assert (slow.is_up, pad.is_up) == (False, True)


def test_a_worker_holds_no_more_connections_than_it_may_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert Crowd(4000).most == 768
    assert Crowd(100).most == 100
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert Crowd(4000).most == 4000


async def test_past_the_bound_a_read_is_refused_at_once_and_orders_go_on() -> None:
    house = House(orders={"max_reads": 2})
    pad = await house.seat()
    wait = asyncio.Event()
    tables = house.owner.table

    async def table(name: str) -> TableState:
        await wait.wait()
        return await tables(name)

    house.owner.table = table  # type: ignore[method-assign]
    async with serving(house) as client:
        reads = [asyncio.create_task(client.get("/tables/T1", pad)) for _ in range(2)]
        await asyncio.sleep(0.05)
        reply = await client.get("/tables/T1/orders", pad)
        assert (reply.status, reply.body, reply.headers["Retry-After"]) == (503, {"error": "Service unavailable"}, "1")
        assert (await client.order(order(), pad)).status == 201
        wait.set()
        assert [reply.status for reply in await asyncio.gather(*reads)] == [200, 200]
        assert (await client.get("/tables/T1", pad)).status == 200


async def test_nothing_is_read_for_a_guest_who_has_gone() -> None:
    house = House(orders={"max_reads": 2})
    pad = await house.seat()
    reads = list[str]()

    async def find(order_id: str) -> OrderPlaced | None:
        reads.append(order_id)
        return None

    house.store.order = find  # type: ignore[method-assign]
    gone = f"GET /orders/o{0:032x} HTTP/1.1\r\nHost: bistro\r\nAuthorization: Bearer {pad}\r\n\r\n".encode()
    async with serving(house) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
        writer.write(gone * 3)  # one after the other; before it has the first answer it hangs up
        await asyncio.sleep(0)
        writer.transport.abort()
        await asyncio.sleep(0.1)
        assert len(reads) <= 1

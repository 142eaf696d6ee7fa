"""The reader of one thing over and over: what it compares and does not parse, it must not take for something else."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.bench.http import Response
from app.bench.repeat import Repeats

REQUEST = b"GET /menu_items HTTP/1.1\r\nHost: bench\r\n\r\n"
SOUP = b'[{"id":"m2","name":"Soup"}]'
STEW = b'[{"id":"m3","name":"Stew"}]'


def ok(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"


async def heard(answers: Sequence[Sequence[bytes]], timeout: float = 5.0) -> list[tuple[int, bytes] | None]:
    """What is heard of a server that gives these answers in turn, piece by piece; an empty piece: it hangs up."""
    found: list[tuple[int, bytes] | None] = []
    left, script = len(answers), iter(answers)
    over = asyncio.Event()

    def due() -> float | None:
        nonlocal left
        left -= 1
        return 1.0 if left >= 0 else None

    def hear(response: Response | None, since: float) -> None:
        assert since == 1.0
        found.append(None if response is None else (response.status, response.body))
        if len(found) == len(answers):
            over.set()

    async with serving(script) as port:
        repeats = Repeats(("127.0.0.1", port), REQUEST, timeout=timeout, due=due, heard=hear)
        await repeats.open(1)
        repeats.wake()
        async with asyncio.timeout(10):
            await over.wait()
        assert repeats.under_way == 0
        repeats.close()
        await asyncio.sleep(0)
    return found


@asynccontextmanager
async def serving(script: Iterator[Sequence[bytes]]) -> Any:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for piece in next(script):
                    if not piece:
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.002)  # pieces must not meet on the way
        except (asyncio.IncompleteReadError, ConnectionError, StopIteration, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("form", [ok, chunked], ids=["with a length", "in chunks"])
async def test_every_answer_is_heard_with_its_body(form: Callable[[bytes], bytes]) -> None:
    script = [[form(body)] for body in (SOUP, SOUP, STEW, STEW, SOUP + b" ", b"", SOUP)]
    assert await heard(script) == [(200, body) for body in (SOUP, SOUP, STEW, STEW, SOUP + b" ", b"", SOUP)]


@pytest.mark.parametrize("form", [ok, chunked], ids=["with a length", "in chunks"])
async def test_an_answer_may_come_in_pieces(form: Callable[[bytes], bytes]) -> None:
    whole = form(SOUP)
    script = [[whole], *[[whole[:cut], whole[cut:]] for cut in range(1, len(whole))]]
    assert await heard(script) == [(200, SOUP)] * len(script)


async def test_heads_may_differ_where_bodies_do_not() -> None:
    script = [[ok(SOUP, b"X-Request-Id: %d\r\n" % number)] for number in (1, 99, 100)]
    assert await heard(script) == [(200, SOUP)] * 3


async def test_another_status_is_heard_though_the_body_is_the_same() -> None:
    failed = ok(SOUP).replace(b"200 OK", b"500 Internal Server Error")
    assert await heard([[ok(SOUP)], [failed], [ok(SOUP)]]) == [(200, SOUP), (500, SOUP), (200, SOUP)]


async def test_an_answer_that_is_cut_off_is_lost_and_the_next_one_comes_on_another_connection() -> None:
    assert await heard([[ok(SOUP)], [ok(SOUP)[:-3], b""], [ok(SOUP)]]) == [(200, SOUP), None, (200, SOUP)]


async def test_what_is_no_answer_is_lost() -> None:
    assert await heard([[ok(SOUP)], [b"soup\r\n\r\n"], [ok(SOUP)]]) == [(200, SOUP), None, (200, SOUP)]


async def test_a_server_that_ends_the_connection_with_its_answer_loses_nothing() -> None:
    closing = ok(SOUP, b"Connection: close\r\n")
    assert await heard([[ok(SOUP)], [closing, b""], [closing, b""], [ok(SOUP)]]) == [(200, SOUP)] * 4


async def test_an_answer_that_does_not_come_in_time_is_lost() -> None:
    assert await heard([[ok(SOUP)], [], [ok(SOUP)]], timeout=0.3) == [(200, SOUP), None, (200, SOUP)]

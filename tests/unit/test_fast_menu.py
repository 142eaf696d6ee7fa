"""The menu answered before the parser: the same bytes as after it, and never out of turn."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.web.fast_menu import is_whole
from tests.board import MENU, Counter
from tests.wire import exchange, run

LINE = b"GET /menu_items HTTP/1.1\r\n"
PLAIN = LINE + b"Host: bistro\r\n\r\n"
ECHO = b"POST /echo HTTP/1.1\r\nHost: bistro\r\nContent-Length: "
POST = ECHO + b"5\r\n\r\nhello"
# A body that would pass for the menu's request if anybody lost count.
CUCKOO = ECHO + str(len(PLAIN)).encode() + b"\r\n\r\n" + PLAIN
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: bistro\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends half a request is hung up on soon."""
    monkeypatch.setattr("app.web.server.IDLE_SECONDS", 0.1)
    monkeypatch.setattr("app.web.bodies.BODY_SECONDS", 0.05)


def with_header(*lines: bytes) -> bytes:
    return LINE + b"Host: bistro\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


async def same(chunks: Sequence[bytes], turns: int = 20, counter: Counter | None = None) -> Counter:
    """The answers are the same with and without the fast path; how its reads ended."""
    counter = counter or Counter()
    async with counter.serving(is_fast=False) as port:
        without = await exchange(port, chunks, turns)
    counter.slow.clear()
    async with counter.serving() as port:
        assert await exchange(port, chunks, turns) == without
    return counter


FAST = [
    PLAIN,
    LINE + b"host:bistro:8090\r\n\r\n",
    LINE + b"Host: [::1]:8090\r\n\r\n",
    with_header(b"Connection: Keep-Alive"),
    with_header(b"Accept-Encoding: gzip, deflate, br"),
    with_header(b"Accept-Encoding: gzip;q=0"),
    with_header(b"accept-encoding:*"),
    with_header(b"If-None-Match: *"),
    with_header(b'If-None-Match: "7.0"', b"Accept-Encoding: gzip"),
    with_header(b"If-None-Match: *", b"Accept-Encoding: gzip"),
    with_header(b"User-Agent: pad/1.0 (Linux; K)  ", b"Accept: */*", b"Authorization: Bearer a.b.c", b"Cookie: a=b"),
    with_header(b"Accept:  "),
    with_header(b"X-Forwarded-For: 10.0.0.7", b"Cache-Control: no-cache", b"Sec-Fetch-Mode: cors"),
    with_header(b"Accept: " + b"a" * 1500),
]
SLOW = [
    b"GET /menu_items HTTP/1.0\r\nHost: bistro\r\nConnection: keep-alive\r\n\r\n",
    b"GET /menu_items?category=Mains HTTP/1.1\r\nHost: bistro\r\n\r\n",
    b"GET /menu_items/ HTTP/1.1\r\nHost: bistro\r\n\r\n",
    b"GET  /menu_items HTTP/1.1\r\nHost: bistro\r\n\r\n",
    b"get /menu_items HTTP/1.1\r\nHost: bistro\r\n\r\n",
    b"HEAD /menu_items HTTP/1.1\r\nHost: bistro\r\n\r\n",
    b"GET http://bistro/menu_items HTTP/1.1\r\nHost: bistro\r\n\r\n",
    b"\r\n" + PLAIN,
    LINE + b"\r\n",
    LINE + b"Host:\r\n\r\n",
    LINE + b"Host: a b\r\n\r\n",
    LINE + b"Host: one\r\nHost: two\r\n\r\n",
    LINE + b"Host: bistro\n\r\n",
    LINE.replace(b"\r", b"") + b"Host: bistro\n\n",
    LINE + b"Host: bistro\r\nAccept: a\r\n b\r\n\r\n",
    LINE + b"Host : bistro\r\n\r\n",
    LINE + b" Host: bistro\r\n\r\n",
    with_header(b"Connection: close"),
    with_header(b"Connection: keep-alive, close"),
    with_header(b"Connection: Upgrade", b"Upgrade: websocket"),
    with_header(b"Upgrade: h2c"),
    with_header(b"Expect: 100-continue"),
    with_header(b"Content-Length: 0"),
    with_header(b"Content-Length: 5") + b"hello",
    with_header(b"Content-Length: 5", b"Content-Length: 5") + b"hello",
    with_header(b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    with_header(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n",
    with_header(b"Transfer-Encoding : chunked") + b"0\r\n\r\n",
    with_header(b"X-Request-Id: mine"),
    with_header(b"Origin: https://pads.bistro"),
    with_header(b"Range: bytes=0-5"),
    with_header(b"If-None-Match: *", b'If-None-Match: "a"'),
    with_header(b"Accept: a\0b"),
    with_header(b"Accept: a\rb"),
    with_header(b"Accept: \xff"),
    with_header(b"Acc\xe9pt: a"),
    with_header(b"Accept"),
    with_header(b": a"),
    with_header(b"Sec-WebSocket-Key1: a"),
    with_header(b"Accept: " + b"a" * 3000),
    with_header(b"Accept: " + b"a" * 9000),
    PLAIN[:-1] + b"x",
    PLAIN[:-2] + b"\n",
]
# What leaves the parser somewhere else than between two requests; what follows would be taken for one.
UNCLEAR = [
    ECHO + b"100\r\n\r\nhello",
    ECHO + str(5 + len(PLAIN)).encode() + b"\r\n\r\nhello",
    ECHO + b"5\r\n\r\nhello" + POST,
    POST + POST[:-3],
    POST + b"\r\n",
    POST[:-5],
    PLAIN + PLAIN,
    PLAIN + PLAIN[:30],
    PLAIN[:30],
    CHUNKED,
    CHUNKED[:-5],
    CHUNKED + PLAIN,
    ECHO + b"5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
    ECHO + b"5\r\nContent-Length: 6\r\n\r\nhello",
    ECHO + b"+5\r\n\r\nhello",
    ECHO + b"5, 5\r\n\r\nhello",
    ECHO + b"5\r\nContent-Encoding: gzip\r\n\r\nhello",
    ECHO + b"5\nX: a\r\n\r\nhello",
    POST.replace(b"bistro\r\n", b"bistro\nX: a\r\n"),
    b"POST /echo HTTP/1.1\r\nHost: bistro\r\nContent-Length:\r\n 5\r\n\r\nhello",
    b"POST /echo HTTP/1.1\r\nHost: bistro\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"CONNECT bistro:80 HTTP/1.1\r\nHost: bistro\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00",
    b"\r\n",
    b"\0",
]


@pytest.mark.parametrize("chunk", FAST, ids=lambda chunk: chunk[26:70].decode())
async def test_a_plain_read_is_answered_at_once_with_the_same_bytes(chunk: bytes) -> None:
    counter = await same([chunk, chunk, PLAIN, chunk])
    assert (len(counter.fast), counter.slow) == (4, [])


@pytest.mark.parametrize("chunk", SLOW, ids=lambda chunk: chunk[:70].decode("latin-1"))
async def test_what_is_in_any_way_odd_is_left_to_the_parser(chunk: bytes) -> None:
    assert (await same([chunk])).fast == []


@pytest.mark.parametrize("chunk", UNCLEAR, ids=lambda chunk: chunk[:70].decode("latin-1"))
@pytest.mark.parametrize("turns", [0, 20])
async def test_after_what_may_not_be_whole_nothing_is_answered_at_once(chunk: bytes, turns: int) -> None:
    assert not is_whole(chunk)
    counter = await same([chunk, PLAIN, CUCKOO, PLAIN], turns)
    assert counter.fast == []


@pytest.mark.parametrize("whole", [POST, CUCKOO, SLOW[1], ECHO + b"0\r\n\r\n", SLOW[5]], ids=lambda chunk: chunk[:40])
async def test_after_a_whole_request_the_menu_is_answered_at_once_again(whole: bytes) -> None:
    assert is_whole(whole)
    counter = await same([PLAIN, whole, PLAIN, whole, PLAIN])
    assert len(counter.fast) == 3


@pytest.mark.parametrize("chunk", [POST, CUCKOO], ids=["order", "cuckoo"])
async def test_answers_stay_in_turn_while_another_request_is_under_way(chunk: bytes) -> None:
    await same([chunk, PLAIN, chunk, PLAIN, PLAIN], turns=0)


@pytest.mark.parametrize(
    "chunk",
    [PLAIN, with_header(b"Accept-Encoding: gzip"), POST, CUCKOO, POST + PLAIN, PLAIN + PLAIN, CHUNKED],
    ids=["plain", "gzip", "order", "cuckoo", "order and menu", "twice", "chunked"],
)
def test_a_chunk_cut_anywhere_is_answered_as_the_whole(chunk: bytes) -> None:
    async def all_cuts() -> None:
        with_it, without = Counter(), Counter()
        async with with_it.serving() as fast, without.serving(is_fast=False) as slow:
            for cut in range(1, len(chunk)):
                chunks = [chunk[:cut], chunk[cut:], PLAIN]
                assert await exchange(fast, chunks, 5) == await exchange(slow, chunks, 5)

    run(all_cuts())


PIECES = [PLAIN, FAST[4], POST, CUCKOO, CHUNKED, SLOW[1], b"\r\n", b"0", PLAIN[:-2], ECHO, b"5\r\n\r\n", b"hello"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=8),
    st.lists(st.floats(0, 1), max_size=4),
    st.sampled_from([0, 20]),
)
def test_whatever_is_sent_in_whatever_chunks_the_answers_are_the_same(
    pieces: list[bytes], cuts: list[float], turns: int
) -> None:
    stream = b"".join(pieces)
    # Where pieces meet, and anywhere else.
    places = {sum(map(len, pieces[:number])) for number in range(1, len(pieces))} | {
        int(cut * len(stream)) for cut in cuts
    }
    ends = [0, *sorted(places - {0, len(stream)}), len(stream)]
    chunks = [stream[start:end] for start, end in itertools.pairwise(ends)]
    run(same(chunks, turns))


async def test_a_new_menu_is_answered_at_once_too() -> None:
    counter = Counter()
    async with counter.serving() as port:
        first = await exchange(port, [PLAIN], 20)
        counter.board.menu = replace(MENU, revision=8)
        second = await exchange(port, [PLAIN], 20)
    assert (b"Menu-Revision: 7" in first, b"Menu-Revision: 8" in second, len(counter.fast)) == (True, True, 2)


async def test_a_menu_in_doubt_or_missing_is_left_to_the_view() -> None:
    counter = Counter()
    counter.board.stale_since = 1.0
    assert (await same([PLAIN], counter=counter)).fast == []
    assert counter.slow == ["stale"]
    counter.board.stale_since, counter.board.menu = None, None
    assert (await same([PLAIN], counter=counter)).fast == []
    assert counter.slow == ["failed"]


async def test_each_read_is_counted_by_how_it_ended() -> None:
    counter = await same([PLAIN, with_header(b"If-None-Match: *"), b"GET /menu_items?x HTTP/1.1\r\nHost: a\r\n\r\n"])
    assert (counter.fast, counter.slow) == (["fresh", "not_modified"], ["fresh"])


async def test_requests_in_new_words_do_not_fill_the_memory() -> None:
    counter = Counter()
    async with counter.serving() as port:
        chunks = [with_header(b"Cookie: %d" % number) for number in range(600)]
        answer = await exchange(port, chunks, 0)
    assert answer.count(b"HTTP/1.1 200 OK") == 600
    assert len(counter.fast) == 600


async def test_a_connection_that_reads_the_menu_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter()
    async with counter.serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() - began < 0.35:
            writer.write(PLAIN)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
            await asyncio.sleep(0.01)
        assert await reader.read() == b"", "it ends once it is"
        writer.close()


async def test_who_does_not_read_is_not_sent_more_and_more() -> None:
    counter = Counter()
    counter.board.menu = replace(MENU, items=tuple(replace(MENU.items[0], id=f"m{n}") for n in range(2000)))
    async with counter.serving() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        for _ in range(60):
            writer.write(PLAIN)
            await asyncio.sleep(0.001)
        # aiohttp waits with the next until this one is taken: what the kernel and one or two answers hold.
        assert len(counter.fast) + len(counter.slow) < 40
        writer.close()

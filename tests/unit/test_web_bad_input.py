"""Bad input: each gets its answer with what is wrong, nothing is placed, and the next order goes through."""

import asyncio
import contextlib
import gzip
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.settings import Orders
from app.web.shapes import MAX_DETAIL, describe, order_request
from tests.bad_input import WRONG, Wrong
from tests.house import DISHES, Client, House, order, serving


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
async def test_a_wrong_order_is_refused_and_the_next_one_goes_through(wrong: Wrong) -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        reply = await client.order(wrong.body(order()), pad)
        assert (reply.status, reply.body["error"]) == (wrong.status, wrong.error)
        if wrong.status == 400:
            assert wrong.detail in reply.body["detail"]
            assert 0 < len(reply.body["detail"]) <= MAX_DETAIL
        assert house.owner.events == []
        assert (await client.order(order(), pad)).status == 201


async def test_items_refused_are_all_that_the_log_ever_sees_of_a_wrong_order() -> None:
    house = House()
    pad = await house.seat()
    before = len(house.owner.commands)
    async with serving(house) as client:
        for wrong in WRONG:
            await client.order(wrong.body(order()), pad)
    travelled = house.owner.commands[before:]
    assert len(travelled) == sum(wrong.error == "Invalid item" for wrong in WRONG)
    assert all(command.refusal and not command.lines for command in travelled)


async def pieces(size: int, piece: int = 10_000) -> AsyncIterator[bytes]:
    for _ in range(0, size, piece):
        yield b" " * piece


async def test_a_body_without_a_length_is_cut_off_at_the_limit() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        reply = await client.order(pieces(2**21), pad)
        assert (reply.status, reply.body) == (413, {"error": "Payload too large"})
        reply = await client.order(pieces(60_000), pad)
        assert reply.status == 400


async def test_a_compressed_body_counts_by_what_it_holds() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        small = gzip.compress(json.dumps(order()).encode())
        bomb = gzip.compress(b" " * 2**24)
        assert len(bomb) < 64 * 1024
        assert (await client.order(bomb, pad, headers={"Content-Encoding": "gzip"})).status == 413
        assert (await client.order(b"no gzip", pad, headers={"Content-Encoding": "gzip"})).status == 400
        assert (await client.order(small, pad, headers={"Content-Encoding": "gzip"})).status == 201


async def test_the_limit_itself_is_allowed() -> None:
    house = House()
    pad = await house.seat()
    limit = house.settings.orders.body_limit
    body = json.dumps(order()).encode()
    async with serving(house) as client:
        assert (await client.order(body.ljust(limit + 1), pad)).status == 413
        assert (await client.order(body.ljust(limit), pad)).status == 201


async def exchange(client: Client, sent: bytes) -> bytes:
    """Send bytes as they are; all that comes back until the server closes or has answered once."""
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            return head + await reader.readexactly(length)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_too_large_a_body_is_refused_before_it_is_sent() -> None:
    house = House()
    async with serving(house) as client:
        head = b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n"
        assert (await exchange(client, head + b"\r\n")).startswith(b"HTTP/1.1 413 ")
        answer = await exchange(client, head + b"Expect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b'{"error":"Payload too large"}')


async def test_what_is_no_http_is_answered_in_json_too() -> None:
    house = House()
    async with serving(house) as client:
        for sent in (
            b"hello there\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: minus one\r\n\r\n",
            b"GET /menu_items HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100_000 + b"\r\n\r\n",
        ):
            head, _, body = (await exchange(client, sent)).partition(b"\r\n\r\n")
            assert head.split()[1] == b"400"
            assert json.loads(body)["error"] == "Invalid request"
        assert (await client.get("/menu_items")).status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /menu_items?" + b"q" * 9000 + b" HTTP/1.1\r\nHost: x\r\n",
        b"GET /menu_items HTTP/1.1\r\nHost: x\r\nCookie: " + b"c" * 9000 + b"\r\n",
        b"GET /menu_items HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(200)),
        b"GET /menu_items HTTP/1.1\r\nHost: x\r\n" + b"X" * 9000 + b": y\r\n",
        b"GET /menu_items HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    ],
    ids=["a long line", "a long header", "many headers", "a long name", "two lengths", "two framings"],
)
async def test_a_head_beyond_its_limits_is_an_invalid_request(head: bytes) -> None:
    async with serving(House()) as client:
        said, _, body = (await exchange(client, head + b"\r\n")).partition(b"\r\n\r\n")
        assert said.split()[1] == b"400"
        assert json.loads(body)["error"] == "Invalid request"
        assert (await client.get("/menu_items")).status == 200


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"items":[{"modifiers":['])
@pytest.mark.parametrize(("method", "path"), [("PUT", "m9"), ("PATCH", "m1"), ("POST", "m1/sold_out")])
async def test_a_dish_nested_deeply_is_an_invalid_request(method: str, path: str, opening: bytes) -> None:
    headers = {} if method == "PUT" else {"If-Match": "*"}
    body = opening * (60_000 // len(opening))
    async with serving(House()) as client:
        for sent in (body, body + b"1" + b"]" * 100):
            reply = await client.send(method, f"/menu_items/{path}", "manager", data=sent, headers=headers)
            assert (reply.status, reply.body["error"]) == (400, "Invalid request")


@pytest.mark.parametrize("path", ["/menu_items/m1", "/tables/T1/open", "/tables/T1/close", "/orders"])
async def test_a_body_that_comes_a_byte_at_a_time_is_not_waited_for(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.bodies.BODY_SECONDS", 0.1)
    method = "PUT" if path.startswith("/menu") else "POST"
    async with serving(House()) as client:
        host, port = client.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        async with asyncio.timeout(5):
            while not answer.done():
                with contextlib.suppress(ConnectionError):
                    writer.write(b" ")
                await asyncio.sleep(0.01)
        assert b" 400 " in answer.result()[:20]
        writer.close()


async def test_who_asks_and_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.server.IDLE_SECONDS", 0.05)
    house = House()
    house.menu.dishes = [replace(DISHES[0], id=f"m{number}", description="d" * 2000) for number in range(4000)]
    async with serving(house) as client:
        host, port = client.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as pad:
            pad.sendall(b"GET /menu_items?lang=en HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.5)
            received = await asyncio.to_thread(_all_of, pad)
        assert received < 8_000_000, "the menu's end was never sent"


def _all_of(pad: socket.socket) -> int:
    received = 0
    pad.settimeout(5)
    try:
        while piece := pad.recv(1_000_000):
            received += len(piece)
    except ConnectionResetError:
        pass
    return received


async def test_a_body_that_breaks_its_own_framing_is_an_invalid_request() -> None:
    house = House()
    pad = await house.seat()
    head = b"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + pad.encode()
    async with serving(house) as client:
        answer = await exchange(client, head + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert answer.split()[1] == b"400"
        assert (await client.order(order(), pad)).status == 201


async def test_a_body_that_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.bodies.BODY_SECONDS", 0.01)
    house = House()
    async with serving(house) as client:
        answer = await exchange(client, b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert answer.split()[1] == b"400"
    assert b"did not arrive" in answer


async def test_a_stop_does_not_wait_for_the_rest_of_a_body_that_was_refused() -> None:
    async with asyncio.timeout(5):  # aiohttp alone reads on for ten seconds
        async with serving(House()) as client:
            host, port = client.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n{")
            assert b" 413 " in await reader.readuntil(b"\r\n")
    writer.close()


@pytest.mark.parametrize(
    "sent", [b"", b"GET /menu_items HTTP/1.1\r\nHost: x\r\nA: "], ids=["nothing", "half a request"]
)
async def test_a_connection_without_a_whole_request_is_closed(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.server.IDLE_SECONDS", 0.01)
    async with serving(House()) as client:
        assert await everything(client, sent) == b""
        assert (await client.get("/menu_items")).status == 200


async def everything(client: Client, sent: bytes) -> bytes:
    """Send bytes as they are; all that comes back until the server ends the connection."""
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    received = b""
    writer.write(sent)
    async with asyncio.timeout(10):
        try:
            while piece := await reader.read(65536):
                received += piece
        except ConnectionResetError:
            pass
    writer.close()
    return received


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner), max_leaves=5
)


@given(st.sampled_from(["table_number", "items", "version", "order_id", "note", "menu_revision"]), JSON_VALUES)
def test_whatever_stands_in_a_field_is_taken_or_described(name: str, value: object) -> None:
    try:
        taken = order_request(Orders()).validate_json(json.dumps(order() | {name: value}).encode())
    except ValidationError as error:
        taken, description = {}, describe(error)
    if taken:
        assert taken[name] == value
    else:
        assert 0 < len(description) <= MAX_DETAIL


@given(st.binary(max_size=200))
def test_whatever_bytes_come_they_are_no_order_and_described(body: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        order_request(Orders()).validate_json(body)
    assert 0 < len(describe(caught.value)) <= MAX_DETAIL

"""A flood refused by its bytes: the same answer as by the view, to those only whom the view has refused."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from app.web.orders import Asked, PlacingOrders
from tests.house import House, order, serving


class Door:
    """Lets through while it is open; counts who asked."""

    def __init__(self) -> None:
        self.is_open = False
        self.asked: list[str] = []

    def wait_of(self, table: str) -> int:
        self.asked.append(table)
        return 0 if self.is_open else 3


class Pad:
    """One connection, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader, self._writer, self._token = reader, writer, token

    async def send(
        self, order_id: str = "id-1", *more: str, version: int = 0, token: str = "", body: str = ""
    ) -> bytes:
        """The answer to an order, with these headers on top."""
        content = body or json.dumps(order(version, order_id))
        lines = [
            "POST /orders HTTP/1.1",
            "Host: bistro",
            f"Authorization: Bearer {token or self._token}",
            f"Content-Length: {len(content)}",
            *more,
        ]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n" + content).encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        return head + await self._reader.readexactly(int(length[1]))


@contextlib.asynccontextmanager
async def flooding(house: House) -> AsyncIterator[Pad]:
    token = await house.seat()
    async with serving(house) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
        try:
            yield Pad(reader, writer, token)
        finally:
            writer.close()


def without_what_changes(answer: bytes) -> bytes:
    return re.sub(rb"(X-Request-Id|Date): [^\r]+", rb"\1", answer)


@pytest.fixture
def read_by_the_view(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the orders whose bodies were read."""
    read, place = list[str](), PlacingOrders._place

    async def counted(self: PlacingOrders, asked: Asked, began: float) -> tuple[str, web.Response]:
        read.append(json.loads(asked.body)["order_id"])
        return await place(self, asked, began)

    monkeypatch.setattr(PlacingOrders, "_place", counted)
    return read


async def test_a_flood_is_refused_by_its_bytes_as_the_view_would(read_by_the_view: list[str]) -> None:
    door = Door()
    house = House(admission=door)
    async with flooding(house) as pad:
        answers = [await pad.send(f"id-{number}") for number in range(5)]
    assert read_by_the_view == ["id-0"]
    assert answers[0].startswith(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\n")
    assert {without_what_changes(answer) for answer in answers} == {without_what_changes(answers[0])}
    assert len(set(answers)) == 5, "each has an id of its own"
    assert house.watch.outcomes == ["rate_limited"] * 5
    assert door.asked == ["T1"] * 5


async def test_one_that_is_let_through_is_the_views_and_is_not_asked_twice(read_by_the_view: list[str]) -> None:
    door = Door()
    house = House(admission=door)
    async with flooding(house) as pad:
        await pad.send()
        door.is_open = True
        assert (await pad.send()).startswith(b"HTTP/1.1 201 ")
        door.is_open = False
        assert (await pad.send("id-2", version=1)).startswith(b"HTTP/1.1 429 ")
    assert read_by_the_view == ["id-1", "id-1"]
    assert door.asked == ["T1"] * 3


async def test_what_is_out_of_the_ordinary_is_read_with_care(read_by_the_view: list[str]) -> None:
    door = Door()
    async with flooding(House(admission=door)) as pad:
        await pad.send()
        assert b"X-Request-Id: pad-7\r\n" in await pad.send("named", "X-Request-Id: pad-7")
        assert (await pad.send("forged", token="forged")).startswith(b"HTTP/1.1 401 ")
        assert b"Connection: close\r\n" in await pad.send("last", "Connection: close")
    assert read_by_the_view[0] == "id-1"
    assert {"named", "last"} <= set(read_by_the_view)


async def test_two_tokens_in_one_request_are_nobodys() -> None:
    async with flooding(House(admission=Door())) as pad:
        await pad.send()
        assert (await pad.send("id-2", "Authorization: Bearer pad/T2/1")).startswith(b"HTTP/1.1 401 ")


async def test_a_token_is_looked_at_again_after_a_while(
    read_by_the_view: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.fast_refusal.LATELY", 0.0)
    async with flooding(House(admission=Door())) as pad:
        for number in range(3):
            await pad.send(f"id-{number}")
    assert read_by_the_view == ["id-0", "id-1", "id-2"]

"""The stream of a table's orders, passed on: as it comes, for whom it is, and until one of the two sides ends."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from app.web import kitchen_relay
from app.web.routes import TABLE_STREAM
from tests.house import Client, House, serving
from tests.kitchen import FakeKitchen, fake_kitchen

SNAPSHOT = b"id: 7\nevent: snapshot\ndata: {}\n\n"


@pytest.fixture
async def kitchen() -> AsyncIterator[FakeKitchen]:
    async with fake_kitchen() as kitchen:
        yield kitchen


def house_beside(kitchen: FakeKitchen, **settings: Any) -> House:
    return House(kitchen={"url": kitchen.url}, **settings)


@contextlib.asynccontextmanager
async def listening(
    client: Client, token: str, query: str = "", **headers: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    headers["Authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{client.url}/tables/T1/stream{query}", headers=headers) as answer,
    ):
        yield answer


async def hears(answer: aiohttp.ClientResponse) -> bytes:
    async with asyncio.timeout(5):
        return await answer.content.readany()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - several things may make it hold
            await asyncio.sleep(0.01)


PLACE = "aBcDeFgH:" + ".".join(["123456789"] * 12)  # of a log of twelve partitions


async def test_what_the_kitchen_says_comes_at_once_and_as_it_is(kitchen: FakeKitchen) -> None:
    house = house_beside(kitchen)
    pad = await house.seat()
    async with (
        serving(house) as client,
        listening(client, pad, **{"Last-Event-ID": PLACE, "X-Request-Id": "pad-1"}) as answer,
    ):
        assert (answer.status, answer.headers["X-Request-Id"]) == (200, "pad-1")
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
        for said in (b"retry: 1000\n", SNAPSHOT, b"event: bea", b"t\n\n", bytes(range(256))):
            kitchen.said.put_nowait(said)
            assert await hears(answer) == said
        kitchen.said.put_nowait(None)
        assert await hears(answer) == b""
    [(path, headers)] = kitchen.came
    assert path == "/tables/T1/stream"
    assert (headers["Authorization"], headers["Last-Event-ID"]) == (f"Bearer {pad}", PLACE)
    assert headers["X-Request-Id"] == "pad-1"


async def test_a_pad_that_cannot_send_the_header_names_its_last_event_in_the_address(kitchen: FakeKitchen) -> None:
    house = house_beside(kitchen)
    pad = await house.seat()
    async with serving(house) as client, listening(client, pad, "?last_event_id=9-2"):
        pass
    async with serving(house) as client, listening(client, pad):
        pass
    for odd in ("%0A%C3%ABz", "a%0D%0AX-Evil:%201", "9" * 4001, "%20"):
        async with serving(house) as client, listening(client, pad, f"?last_event_id={odd}") as answer:
            assert answer.status == 200
    assert [headers.get("Last-Event-ID") for _, headers in kitchen.came] == ["9-2", *[None] * 5]
    assert not any("X-Evil" in headers for _, headers in kitchen.came)


async def test_a_pad_that_hangs_up_ends_the_stream_in_the_kitchen(kitchen: FakeKitchen) -> None:
    house = house_beside(kitchen)
    pad = await house.seat()
    async with serving(house) as client:
        async with listening(client, pad) as answer:
            kitchen.said.put_nowait(SNAPSHOT)
            assert await hears(answer) == SNAPSHOT
        for _ in range(3):  # the next signs of life
            kitchen.said.put_nowait(b":\n\n")
            await asyncio.sleep(0.02)
        await until(lambda: kitchen.ended == 1)


async def test_while_the_kitchen_is_away_a_pad_is_to_come_again() -> None:
    async with fake_kitchen() as gone:
        house = house_beside(gone)
    pad = await house.seat()
    async with serving(house) as client:
        reply = await client.get("/tables/T1/stream", pad)
    assert (reply.status, reply.body) == (503, {"error": "Service unavailable"})
    assert reply.headers["Retry-After"]


@pytest.mark.parametrize(
    ("status", "told", "wait"), [(401, 401, None), (429, 429, "17"), (404, 503, "1"), (403, 503, "1"), (503, 503, "1")]
)
async def test_what_the_kitchen_refuses_is_refused(
    kitchen: FakeKitchen, status: int, told: int, wait: str | None
) -> None:
    house = house_beside(kitchen)
    pad = await house.seat()
    kitchen.status, kitchen.headers = status, {"Retry-After": "17"} if status == 429 else {}
    async with serving(house) as client:
        reply = await client.get("/tables/T1/stream", pad)
    assert (reply.status, reply.headers.get("Retry-After")) == (told, wait)


async def test_who_may_not_read_the_table_does_not_reach_the_kitchen(kitchen: FakeKitchen) -> None:
    house = house_beside(kitchen)
    await house.seat()
    other = await house.seat("T2")
    async with serving(house) as client:
        statuses = [
            (await client.get("/tables/T1/stream", token)).status for token in ("", other, "pad/T1/7", "worker")
        ]
        assert (await client.get("/tables/T9/stream", "manager")).status == 404
    assert statuses == [401, 403, 401, 403]
    assert kitchen.came == []


async def test_a_kitchen_that_falls_silent_ends_the_stream_and_one_that_breaks_off_too(
    kitchen: FakeKitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kitchen_relay.KitchenRelay.__init__, "__kwdefaults__", {"silence": 0.2})
    house = house_beside(kitchen)
    pad = await house.seat()
    async with serving(house) as client:
        async with listening(client, pad) as answer:
            kitchen.said.put_nowait(SNAPSHOT)
            assert await hears(answer) == SNAPSHOT
            assert await hears(answer) == b""
        await until(lambda: kitchen.ended == 1)


async def test_streams_are_counted_and_bounded_and_end_with_the_worker(kitchen: FakeKitchen) -> None:
    house = house_beside(kitchen, orders={"max_table_streams": 2})
    pad = await house.seat()
    async with serving(house) as client:
        relay = client.application[TABLE_STREAM]
        async with listening(client, pad) as one, listening(client, pad) as two:
            await until(lambda: kitchen.opened == 2)
            assert relay.connected == 2
            assert (await client.get("/tables/T1/stream", pad)).status == 503
            began = time.monotonic()
            relay.stop()
            for answer in (one, two):
                assert await hears(answer) == b""
            assert time.monotonic() - began < 1
        assert (await client.get("/tables/T1/stream", pad)).status == 503
        await until(lambda: kitchen.ended == 2)
        assert relay.connected == 0


async def test_head_opens_no_stream(kitchen: FakeKitchen) -> None:
    house = house_beside(kitchen)
    pad = await house.seat()
    async with serving(house) as client:
        reply = await client.send("HEAD", "/tables/T1/stream", pad)
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/event-stream")
        await until(lambda: kitchen.ended == kitchen.opened)

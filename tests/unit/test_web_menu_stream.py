"""Following the menu: what a pad is told when it begins, at each change, and when it comes back."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from app.domain.house_clock import HouseClock, Serving
from app.domain.menu import Menu, Translation
from app.domain.menu_edits import revised
from app.web import sse
from app.web.told_menu import ToldMenu
from tests.house import DISHES, Client, House, serving

SALMON = DISHES[0]
HOUR = 3_600_000  # ms
MENU = revised(Menu(), DISHES).menu


class Pad:
    """Listens; each wait has a deadline."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.status, self.headers = answer.status, answer.headers
        self._lines = answer.content

    async def hears(self) -> dict[str, Any]:
        """The next event: its name, id and data; without data, only what came."""
        event: dict[str, Any] = {}
        while line := await self._line():
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value
        return event

    async def hears_no_more(self) -> bool:
        async with asyncio.timeout(5):
            return await self._lines.read() == b""

    async def _line(self) -> str:
        async with asyncio.timeout(5):
            line = await self._lines.readline()
        if not line:
            raise EOFError
        return line.decode().rstrip("\n")


@contextlib.asynccontextmanager
async def listening(client: Client, query: str = "", **headers: str) -> AsyncIterator[Pad]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{client.url}/menu_items/stream{query}", headers=headers) as answer,
    ):
        yield Pad(answer)


def ids(event: dict[str, Any]) -> list[str]:
    return [dish["id"] for dish in event["data"]["items"]]


async def test_a_pad_is_shown_the_whole_menu_first() -> None:
    house = House()
    async with serving(house) as client:
        listed = (await client.get("/menu_items")).body
        async with listening(client, **{"X-Request-Id": "pad-1"}) as pad:
            event = await pad.hears()
    assert (event["event"], event["retry"], event["data"]) == ("menu", "1000", {"menu_revision": 1, "items": listed})
    assert event["id"].startswith("1-")
    assert pad.headers["Content-Type"] == "text/event-stream"
    assert (pad.headers["Cache-Control"], pad.headers["X-Accel-Buffering"]) == ("no-store", "no")
    assert pad.headers["X-Request-Id"] == "pad-1"


async def test_every_pad_is_told_of_a_change_at_once() -> None:
    house = House()
    async with serving(house) as client, listening(client) as one, listening(client, "?lang=fr") as other:
        await one.hears()
        await other.hears()
        house.menu.dishes = (replace(SALMON, price=1999, translations={"fr": Translation("Saumon")}), *DISHES[1:])
        began = time.monotonic()
        heard, translated = await one.hears(), await other.hears()
        assert time.monotonic() - began < 1
    assert (heard["event"], heard["data"]["menu_revision"], ids(heard)) == ("change", 2, ["m1"])
    assert (heard["data"]["items"][0]["price"], heard["data"]["removed"]) == (19.99, [])
    assert [event["data"]["items"][0]["name"] for event in (heard, translated)] == ["Grilled Salmon", "Saumon"]


async def test_a_dish_that_is_taken_off_or_put_on_is_told() -> None:
    house = House()
    async with serving(house) as client, listening(client) as pad:
        await pad.hears()
        house.menu.dishes = (*DISHES[:2], replace(SALMON, id="m9"))
        event = await pad.hears()
    assert (ids(event), event["data"]["removed"]) == (["m9"], ["m3"])


async def test_a_menu_in_another_order_is_shown_anew() -> None:
    house = House()
    async with serving(house) as client, listening(client) as pad:
        await pad.hears()
        house.menu.dishes = (DISHES[1], DISHES[0], DISHES[2])
        event = await pad.hears()
    assert (event["event"], ids(event)) == ("menu", ["m2", "m1", "m3"])


async def test_a_sell_out_by_the_staff_reaches_the_pads() -> None:
    async with serving(House()) as client, listening(client) as pad:
        await pad.hears()
        await client.post("/menu_items/m1/sold_out", "manager")
        event = await pad.hears()
    assert [(dish["id"], dish["available"]) for dish in event["data"]["items"]] == [("m1", False)]


async def test_a_dish_that_comes_back_by_itself_is_told_when_it_does() -> None:
    house = House()
    back = time.time_ns() // 1_000_000 + 300
    house.menu.dishes = (replace(SALMON, sold_out_until=back), *DISHES[1:])
    async with serving(house) as client, listening(client) as pad:
        assert [dish["available"] for dish in (await pad.hears())["data"]["items"]] == [True, False, False]
        event = await pad.hears()
        assert time.time_ns() // 1_000_000 >= back
    assert (event["event"], ids(event), event["data"]["items"][0]["available"]) == ("change", ["m1"], True)


# ── coming back ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", ["header", "query"])
async def test_a_pad_that_comes_back_is_told_what_it_missed(way: str) -> None:
    house = House()
    async with serving(house) as client:
        async with listening(client) as pad:
            last = (await pad.hears())["id"]
        house.menu.dishes = (replace(SALMON, price=1999), DISHES[1])
        by_header = {"Last-Event-ID": last} if way == "header" else {}
        async with listening(client, f"?last_event_id={last}" if way == "query" else "", **by_header) as pad:
            event = await pad.hears()
            assert (event["event"], ids(event), event["data"]["removed"]) == ("change", ["m1"], ["m3"])
            house.menu.dishes = (replace(SALMON, price=2999), DISHES[1])
            assert ids(await pad.hears()) == ["m1"]


async def test_a_pad_that_missed_nothing_is_told_of_the_next_change_only() -> None:
    house = House()
    async with serving(house) as client, listening(client) as pad:
        last = (await pad.hears())["id"]
        async with (
            listening(client, **{"Last-Event-ID": last}) as again,
            listening(client, "?last_event_id=1") as other,
        ):
            for one in (again, other):  # a list's revision will do
                assert await one.hears() == {"retry": "1000", "id": last}
            house.menu.dishes = (replace(SALMON, price=1999), *DISHES[1:])
            for one in (pad, again, other):
                assert ids(await one.hears()) == ["m1"]


@pytest.mark.parametrize("known", ["x", "2", "2-1", "-1", "1-", "1.5", "9" * 30, "1-" + "9" * 30])
async def test_a_pad_that_knows_something_else_is_shown_the_whole_menu(known: str) -> None:
    async with serving(House()) as client, listening(client, **{"Last-Event-ID": known}) as pad:
        event = await pad.hears()
    assert (event["event"], ids(event)) == ("menu", ["m1", "m2", "m3"])


def told(menu: Menu, at: int) -> ToldMenu:
    return ToldMenu(menu, at, "EUR", HouseClock("UTC"))


def read(event: bytes) -> dict[str, Any]:
    data = [line for line in event.decode().splitlines() if line.startswith("data: ")]
    return json.loads(data[0][6:]) if data else {}


LUNCH = revised(Menu(), (replace(SALMON, served=(Serving(12 * 60, 14 * 60),)), DISHES[1])).menu


def test_who_comes_back_after_hours_began_is_told_of_them() -> None:
    noon = told(LUNCH, 12 * HOUR)
    assert [(dish["id"], dish["available"]) for dish in read(noon.since(1, 11 * HOUR, ""))["items"]] == [("m1", True)]
    assert noon.since(1, 13 * HOUR, "") == b"id: 1-%d\n\n" % (12 * HOUR)
    assert noon.until == 14 * HOUR
    assert [dish["id"] for dish in read(told(LUNCH, 14 * HOUR).whole(""))["items"]] == ["m2", "m1"]


def test_who_does_not_say_when_it_saw_the_menu_is_told_of_every_dish_with_hours() -> None:
    assert [dish["id"] for dish in read(told(LUNCH, 13 * HOUR).since(1, None, ""))["items"]] == ["m1"]
    assert read(told(MENU, 13 * HOUR).since(1, None, "")) == {}


def test_an_event_is_made_once_however_many_are_told() -> None:
    state = told(revised(MENU, (replace(SALMON, translations={"fr": Translation("Saumon")}), *DISHES[1:])).menu, 0)
    assert state.whole("fr") is state.whole("fr") is not state.whole("")
    assert state.whole("made up") is state.whole("")
    assert state.since(1, 0, "de") is state.since(1, 0, "")


def test_what_guests_make_up_does_not_fill_the_memory() -> None:
    state = told(MENU, 0)
    for then in range(1000):
        assert state.since(1, then, "")
    assert len(state._since) < 300


# ── limits, and the end ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_without_news_shows_that_it_lives() -> None:
    async with serving(House(menu={"heartbeat": 0.2})) as client, listening(client) as pad:
        await pad.hears()
        assert [await pad.hears() for _ in range(2)] == [{":": ""}] * 2


async def test_more_streams_than_may_be_are_refused_until_one_ends() -> None:
    house = House(menu={"max_streams": 2})
    async with serving(house) as client:
        async with listening(client) as one:
            await one.hears()
            async with listening(client) as other:
                await other.hears()
                reply = await client.get("/menu_items/stream")
                assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        async with asyncio.timeout(5):  # far below the heartbeat
            while await is_full(client):  # asking again takes its time
                pass


async def test_all_streams_end_with_the_worker() -> None:
    house = House()
    began = 0.0
    async with aiohttp.ClientSession() as session:
        async with serving(house) as client:
            answers = [await session.get(f"{client.url}/menu_items/stream") for _ in range(3)]
            pads = [Pad(answer) for answer in answers]
            for pad in pads:
                await pad.hears()
            began = time.monotonic()
        assert time.monotonic() - began < 2
        assert all([await pad.hears_no_more() for pad in pads])


async def test_a_pad_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "WRITE_SECONDS", 0.1)
    house = House(menu={"max_streams": 1})
    house.menu.dishes = [replace(SALMON, id=f"m{number}", description="é" * 500) for number in range(500)]
    async with serving(house) as client:
        host, _, port = client.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET /menu_items/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(20):
            while await is_full(client):  # what the machine holds for the pad must be full first
                house.menu.dishes = [replace(dish, price=dish.price + 1) for dish in house.menu.current().items]
                await asyncio.sleep(0.01)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def is_full(client: Client) -> bool:
    async with listening(client) as pad:
        return pad.status == 503


async def test_head_has_the_headers_and_other_methods_are_not_allowed() -> None:
    async with serving(House()) as client:
        head = await client.send("HEAD", "/menu_items/stream")
        assert (head.status, head.body, head.headers["Content-Type"]) == (200, "", "text/event-stream")
        assert (await client.send("POST", "/menu_items/stream")).status == 405


async def test_without_a_menu_there_is_no_stream() -> None:
    house = House()
    house.menu.dishes = None
    async with serving(house) as client:
        assert (await client.get("/menu_items/stream")).status == 503

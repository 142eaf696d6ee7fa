"""The kitchen's views: streams of displays and pads, taps of cooks, receipts, and who may do what."""

import asyncio
import contextlib
import json
from typing import Any

import aiohttp
import pytest

from app.adapters.limiter import LocalLimiter
from app.messages import CancelOrder, decode_command
from app.settings import Settings
from app.web import ticket_streams
from tests.house import Client, Reply
from tests.kitchen_pass import Display, Pass, cooking, watching

ALL = "/kitchen/stations/all/stream"


def data(event: dict[str, str]) -> Any:
    return json.loads(event["data"])


async def tap(client: Client, ticket: str, version: int = 1, action: str = "bump", **more: Any) -> Reply:
    body = {"action": action, "version": version, "command_id": f"{action}-{version}-{ticket[34:]}"} | more
    return await client.post(f"/kitchen/tickets/{ticket}", more.pop("token", "kitchen"), json=body)


async def ticket_of(display: Display) -> tuple[str, int, str]:
    ticket = data(await display.hears("ticket"))
    return ticket["station"], ticket["version"], ticket["state"]


async def test_a_display_is_shown_what_is_open_and_then_each_change() -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        order = await kitchen.order()
        async with watching(client, "/kitchen/stations/grill/stream") as display:
            beat = data(await display.hears())
            snapshot = data(await display.hears())
            assert display.headers["Content-Type"] == "text/event-stream"
            assert (beat["current"], beat["behind"]) == (True, 0.0)
            [ticket] = snapshot["tickets"]
            assert (ticket["ticket_id"], ticket["version"], ticket["state"]) == (f"{order}.grill", 1, "new")
            assert ticket["stations"] == ["grill", "bar"]
            [line] = ticket["lines"]
            assert (line["name"], line["quantity"], line["note"]) == ("Grilled Salmon", 2, "no butter")
            assert (line["modifiers"], line["allergens"], line["done"]) == (["Well done"], ["fish"], False)
            assert (snapshot["recent"], snapshot["more"], snapshot["late_after"]) == ([], 0, 900.0)
            assert (await tap(client, f"{order}.bar")).status == 200
            assert (await tap(client, f"{order}.grill")).body["state"] == "cooking"
            assert await ticket_of(display) == ("grill", 2, "cooking")  # the bar's is none of its business


async def test_what_a_snapshot_leaves_out_is_shown_once_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticket_streams, "MOST_SHOWN", 2)
    monkeypatch.setattr(ticket_streams, "AGAIN_SECONDS", 0.05)
    kitchen = Pass()
    async with cooking(kitchen) as client:
        orders = [await kitchen.order(number) for number in (1, 2, 3)]
        async with watching(client, "/kitchen/stations/grill/stream") as display:
            snapshot = data(await display.hears("snapshot"))
            assert ([one["order_id"] for one in snapshot["tickets"]], snapshot["more"]) == (orders[:2], 1)
            assert (await tap(client, f"{orders[0]}.grill", action="clear")).status == 200
            async with asyncio.timeout(10):
                while snapshot["more"]:
                    snapshot = data(await display.hears("snapshot"))
            assert [one["order_id"] for one in snapshot["tickets"]] == orders[1:]
            place = display.last_id
        monkeypatch.setattr(ticket_streams, "MOST_SHOWN", 1)  # of two orders one is left out, perhaps
        async with watching(client, "/kitchen/stations/grill/stream", **{"Last-Event-ID": place}) as display:
            await kitchen.order(4)  # as long as nothing happens, nothing has left either
            assert data(await display.hears("snapshot"))["more"] == 2


async def test_a_display_comes_back_to_what_it_missed_and_nothing_else() -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        order = await kitchen.order()
        async with watching(client, ALL) as display:
            await display.hears("snapshot")
            place = display.last_id
        await tap(client, f"{order}.grill")
        await kitchen.order(2)
        async with watching(client, ALL, **{"Last-Event-ID": place}) as display:
            got = [await ticket_of(display) for _ in range(3)]
            assert got == [("grill", 2, "cooking"), ("grill", 1, "new"), ("bar", 1, "new")]
            middle = display.last_id
        async with watching(client, ALL, **{"Last-Event-ID": "elsewhere:4"}) as display:
            assert (await display.hears("snapshot", "ticket"))["event"] == "snapshot"
        await tap(client, f"{order}.bar")
        async with watching(client, ALL, **{"Last-Event-ID": middle}) as display:
            assert await ticket_of(display) == ("bar", 2, "cooking")


async def test_both_tickets_of_one_cancelling_are_told_also_where_the_connection_breaks_in_between() -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        order = await kitchen.order()
        async with watching(client, ALL) as display:
            await display.hears("snapshot")
            await kitchen.tell(CancelOrder("r", "", "T1", 1, 1, order, 2400))
            assert await ticket_of(display) == ("grill", 2, "voided")
            place = display.last_id
        async with watching(client, ALL, **{"Last-Event-ID": place}) as display:
            assert await ticket_of(display) == ("bar", 2, "voided")
    [note] = [decode_command(value) for value in kitchen.noted]
    assert (note.order_id, note.total, note.version) == (order, 2400, 1)  # type: ignore[union-attr]


async def test_what_left_the_display_can_be_recalled_from_it() -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        for number in range(1, 13):
            order = await kitchen.order(number)
            for version in (1, 2, 3):
                await tap(client, f"{order}.grill", version)
        async with watching(client, "/kitchen/stations/grill/stream") as display:
            snapshot = data(await display.hears("snapshot"))
        assert snapshot["tickets"] == []
        assert [ticket["round"] for ticket in snapshot["recent"]] == list(range(12, 2, -1))
        recalled = await tap(client, snapshot["recent"][0]["ticket_id"], 4, "recall")
        assert (recalled.status, recalled.body["state"]) == (200, "cooking")


async def test_a_second_tap_of_the_same_hand_is_answered_as_the_first() -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        order = await kitchen.order()
        first, second = [await tap(client, f"{order}.grill") for _ in range(2)]
        assert first.body == second.body
        assert "Idempotency-Replayed" not in first.headers
        assert second.headers["Idempotency-Replayed"] == "true"


async def test_a_tap_on_what_another_cook_has_changed_shows_the_ticket_as_it_is() -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        order = await kitchen.order()
        await tap(client, f"{order}.grill")
        conflict = await tap(client, f"{order}.grill", command_id="another")
        assert (conflict.status, conflict.body["error"]) == (409, "Version conflict")
        assert (conflict.body["ticket"]["state"], conflict.body["ticket"]["by"]) == ("cooking", "kitchen")
        wrong = await tap(client, f"{order}.grill", 2, "recall")
        assert (wrong.status, wrong.body["error"]) == (409, "Not possible")
        assert "cooking" in wrong.body["detail"]
        reused = await tap(client, f"{order}.grill", 2, "void", reason="burnt", command_id="bump-1-grill")
        assert (reused.status, reused.body) == (422, {"error": "Command id reused"})


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "action"),
        ({"action": "dump"}, "action"),
        ({"version": 0}, "version"),
        ({"version": "1"}, "version"),
        ({"version": True}, "version"),
        ({"command_id": ""}, "command_id"),
        ({"line_id": "1"}, "line_id: not allowed with bump"),
        ({"action": "line_done"}, "line_id: needed with line_done"),
        ({"action": "void"}, "reason: needed with void"),
        ({"action": "void", "reason": "\x00"}, "reason"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_what_is_wrong_with_a_tap_is_said(body: dict[str, Any], detail: str) -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        order = await kitchen.order()
        whole = {"action": "bump", "version": 1, "command_id": "c"} if body else {}
        reply = await client.post(f"/kitchen/tickets/{order}.grill", "kitchen", json=whole | body)
        assert (reply.status, reply.body["error"]) == (400, "Invalid request")
        assert detail in reply.body["detail"]
    assert len(kitchen.log) == 1


@pytest.mark.parametrize(
    "ticket", ["x", "o1.grill", f"o{1:032x}", f"o{1:032x}.", f"o{1:032x}.oven", f"o{1:032x}.grill.x"]
)
async def test_a_ticket_that_is_not_there_is_not_found(ticket: str) -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        await kitchen.order()
        assert (await tap(client, ticket)).status == 404


async def test_a_ticket_that_comes_to_this_worker_a_little_later_is_waited_for() -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        await kitchen.order()
        waiting = asyncio.create_task(tap(client, f"o{2:032x}.grill"))
        await asyncio.sleep(0.05)
        await kitchen.order(2)
        assert (await waiting).status == 200


async def test_while_nobody_decides_the_cook_is_told_to_send_again() -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        order = await kitchen.order()
        kitchen.is_away = True
        reply = await tap(client, f"{order}.grill")
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")


async def test_displays_say_what_they_have_shown_and_the_others_hear_what_nobody_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kitchen = Pass(kitchen={"heartbeat": 0.2})
    monkeypatch.setattr(ticket_streams, "wall_clock", lambda: kitchen.now + 20_000)
    async with cooking(kitchen) as client:
        order = await kitchen.order()
        async with watching(client, "/kitchen/stations/bar/stream") as display:
            unseen = data(await display.hears("beat"))["unseen"]
            assert {station: told["count"] for station, told in unseen.items()} == {"grill": 1, "bar": 1}
            ids = [f"{order}.grill", f"{order}.bar", f"{order}.oven", "nonsense"]
            reply = await client.post("/kitchen/seen", "kitchen", json={"ticket_ids": ids})
            assert reply.body == {"seen": 2, "unknown": ["nonsense", f"{order}.oven"]}
            again = await client.post("/kitchen/seen", "kitchen", json={"ticket_ids": ids[:2]})
            assert again.body == {"seen": 2, "unknown": []}
            assert await ticket_of(display) == ("bar", 2, "seen")
            while data(await display.hears("beat"))["unseen"]:
                pass


async def test_a_pad_is_told_how_its_orders_stand() -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        await kitchen.seat()
        order = await kitchen.order()
        await kitchen.order(2, "T2")
        async with watching(client, "/tables/T1/stream", "pad/T1/1") as pad:
            snapshot = data(await pad.hears("snapshot"))
            assert [(one["order_id"], one["state"]) for one in snapshot["orders"]] == [(order, "received")]
            assert (snapshot["session"], snapshot["unseen_after"]) == (1, 15.0)
            await client.post("/kitchen/seen", "kitchen", json={"ticket_ids": [f"{order}.grill", f"{order}.bar"]})
            states = [data(await pad.hears("order"))["state"] for _ in range(2)]
            for station in ("grill", "bar"):
                for version in (2, 3, 4):
                    await tap(client, f"{order}.{station}", version, command_id=f"{station}{version}")
                    states.append(data(await pad.hears("order"))["state"])
            assert states == ["received", "seen", "cooking", "cooking", "cooking", "cooking", "ready", "served"]
            await kitchen.leave()
            assert (await pad.hears("closed", "order"))["event"] == "closed"
            assert await pad.hears_no_more()
        assert (await client.get("/tables/T1/stream", "pad/T1/1")).status == 401


async def test_a_pad_whose_table_has_ordered_nothing_yet_waits_for_its_first() -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client, watching(client, "/tables/T1/stream", "pad/T1/1") as pad:
        assert data(await pad.hears("snapshot"))["orders"] == []
        await kitchen.seat()
        await kitchen.order()
        assert data(await pad.hears("order"))["version"] == 1


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        (ALL, {"": 401, "forged": 401, "pad/T1/1": 403, "worker": 403}),
        (ALL, {"kitchen": 200, "manager": 200, "operator": 200}),
        ("/kitchen/stations/nowhere/stream", {"": 401, "pad/T1/1": 403, "kitchen": 404}),
        ("/kitchen/stations", {"": 401, "pad/T1/1": 403, "kitchen": 200, "operator": 200}),
        ("/tables/T1/stream", {"": 401, "pad/T1/1": 200, "pad/T1/0": 401, "pad/T2/1": 403, "worker": 403,
                               "kitchen": 200, "manager": 200}),
        ("/tables/T9/stream", {"kitchen": 404}),
        ("/health/ready", {"": 200}),
        ("/health/live", {"": 200}),
        ("/orders", {"": 404}),
    ],
)  # fmt: skip
async def test_who_may_look(path: str, statuses: dict[str, int]) -> None:
    kitchen = Pass()
    async with cooking(kitchen) as client:
        await kitchen.seat()
        await kitchen.order()
        for token, status in statuses.items():
            async with watching(client, path, token) as display:
                assert display.status == status, token


@pytest.mark.parametrize("path", ["/kitchen/seen", f"/kitchen/tickets/o{1:032x}.grill"])
async def test_who_may_tap(path: str) -> None:
    kitchen = Pass()
    body = {"ticket_ids": ["x"]} if "seen" in path else {"action": "bump", "version": 1, "command_id": "c"}
    async with cooking(kitchen) as client:
        await kitchen.order()
        for token, status in {"": 401, "forged": 401, "pad/T1/1": 403, "worker": 403}.items():
            assert (await client.post(path, token, json=body)).status == status, token
        assert len(kitchen.log) == 1
        for token in ("kitchen", "manager", "operator"):
            assert (await client.post(path, token, json=body)).status == 200, token
        assert (await client.get(path, "kitchen")).status == 405
        assert (await client.post(path, "kitchen", data=b"{" * 70_000)).status == 413


async def test_who_asks_without_end_is_refused_and_cooks_go_on() -> None:
    limits = Settings(limits={"address_per_minute": 3, "source_reads_per_minute": 2})
    kitchen = Pass(LocalLimiter(limits, clock=lambda: 0))
    async with cooking(kitchen) as client:
        order = await kitchen.order()
        assert [(await client.get(ALL, "forged")).status for _ in range(4)] == [401, 401, 401, 429]
        assert [(await client.get("/kitchen/stations", "kitchen")).status for _ in range(3)] == [200, 200, 429]
        assert (await client.get("/kitchen/stations", "manager")).status == 200
        for version in (1, 2, 3):
            assert (await tap(client, f"{order}.grill", version)).status == 200


async def test_a_worker_that_cannot_read_the_log_says_so_to_its_displays() -> None:
    kitchen = Pass(kitchen={"heartbeat": 0.2})
    async with cooking(kitchen) as client, watching(client, ALL) as display:
        assert data(await display.hears("beat"))["current"] is True
        kitchen.behind = 3.0
        beat = data(await display.hears("beat"))
        assert (beat["current"], beat["behind"]) == (False, 3.0)


async def test_a_worker_that_cannot_read_the_log_does_not_say_that_a_ticket_is_gone() -> None:
    kitchen = Pass()
    ticket = f"o{7:032x}.grill"
    seen = {"ticket_ids": [ticket]}
    async with cooking(kitchen) as client:
        kitchen.behind = 3.0
        assert (await tap(client, ticket)).status == 503
        assert (await client.post("/kitchen/seen", "kitchen", json=seen)).status == 503
        assert (await tap(client, "nonsense.grill")).status == 404
        kitchen.behind, kitchen.not_ready = 0.0, "the tickets are being read from the log"
        assert (await tap(client, ticket)).status == 503
        kitchen.not_ready = None
        assert (await tap(client, ticket)).status == 404


async def test_a_worker_that_is_not_ready_or_full_sends_displays_elsewhere() -> None:
    kitchen = Pass(kitchen={"max_streams": 1})
    async with cooking(kitchen) as client:
        kitchen.not_ready = "the tickets are being read from the log"
        assert (await client.get(ALL, "kitchen")).status == 503
        assert (await client.get("/health/ready")).status == 503
        kitchen.not_ready = None
        async with watching(client, ALL) as display:
            await display.hears("snapshot")
            assert (await client.get(ALL, "kitchen")).status == 503


@pytest.mark.parametrize(("path", "token"), [(ALL, "kitchen"), ("/tables/T1/stream", "pad/T1/1")])
async def test_a_stream_ends_with_the_token_that_opened_it(
    path: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen = Pass(kitchen={"heartbeat": 0.2})
    async with cooking(kitchen) as client, watching(client, path, token) as display:
        await display.hears("snapshot")
        await display.hears("beat")
        monkeypatch.setattr(kitchen.services.tokens, "verify", lambda _: None)  # it has expired, or its key was retired
        assert await display.hears_no_more()
        assert (await client.get(path, token)).status == 401


async def test_one_table_does_not_take_the_places_of_displays_and_other_tables() -> None:
    kitchen = Pass(kitchen={"max_streams": 4, "max_streams_of_table": 2, "heartbeat": 0.2})
    async with cooking(kitchen) as client, contextlib.AsyncExitStack() as stack:
        pads = []
        for _ in range(5):
            pads.append(await stack.enter_async_context(watching(client, "/tables/T1/stream", "pad/T1/1")))
            await pads[-1].hears("snapshot")
        for path, token in ((ALL, "kitchen"), ("/tables/T2/stream", "pad/T2/1")):
            other = await stack.enter_async_context(watching(client, path, token))
            assert other.status == 200
            await other.hears("snapshot")
        for pad in pads[-2:]:
            await pad.hears("beat")
        for pad in pads[:-2]:
            with contextlib.suppress(aiohttp.ClientError):  # broken off, whatever else it had to say
                assert await pad.hears_no_more()

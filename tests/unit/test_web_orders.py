"""Placing orders: what each answer of the contract needs, seen through HTTP, with the real decision behind."""

import asyncio
import json
from dataclasses import replace

import pytest
import structlog
from aiohttp import web

from app.domain.menu import MenuItem, Modifier, ModifierGroup
from app.web.bodies import read_body
from tests.house import DISHES, House, order, serving

TWO_SALMONS_AND_A_SOUP = [{"menu_item_id": "m1", "quantity": 2}, {"menu_item_id": "m2", "quantity": 1, "note": "hot"}]

STEAK = MenuItem(
    "m4",
    "Steak",
    3250,
    "Mains",
    "grill",
    "",
    groups=(
        ModifierGroup("done", "Doneness", 1, 1, (Modifier("rare", "Rare"), Modifier("well", "Well done"))),
        ModifierGroup("sauce", "Sauce", 0, 2, (Modifier("bbq", "Barbecue"), Modifier("aioli", "Aioli", 50))),
    ),
)


async def test_an_order_is_received_and_raises_the_version_by_one() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        for version in range(3):
            reply = await client.order(order(version, f"id-{version}"), pad)
            assert (reply.status, reply.body["status"], reply.body["version"]) == (201, "received", version + 1)
            assert list(reply.body)[:2] == ["order_id", "status"]
            assert "Idempotency-Replayed" not in reply.headers
    assert [event.version for event in house.owner.events] == [1, 2, 3]


async def test_prices_and_names_come_from_the_menu_and_the_total_is_their_sum() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        assert (await client.order(order(items=TWO_SALMONS_AND_A_SOUP, note="window seat"), pad)).status == 201
    [placed] = house.owner.events
    assert [(line.name, line.price, line.quantity, line.note) for line in placed.lines] == [
        ("Grilled Salmon", 1899, 2, ""),
        ("Onion Soup", 850, 1, "hot"),
    ]
    assert (placed.total, placed.currency, placed.note) == (4648, "EUR", "window seat")


async def test_a_line_tells_the_kitchen_its_station_allergens_and_what_was_chosen() -> None:
    house = House()
    house.menu.dishes = (*DISHES, replace(STEAK, allergens=("milk",)))
    pad = await house.seat()
    steak = {"menu_item_id": "m4", "quantity": 1, "modifiers": ["rare", "aioli"]}
    async with serving(house) as client:
        received = await client.order(order(items=[*TWO_SALMONS_AND_A_SOUP, steak]), pad)
        read = await client.get(f"/orders/{received.body['order_id']}", pad)
    [placed] = house.owner.events
    assert [(line.station, line.allergens, line.choices) for line in placed.lines] == [
        ("grill", ("fish",), ()),
        ("stove", ("milk", "gluten"), ()),
        ("grill", ("milk",), ("Rare", "Aioli")),
    ]
    for line in read.body["items"]:
        assert set(line) == {"line_id", "menu_item_id", "name", "quantity", "price", "note", "modifiers"}


async def test_an_order_stays_the_same_when_its_dish_moves_to_another_station() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        first = await client.order(order(), pad)
        house.menu.dishes = tuple(replace(dish, station="oven", allergens=("celery",)) for dish in DISHES)
        again = await client.order(order(), pad)
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_a_price_that_a_pad_sends_is_refused() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        reply = await client.order(order(items=[{"menu_item_id": "m1", "quantity": 1, "price": 0.01}]), pad)
    assert (reply.status, reply.body["error"]) == (400, "Invalid request")
    assert "items[0].price" in reply.body["detail"]


async def test_the_same_order_again_gets_its_first_answer_whatever_has_changed_since() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        first = await client.order(order(), pad)
        assert (await client.order(order(1, "id-2"), pad)).status == 201
        house.menu.dishes = DISHES[1:]  # the salmon is gone
        for version in (0, 1, 2, 77):
            again = await client.order(order(version), pad)
            assert (again.status, again.body) == (201, first.body)
            assert again.headers["Idempotency-Replayed"] == "true"
    assert len(house.owner.events) == 2


async def test_the_same_order_again_is_recognised_after_the_house_has_lowered_its_limit() -> None:
    house = House()
    pad = await house.seat()
    many = order(items=[{"menu_item_id": "m1", "quantity": 50}])
    async with serving(house) as client:
        assert (await client.order(many, pad)).status == 201
    stricter = House(orders={"max_quantity": 10})
    stricter.owner.rows, stricter.owner.commands = house.owner.rows, house.owner.commands
    async with serving(stricter) as client:
        assert (await client.order(many, pad)).status == 201
        assert (await client.order(many | {"order_id": "id-2", "version": 1}, pad)).body["error"] == "Invalid item"


async def test_an_order_id_with_other_lines_or_notes_is_reused() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        await client.order(order(), pad)
        for other in (
            {"items": [{"menu_item_id": "m1", "quantity": 3}]},
            {"items": [{"menu_item_id": "gone", "quantity": 2}]},
            {"items": [{"menu_item_id": "m1", "quantity": 10**30}]},
            {"items": [{"menu_item_id": "m1", "quantity": 2, "modifiers": ["rare"]}]},
            {"note": "quick"},
        ):
            reply = await client.order(order(**other), pad)
            assert (reply.status, reply.body) == (422, {"error": "Order id reused"})
    assert len(house.owner.events) == 1


async def test_a_stale_version_is_told_the_current_one_and_what_was_missed() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        for version in range(3):
            await client.order(order(version, f"id-{version}"), pad)
        reply = await client.order(order(1, "late"), pad)
    assert (reply.status, reply.body["error"], reply.body["current_version"]) == (409, "Version conflict", 3)
    assert [missed["client_order_id"] for missed in reply.body["missed"]] == ["id-1", "id-2"]
    assert len(house.owner.events) == 3


async def test_missed_orders_are_left_out_while_the_store_lacks_one_or_is_away() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        for version in range(3):
            await client.order(order(version, f"id-{version}"), pad)
        del house.store.orders[house.owner.events[1].order_id]
        assert (await client.order(order(0, "late"), pad)).body == {"error": "Version conflict", "current_version": 3}
        house.store.away = True
        assert (await client.order(order(0, "late"), pad)).body == {"error": "Version conflict", "current_version": 3}


async def test_a_pad_that_is_far_behind_is_sent_to_read_the_table() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        for version in range(101):
            await client.order(order(version, f"id-{version}"), pad)
        assert len((await client.order(order(1, "late"), pad)).body["missed"]) == 100
        assert "missed" not in (await client.order(order(0, "late"), pad)).body


async def test_a_version_that_is_ahead_conflicts_too() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        reply = await client.order(order(7), pad)
    assert (reply.status, reply.body) == (409, {"error": "Version conflict", "current_version": 0})


async def test_refused_items_are_named_and_may_be_ordered_right_under_the_same_id() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        for items, part in (
            ([{"menu_item_id": "m9", "quantity": 1}], "items[0].menu_item_id"),
            ([{"menu_item_id": "m3", "quantity": 1}], "Oysters is sold out"),
            ([{"menu_item_id": "m1", "quantity": 1}, {"menu_item_id": "m1", "quantity": 0}], "items[1].quantity"),
            ([{"menu_item_id": "m1", "quantity": 100}], "1 to 99"),
        ):
            reply = await client.order(order(items=items), pad)
            assert (reply.status, reply.body["error"]) == (400, "Invalid item")
            assert part in reply.body["detail"]
        assert (await client.order(order(), pad)).status == 201


async def test_refused_items_travel_to_the_owner_without_their_lines() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        await client.order(
            order(
                items=[{"menu_item_id": "m1", "quantity": 1}, {"menu_item_id": "x" * 64, "quantity": 1}], note="n" * 200
            ),
            pad,
        )
    refused = house.owner.commands[-1]
    assert (refused.lines, refused.total, refused.note) == ((), 0, "")
    assert len(refused.refusal) < 300


async def test_a_pad_whose_session_is_closed_is_unauthorized_also_for_the_next_party() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        assert (await client.post("/tables/T1/close", "manager")).status == 200
        assert (await client.order(order(), pad)).status == 401
        await house.seat()
        reply = await client.order(order(), pad)
    assert (reply.status, reply.body) == (401, {"error": "Unauthorized"})
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert house.owner.events == []


async def test_two_tables_may_use_the_same_order_id() -> None:
    house = House()
    first, second = await house.seat("T1"), await house.seat("T2")
    async with serving(house) as client:
        one = await client.order(order(table="T1"), first)
        two = await client.order(order(table="T2"), second)
    assert (one.status, two.status) == (201, 201)
    assert one.body["order_id"] != two.body["order_id"]


async def test_only_the_tables_own_pad_orders() -> None:
    house = House()
    await house.seat()
    other = await house.seat("T2")
    async with serving(house) as client:
        for token in (other, "kitchen", "manager", "operator", "worker"):
            reply = await client.order(order(), token)
            assert (reply.status, reply.body) == (403, {"error": "Forbidden"})
        for token in ("", "forged"):
            assert (await client.order(order(), token)).status == 401
        assert (await client.order(order(), "", headers={"Authorization": "Basic cGFkOg=="})).status == 401
    assert house.owner.events == []


async def test_without_an_owner_the_outcome_is_open_and_the_pad_is_told_to_come_again() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        house.owner.away = True
        reply = await client.order(order(), pad)
        assert (reply.status, reply.body["error"], reply.headers["Retry-After"]) == (503, "Service unavailable", "1")
        house.owner.away = False
        assert (await client.order(order(), pad)).status == 201


async def test_nothing_is_asked_of_the_owner_before_the_worker_is_ready() -> None:
    house = House()
    pad = await house.seat()
    asked = len(house.owner.commands)
    house.not_ready = "tables are being recovered"
    async with serving(house) as client:
        reply = await client.order(order(), pad)
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        assert reply.headers["Connection"] == "close"  # the next connection reaches another worker
        assert (await client.order(b"x" * 70_000, "")).status == 413
    assert len(house.owner.commands) == asked


async def test_without_a_menu_no_order_can_be_judged() -> None:
    house = House()
    pad = await house.seat()
    house.menu.dishes = None
    async with serving(house) as client:
        assert (await client.order(order(), pad)).status == 503


async def test_an_order_is_read_as_json_whatever_its_content_type_says() -> None:
    house = House()
    pad = await house.seat()
    body = b'{"table_number":"T1","items":[{"menu_item_id":"m1","quantity":2}],"version":0,"order_id":"id-1"}'
    async with serving(house) as client:
        for content_type in ("application/x-www-form-urlencoded", "text/plain", "nonsense"):
            assert (await client.order(body, pad, headers={"Content-Type": content_type})).status == 201


async def test_modifiers_and_notes_are_taken_and_modifiers_priced() -> None:
    house = House()
    house.menu.dishes = [STEAK]
    pad = await house.seat()
    items = [{"menu_item_id": "m4", "quantity": 2, "modifiers": ["rare", "aioli"], "note": "für Zoë 🐟\n"}]
    async with serving(house) as client:
        assert (await client.order(order(items=items, note=""), pad)).status == 201
    [line] = house.owner.events[0].lines
    assert (line.modifiers, line.note, line.price) == (("rare", "aioli"), "für Zoë 🐟\n", 3300)
    assert house.owner.events[0].total == 6600


@pytest.mark.parametrize(
    ("modifiers", "wrong"),
    [
        ([], "1 of 'Doneness' (rare, well) must be chosen, not 0"),
        (["rare", "well"], "1 of 'Doneness' (rare, well) must be chosen, not 2"),
        (["rare", "ketchup"], "there is no modifier 'ketchup'"),
        (["rare", "aioli", "aioli"], "'aioli' is chosen twice"),
    ],
)
async def test_a_choice_that_the_dish_does_not_have_is_refused(modifiers: list[str], wrong: str) -> None:
    house = House()
    house.menu.dishes = [STEAK]
    pad = await house.seat()
    async with serving(house) as client:
        refused = await client.order(order(items=[{"menu_item_id": "m4", "quantity": 1, "modifiers": modifiers}]), pad)
        assert refused.status == 400
        assert refused.body == {"error": "Invalid item", "detail": f"items[0].modifiers: Steak: {wrong}"}


async def test_an_order_at_a_price_that_is_no_longer_true_gets_the_new_lines() -> None:
    house = House()
    pad = await house.seat()
    house.menu.dishes = [replace(DISHES[0], price=1950), *DISHES[1:]]
    async with serving(house) as client:
        refused = await client.order(order(menu_revision=1), pad)
        assert refused.status == 409
        told = refused.body
        assert (told["error"], told["menu_revision"], told["total"]) == ("Menu changed", 2, 39.0)
        assert [(line["menu_item_id"], line["price"], line["quantity"]) for line in told["items"]] == [("m1", 19.5, 2)]
        assert house.owner.events == []
        assert (await client.order(order(menu_revision=2), pad)).status == 201
    assert house.watch.outcomes == ["menu_changed", "accepted"]


async def test_a_change_of_another_dish_or_of_a_text_is_no_surprise_on_the_bill() -> None:
    house = House()
    pad = await house.seat()
    house.menu.dishes = [replace(DISHES[0], description="With lime"), replace(DISHES[1], price=1), DISHES[2]]
    async with serving(house) as client:
        assert (await client.order(order(menu_revision=1), pad)).status == 201


async def test_a_pad_that_does_not_say_what_it_showed_orders_at_the_menus_price() -> None:
    house = House()
    pad = await house.seat()
    house.menu.dishes = [replace(DISHES[0], price=1950)]
    async with serving(house) as client:
        assert (await client.order(order(), pad)).status == 201
    assert house.owner.events[0].total == 3900


async def test_an_accepted_order_is_answered_as_before_also_at_an_old_price() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        first = (await client.order(order(menu_revision=1), pad)).body
        house.menu.dishes = [replace(DISHES[0], price=1950)]
        again = await client.order(order(menu_revision=1), pad)
        assert (again.status, again.body) == (201, first)


async def test_a_revision_that_nobody_here_knows_is_told_as_a_change() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        refused = await client.order(order(menu_revision=9), pad)
        assert (refused.status, refused.body["error"]) == (409, "Menu changed")


async def test_every_request_is_counted_once_by_what_it_was_answered() -> None:
    house = House(orders={"body_limit": 2000})
    pad = await house.seat()

    async with serving(house) as client:
        await client.order(order(), pad)
        await client.order(order(), pad)
        await client.order(order(note="another"), pad)
        await client.order(order(order_id="id-2"), pad)
        await client.order(order(1, "id-3", items=[{"menu_item_id": "m9", "quantity": 1}]), pad)
        await client.order(b"{", pad)
        await client.order(order(), "nobody")
        await client.order(order(table="T2"), pad)
        await client.order(b" " * 2001, pad)
        await client.order(order(), "pad/T1/0")
        house.not_ready = "stopping"
        await client.order(order(), pad)
        house.not_ready, house.owner.away = None, True
        await client.order(order(), pad)
        house.owner.away, house.menu.dishes = False, None
        await client.order(order(), pad)
        house.menu.dishes = DISHES
        del house.owner.rows
        with structlog.testing.capture_logs():
            assert (await client.order(order(), pad)).status == 500
        assert (await client.get("/orders", pad)).status == 405
    assert house.watch.outcomes == [
        "accepted",
        "replayed",
        "id_reused",
        "version_conflict",
        "invalid_item",
        "invalid_request",
        "unauthorized",
        "forbidden",
        "too_large",
        "session_closed",
        "unavailable",
        "unavailable",
        "unavailable",
        "fault",
    ]


async def test_a_request_that_is_refused_before_its_body_came_is_counted_too() -> None:
    house = House(orders={"body_limit": 2000})
    pad = await house.seat()
    body = json.dumps(order()).encode()
    async with serving(house) as client:
        for size, expect in ((len(body), "100-continue"), (2001, "100-continue"), (len(body), "a miracle")):
            await expecting(client.url, pad, size, expect, body)
    assert house.watch.outcomes == ["accepted", "too_large", "invalid_request"]


async def expecting(url: str, token: str, size: int, expect: str, body: bytes) -> None:
    """Send a request, and its body once it was asked for."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    writer.write(f"{head}Content-Length: {size}\r\nExpect: {expect}\r\n\r\n".encode())
    line = await reader.readline()
    if b" 100 " in line:
        writer.write(body)
        assert await reader.readline() == b"\r\n"
        line = await reader.readline()
    assert line.startswith(b"HTTP/1.1 ")
    writer.close()
    await writer.wait_closed()


async def test_the_way_to_the_log_is_timed_for_one_order_in_eight() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        for version in range(17):
            assert (await client.order(order(version, f"id-{version}"), pad)).status == 201
    assert house.watch.parts == ["edge", "edge"]


async def test_nothing_is_sent_to_the_owner_for_a_guest_who_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    pad = await house.seat()
    commands, is_read = len(house.owner.commands), asyncio.Event()

    async def read_until_the_guest_has_gone(request: web.Request, limit: int) -> bytes | None:
        body = await read_body(request, limit)
        while request.transport is not None:  # noqa: ASYNC110 - the server's loop is this one
            await asyncio.sleep(0)
        is_read.set()
        return body

    monkeypatch.setattr("app.web.orders.read_body", read_until_the_guest_has_gone)
    body = json.dumps(order()).encode()
    head = f"POST /orders HTTP/1.1\r\nHost: bistro\r\nAuthorization: Bearer {pad}\r\nContent-Length: {len(body)}\r\n"
    async with serving(house) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
        writer.write(head.encode() + b"X-Odd: so that it is aiohttp's\r\n\r\n" + body)
        await asyncio.sleep(0.02)
        writer.transport.abort()
        await is_read.wait()
        await asyncio.sleep(0)
        assert len(house.owner.commands) == commands
        assert house.watch.outcomes == []

"""Reading the menu, orders and tables: who may read what, and what is answered while a part is away."""

from dataclasses import replace
from typing import Any

import pytest

from app.domain.menu import MenuItem
from tests.house import Client, House, order, serving


async def placed(client: Client, pad: str, count: int = 3) -> list[str]:
    ids = []
    for version in range(count):
        reply = await client.order(order(version, f"id-{version}"), pad)
        assert reply.status == 201
        ids.append(reply.body["order_id"])
    return ids


async def test_the_menu_is_public_and_its_prices_are_exact() -> None:
    house = House()
    async with serving(house) as client:
        reply = await client.get("/menu_items")
    assert reply.status == 200
    assert reply.body[0] == {
        "id": "m1",
        "name": "Grilled Salmon",
        "price": 18.99,
        "category": "Mains",
        "station": "grill",
        "description": "With lemon",
        "allergens": ["fish"],
        "available": True,
        "modifier_groups": [],
        "tax_rate": 0,
        "revision": 1,
    }
    assert [dish["id"] for dish in reply.body] == ["m1", "m2", "m3"]
    assert list(reply.body[0])[:3] == ["id", "name", "price"]


async def test_a_new_menu_is_shown_and_no_menu_is_a_failed_fetch() -> None:
    house = House()
    async with serving(house) as client:
        await client.get("/menu_items")
        house.menu.dishes = (MenuItem("m7", "Tarte Tatin", 990, "Desserts", "cold", "Warm"),)
        assert [dish["id"] for dish in (await client.get("/menu_items")).body] == ["m7"]
        house.menu.dishes = None
        reply = await client.get("/menu_items")
    assert (reply.status, reply.body) == (500, {"error": "Fetch failed"})


async def test_yen_have_no_digits_after_the_point() -> None:
    house = House(restaurant={"currency": "JPY"})
    pad = await house.seat()
    async with serving(house) as client:
        assert (await client.get("/menu_items")).body[0]["price"] == 1899
        [order_id] = await placed(client, pad, 1)
        assert (await client.get(f"/orders/{order_id}", pad)).body["total"] == 3798


async def test_an_order_reads_as_it_was_placed() -> None:
    house = House()
    pad = await house.seat()
    items = [{"menu_item_id": "m2", "quantity": 1}, {"menu_item_id": "m1", "quantity": 3, "note": "rare"}]
    async with serving(house) as client:
        order_id = (await client.order(order(items=items), pad)).body["order_id"]
        reply = await client.get(f"/orders/{order_id}", pad)
    lines: list[dict[str, Any]] = reply.body.pop("items")
    assert reply.body.pop("placed_at").endswith("Z")
    assert reply.body == {
        "order_id": order_id,
        "client_order_id": "id-1",
        "table_number": "T1",
        "session": 1,
        "version": 1,
        "status": "received",
        "total": 65.47,
        "currency": "EUR",
        "note": "",
    }
    assert [(line["line_id"], line["menu_item_id"], line["price"], line["note"]) for line in lines] == [
        ("1", "m2", 8.5, ""),
        ("2", "m1", 18.99, "rare"),
    ]


async def test_an_acknowledged_order_is_found_while_the_store_lags_or_is_away() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        [order_id] = await placed(client, pad, 1)
        path = f"/orders/{order_id}"
        house.store.orders.clear()
        for token in (pad, "manager"):
            assert (await client.get(path, token)).status == 200
        house.store.away = True
        for token in (pad, "manager"):
            assert (await client.get(path, token)).status == 200
        house.owner.forgotten = True  # an old order: only the store, which is away, could tell
        assert (await client.get(path, "manager")).status == 503
        house.store.away = False
        assert (await client.get(path, "manager")).status == 404


async def test_an_old_order_is_found_in_the_store_alone_and_without_its_owner_by_staff() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        [order_id] = await placed(client, pad, 1)
        house.owner.forgotten = True
        assert (await client.get(f"/orders/{order_id}", pad)).status == 200
        house.owner.away = True
        assert (await client.get(f"/orders/{order_id}", "kitchen")).status == 200
        assert (await client.get(f"/orders/o{'0' * 32}", "kitchen")).status == 503


async def test_a_pad_reads_its_own_tables_orders_only() -> None:
    house = House()
    pad, other = await house.seat("T1"), await house.seat("T2")
    async with serving(house) as client:
        [order_id] = await placed(client, pad, 1)
        for lagging in (False, True):
            if lagging:
                house.store.orders.clear()
            assert (await client.get(f"/orders/{order_id}", other)).status == 404
            for role in ("kitchen", "manager", "operator"):
                assert (await client.get(f"/orders/{order_id}", role)).status == 200
        for path in ("/tables/T1", "/tables/T1/orders"):
            assert (await client.get(path, other)).status == 403
            assert (await client.get(path, pad)).status == 200
            assert (await client.get(path, "kitchen")).status == 200


@pytest.mark.parametrize("path", ["/orders/o" + "0" * 32, "/tables/T1", "/tables/T1/orders"])
async def test_reading_needs_a_token_that_holds(path: str) -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        assert (await client.get(path)).status == 401
        assert (await client.get(path, "forged")).status == 401
        assert (await client.get(path, "worker")).status == 403
        await client.post("/tables/T1/close", "manager")
        assert (await client.get(path, pad)).status == 401
        await house.seat()
        assert (await client.get(path, pad)).status == 401


async def test_the_next_party_does_not_see_the_orders_of_the_one_before() -> None:
    house = House()
    first = await house.seat()
    async with serving(house) as client:
        [order_id] = await placed(client, first, 1)
        await client.post("/tables/T1/close", "manager")
        second = await house.seat()
        assert (await client.get(f"/orders/{order_id}", second)).status == 404
        assert (await client.get("/tables/T1/orders", second)).body == []


@pytest.mark.parametrize("order_id", ["x", "o12", "O" + "0" * 32, "o" + "g" * 32, "%00", "o" + "0" * 33, "..%2f"])
async def test_what_is_no_order_id_is_not_found(order_id: str) -> None:
    house = House()
    async with serving(house) as client:
        assert (await client.get(f"/orders/{order_id}", "manager")).status == 404


async def test_a_table_tells_its_session_version_and_total() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        await placed(client, pad, 2)
        reply = await client.get("/tables/T1", pad)
        assert reply.body == {
            "table_number": "T1",
            "session": 1,
            "open": True,
            "version": 2,
            "total": 75.96,
            "currency": "EUR",
        }
        await client.post("/tables/T1/close", "manager")
        assert (await client.get("/tables/T1", "manager")).body == reply.body | {"open": False}


@pytest.mark.parametrize("table", ["T9", "a%20b", "x" * 65, "%00", "%C3%BC"])
async def test_a_table_that_was_never_opened_is_not_found(table: str) -> None:
    house = House()
    async with serving(house) as client:
        assert (await client.get(f"/tables/{table}", "manager")).status == 404
        assert (await client.get(f"/tables/{table}/orders", "manager")).status == 404


async def test_a_tables_orders_are_complete_or_unavailable_but_never_have_a_hole() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        ids = await placed(client, pad, 5)

        async def listed() -> list[str] | int:
            reply = await client.get("/tables/T1/orders", pad)
            return [one["order_id"] for one in reply.body] if reply.status == 200 else reply.status

        assert await listed() == ids
        del house.store.orders[ids[1]], house.store.orders[ids[4]]
        assert await listed() == ids
        house.store.away = True
        assert await listed() == ids
        house.owner.forgotten = True
        assert await listed() == 503
        house.store.away = False
        assert await listed() == 503


async def test_a_table_is_unavailable_without_its_owner() -> None:
    house = House()
    pad = await house.seat()
    house.owner.away = True
    async with serving(house) as client:
        for path in ("/tables/T1", "/tables/T1/orders"):
            reply = await client.get(path, pad)
            assert (reply.status, reply.headers["Retry-After"]) == (503, "1")


async def test_a_cancelled_order_reads_so_as_its_owner_knows_or_the_store() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        first, second, third = await placed(client, pad)
        house.owner.rows["T1"] = replace(house.owner.rows["T1"], cancelled=(2,), total=2 * 3798)
        house.store.cancelled.add(third)
        orders = (await client.get("/tables/T1/orders", pad)).body
        assert [order["status"] for order in orders] == ["received", "cancelled", "received"]  # as the owner says
        assert [order["version"] for order in orders] == [1, 2, 3]
        assert (await client.get("/tables/T1", pad)).body["total"] == 75.96
        for token, known in ((pad, "cancelled"), ("manager", "received")):  # for staff no owner is asked
            assert (await client.get(f"/orders/{second}", token)).body["status"] == known
        assert (await client.get(f"/orders/{third}", "manager")).body["status"] == "cancelled"
        house.store.orders.clear()
        for token in (pad, "manager"):
            assert (await client.get(f"/orders/{second}", token)).body["status"] == "cancelled"
            assert (await client.get(f"/orders/{first}", token)).body["status"] == "received"


async def test_a_pad_that_missed_a_cancelled_order_is_told_so() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        _, second, _ = await placed(client, pad)
        house.store.cancelled.add(second)
        conflict = await client.order(order(0, "late"), pad)
    assert [missed["status"] for missed in conflict.body["missed"]] == ["received", "cancelled", "received"]

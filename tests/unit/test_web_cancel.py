"""Cancelling an order: who may, what the kitchen says, and what is read of it afterwards."""

from dataclasses import replace

import pytest

from tests.house import Client, House, order, serving


async def placed(client: Client, pad: str, version: int = 0, table: str = "T1") -> str:
    reply = await client.order(order(version, f"id-{version}", table), pad)
    assert reply.status == 201
    return str(reply.body["order_id"])


async def cancel(client: Client, order_id: str, token: str, **more: object) -> tuple[int, object]:
    reply = await client.send("DELETE", f"/orders/{order_id}", token, **more)
    return reply.status, reply.body


@pytest.mark.parametrize("who", ["pad", "kitchen", "manager", "operator"])
async def test_an_order_is_cancelled_by_its_table_or_the_staff_and_reads_so(who: str) -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        first, second = await placed(client, pad), await placed(client, pad, 1)
        done = (200, {"order_id": first, "status": "cancelled"})
        assert await cancel(client, first, pad if who == "pad" else who, headers={"X-Request-Id": "pad-7"}) == done
        assert (await client.get(f"/orders/{first}", pad)).body["status"] == "cancelled"
        assert (await client.get(f"/orders/{second}", pad)).body["status"] == "received"
        table = (await client.get("/tables/T1", pad)).body
        assert (table["version"], table["total"]) == (2, 37.98)
        again = await client.order(order(0, "id-0"), pad)
        assert (again.status, again.body["status"]) == (201, "received")
    [command] = house.kitchen.asked
    assert (command.table, command.session, command.version, command.total) == ("T1", 1, 1, 3798)
    assert (command.order_id, command.by, command.trace, command.reply_to) == (first, who, "pad-7", "unix:house")


async def test_one_that_is_known_to_be_cancelled_is_answered_without_the_kitchen() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        first, second = await placed(client, pad), await placed(client, pad, 1)
        done = await cancel(client, first, pad)
        house.kitchen.away = True
        assert await cancel(client, first, pad) == done
        house.store.cancelled.add(second)
        assert (await cancel(client, second, "manager"))[0] == 200


async def test_the_kitchen_says_when_a_cook_has_begun() -> None:
    house = House()
    pad = await house.seat()
    house.kitchen.outcome, house.kitchen.detail = "cannot_cancel", "grill has begun"
    async with serving(house) as client:
        order_id = await placed(client, pad)
        assert await cancel(client, order_id, pad) == (409, {"error": "Cannot cancel", "detail": "grill has begun"})
        assert (await client.get(f"/orders/{order_id}", pad)).body["status"] == "received"


@pytest.mark.parametrize("outcome", ["unknown", "not_found", "away"])
async def test_an_order_that_stands_is_not_denied_whatever_the_kitchen_knows(outcome: str) -> None:
    house = House()
    pad = await house.seat()
    house.kitchen.outcome, house.kitchen.away = outcome, outcome == "away"
    async with serving(house) as client:
        reply = await client.send("DELETE", f"/orders/{await placed(client, pad)}", pad)
    assert (reply.status, reply.body) == (503, {"error": "Service unavailable"})
    assert reply.headers["Retry-After"]


async def test_only_ones_own_order_and_only_while_the_session_is_open() -> None:
    house = House()
    pad, other = await house.seat(), await house.seat("T2")
    async with serving(house) as client:
        order_id = await placed(client, pad)
        assert (await cancel(client, order_id, other))[0] == 404
        for unknown in ("o" + "0" * 32, "o1", "x"):
            assert (await cancel(client, unknown, pad))[0] == 404
            assert (await cancel(client, unknown, "manager"))[0] == 404
        assert (await cancel(client, order_id, ""))[0] == 401
        assert (await cancel(client, order_id, "worker"))[0] == 403
        assert (await client.post("/tables/T1/close", "manager")).status == 200
        assert (await cancel(client, order_id, pad))[0] == 401
        assert house.kitchen.asked == []
        assert (await cancel(client, order_id, "manager"))[0] == 200  # a bill is put right after the party has left


async def test_an_order_is_found_at_its_owner_while_the_store_lags_or_is_away() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        first, second = await placed(client, pad), await placed(client, pad, 1)
        house.store.orders.clear()
        assert (await cancel(client, first, "manager"))[0] == 200
        assert (await cancel(client, first, "manager"))[0] == 200
        assert len(house.kitchen.asked) == 1  # its owner's row tells
        house.store.away = True
        assert (await cancel(client, second, pad))[0] == 200
        house.owner.forgotten = True
        assert (await cancel(client, second, pad))[0] == 503


async def test_a_cancel_has_no_body_and_none_is_made_while_the_worker_is_not_ready() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        order_id = await placed(client, pad)
        assert (await cancel(client, order_id, pad, data=b"{}"))[0] == 400
        assert (await cancel(client, order_id, pad, data=b"x" * 70_000))[0] == 413
        house.not_ready = "recovering"
        assert (await cancel(client, order_id, pad))[0] == 503
    assert house.kitchen.asked == []


async def test_an_order_of_a_session_before_is_the_staffs() -> None:
    house = House()
    first = await house.seat()
    async with serving(house) as client:
        order_id = await placed(client, first)
        await client.post("/tables/T1/close", "manager")
        second = await house.seat()
        assert (await cancel(client, order_id, second))[0] == 404
        house.owner.rows["T1"] = replace(house.owner.rows["T1"], cancelled=(1,))  # of this session, not of that one
        assert (await client.get(f"/orders/{order_id}", "manager")).body["status"] == "received"
        assert (await cancel(client, order_id, "manager"))[0] == 200

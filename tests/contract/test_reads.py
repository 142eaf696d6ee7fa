"""Reading from the running stack: what was acknowledged is there at once, and only for those who may see it."""

import pytest

from app.adapters.tokens import SignedTokens
from app.bench.load import orderable
from tests.contract.conftest import Table, opened
from tests.house import Client

pytestmark = pytest.mark.stack


async def test_an_acknowledged_order_is_readable_at_once_at_every_worker(
    table: Table, workers: list[Client], tokens: SignedTokens
) -> None:
    order_id = (await table.order(items=[{"menu_item_id": "m1", "quantity": 2, "note": "rare"}])).body["order_id"]
    for worker in workers:
        for token in (table.pad, tokens.sign("kitchen"), tokens.sign("manager")):
            reply = await worker.get(f"/orders/{order_id}", token)
            assert reply.status == 200
            assert (reply.body["order_id"], reply.body["table_number"], reply.body["version"]) == (
                order_id,
                table.number,
                1,
            )
            assert (reply.body["items"][0]["line_id"], reply.body["items"][0]["note"]) == ("1", "rare")


async def test_a_table_and_its_orders_are_those_of_the_last_acknowledgement(
    table: Table, workers: list[Client]
) -> None:
    ids = []
    for version in range(40):  # more than a row keeps, read while the store may still lag
        ids.append((await table.order(version, f"id-{version}")).body["order_id"])
    for worker in workers:
        state = (await worker.get(f"/tables/{table.number}", table.pad)).body
        assert (state["session"], state["version"], state["open"]) == (1, 40, True)
        listed = await worker.get(f"/tables/{table.number}/orders", table.pad)
        assert [order["order_id"] for order in listed.body] == ids
        assert round(sum(order["total"] for order in listed.body), 2) == state["total"]


async def test_a_pad_sees_nothing_of_another_table(table: Table, client: Client, tokens: SignedTokens) -> None:
    order_id = (await table.order()).body["order_id"]
    other = await opened(client, tokens)
    assert (await client.get(f"/orders/{order_id}", other.pad)).status == 404
    assert (await client.get(f"/tables/{table.number}", other.pad)).status == 403
    assert (await client.get(f"/tables/{table.number}/orders", other.pad)).status == 403
    assert (await client.get(f"/orders/{order_id}")).status == 401


async def test_what_does_not_exist_is_not_found(client: Client, tokens: SignedTokens) -> None:
    manager = tokens.sign("manager")
    for path in ("/orders/o" + "0" * 32, "/orders/x", "/tables/C-never-opened", "/nothing"):
        assert (await client.get(path, manager)).status == 404
    assert (await client.get("/orders")).status == 405


async def test_the_menu_has_forty_dishes_that_can_be_ordered(table: Table, client: Client) -> None:
    menu = (await client.get("/menu_items")).body
    assert len(menu) >= 40
    assert len({dish["id"] for dish in menu}) == len(menu)
    simple = set(orderable(menu))
    dishes = [dish for dish in menu if dish["id"] in simple][:100]
    assert len(dishes) >= 40
    items = [{"menu_item_id": dish["id"], "quantity": 1} for dish in dishes]
    placed = await table.order(items=items)
    assert placed.status == 201
    read = (await client.get(f"/orders/{placed.body['order_id']}", table.pad)).body
    assert [line["price"] for line in read["items"]] == [dish["price"] for dish in dishes]


async def test_a_worker_says_that_it_is_ready_and_describes_itself(workers: list[Client]) -> None:
    for worker in workers:
        ready = await worker.get("/health/ready")
        assert (ready.status, ready.body["status"]) == (200, "ready")
        checks = {"assigned", "recovered", "menu", "lag", "watchdog", "redis", "cassandra"}
        assert checks == set(ready.body["checks"])
        assert (await worker.get("/health/live")).status == 200
        assert (await worker.get("/openapi.json")).status == 200
        assert (await worker.get("/docs")).status == 200

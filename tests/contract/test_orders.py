"""Every status of `POST /orders`, against the running stack."""

import asyncio
import time

import pytest

from app.adapters.tokens import Keys, SignedTokens
from app.settings import Settings
from tests.bad_input import WRONG, Wrong
from tests.contract.conftest import Events, Table, opened
from tests.house import Client

pytestmark = pytest.mark.stack


async def test_an_order_is_received_and_in_the_log_when_it_is_acknowledged(table: Table, events: Events) -> None:
    reply = await table.order()
    assert (reply.status, reply.body["status"], reply.body["version"]) == (201, "received", 1)
    [event] = events.placed_at(table.number)
    assert (event.order_id, event.version, event.client_order_id) == (reply.body["order_id"], 1, "id-1")


async def test_fifty_orders_in_order_have_the_versions_one_to_fifty(table: Table, events: Events) -> None:
    for version in range(50):
        reply = await table.order(version, f"id-{version}")
        assert (reply.status, reply.body["version"]) == (201, version + 1)
    assert [event.version for event in events.placed_at(table.number)] == list(range(1, 51))


async def test_of_many_orders_for_one_version_one_is_accepted(table: Table, events: Events) -> None:
    replies = await asyncio.gather(*(table.order(0, f"id-{guest}") for guest in range(20)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 19
    assert len(events.placed_at(table.number)) == 1


async def test_one_order_sent_many_times_at_once_is_placed_once(table: Table, events: Events) -> None:
    replies = await asyncio.gather(*(table.order() for _ in range(10)))
    assert {reply.status for reply in replies} == {201}
    assert len({reply.body["order_id"] for reply in replies}) == 1
    assert sum("Idempotency-Replayed" in reply.headers for reply in replies) == 9
    assert len(events.placed_at(table.number)) == 1


async def test_an_order_gets_its_first_answer_again_after_many_more_and_with_any_version(table: Table) -> None:
    first = await table.order(0, "first")
    for version in range(1, 101):
        assert (await table.order(version, f"id-{version}")).status == 201
    for version in (0, 101, 7):
        again = await table.order(version, "first")
        assert (again.status, again.body) == (201, first.body)
        assert again.headers["Idempotency-Replayed"] == "true"


async def test_every_worker_takes_orders_for_every_table(
    workers: list[Client], client: Client, tokens: SignedTokens, events: Events
) -> None:
    for table in [await opened(client, tokens) for _ in range(8)]:
        first = None
        for version, worker in enumerate(workers):
            reply = await worker.order(table.body(version, f"id-{version}"), table.pad)
            assert (reply.status, reply.body["version"]) == (201, version + 1)
            first = first or reply.body
        for worker in workers:  # wherever an order is sent again, its first answer is known
            again = await worker.order(table.body(0, "id-0"), table.pad)
            assert (again.status, again.body) == (201, first)
            assert (await worker.get(f"/tables/{table.number}", table.pad)).body["version"] == len(workers)
        assert len(events.placed_at(table.number)) == len(workers)


async def test_a_stale_version_conflicts_and_soon_learns_what_it_missed(table: Table) -> None:
    for version in range(3):
        await table.order(version, f"id-{version}")
    deadline = time.monotonic() + 20
    while True:
        reply = await table.order(1, "late")
        assert (reply.status, reply.body["error"], reply.body["current_version"]) == (409, "Version conflict", 3)
        if "missed" in reply.body:
            break
        assert time.monotonic() < deadline, "the store never had the orders in between"
        await asyncio.sleep(0.05)
    assert [missed["client_order_id"] for missed in reply.body["missed"]] == ["id-1", "id-2"]


async def test_an_order_id_with_other_lines_is_reused(table: Table, events: Events) -> None:
    await table.order()
    reply = await table.order(1, items=[{"menu_item_id": "m1", "quantity": 3}])
    assert (reply.status, reply.body) == (422, {"error": "Order id reused"})
    assert len(events.placed_at(table.number)) == 1


async def test_an_unknown_dish_under_an_accepted_id_is_reused_and_not_invalid(table: Table) -> None:
    await table.order()
    assert (await table.order(items=[{"menu_item_id": "no-such-dish", "quantity": 2}])).status == 422


async def test_refusals_are_not_remembered(table: Table) -> None:
    assert (await table.order(5)).status == 409
    assert (await table.order(items=[{"menu_item_id": "no-such-dish", "quantity": 1}])).status == 400
    assert (await table.order()).status == 201


async def test_a_token_must_hold_and_be_of_the_table_and_role(
    table: Table, client: Client, tokens: SignedTokens, settings: Settings, events: Events
) -> None:
    keys = Keys(settings.keys_dir, settings.tokens.live_keys)
    expired = SignedTokens(keys, issuer="bistro92", audience="bistro92", ttl_seconds=-60)
    foreign = SignedTokens(keys, issuer="bistro92", audience="elsewhere", ttl_seconds=60)
    forged = table.pad[:-6] + ("AAAAAA" if not table.pad.endswith("AAAAAA") else "BBBBBB")
    for token in ("", "x", forged, expired.sign("pad", table.number, 1), foreign.sign("pad", table.number, 1)):
        reply = await client.order(table.body(), token)
        assert (reply.status, reply.body) == (401, {"error": "Unauthorized"})
    for token in (tokens.sign("pad", "C-other", 1), *map(tokens.sign, ("kitchen", "manager", "operator", "worker"))):
        reply = await client.order(table.body(), token)
        assert (reply.status, reply.body) == (403, {"error": "Forbidden"})
    assert events.placed_at(table.number) == []


async def test_a_token_ends_with_its_session_and_the_next_party_begins_at_version_zero(
    table: Table, client: Client, tokens: SignedTokens, events: Events
) -> None:
    assert (await table.order()).status == 201
    manager = tokens.sign("manager")
    closed = await client.post(f"/tables/{table.number}/close", manager)
    assert (closed.status, closed.body["open"]) == (200, False)
    assert (await table.order(1, "id-2")).status == 401
    again = await client.post(f"/tables/{table.number}/open", manager)
    assert (again.status, again.body["session"], again.body["version"]) == (201, 2, 0)
    assert (await table.order(0, "id-2")).status == 401
    reply = await client.order(table.body(), tokens.sign("pad", table.number, 2))
    assert (reply.status, reply.body["version"]) == (201, 1)
    assert [(event.session, event.version) for event in events.placed_at(table.number)] == [(1, 1), (2, 1)]


async def test_a_new_key_is_known_to_every_worker_and_pads_stay_logged_in(
    table: Table, workers: list[Client], settings: Settings
) -> None:
    keys = Keys(settings.keys_dir, settings.tokens.live_keys)
    keys.rotate()
    renewed = SignedTokens(keys, issuer="bistro92", audience="bistro92", ttl_seconds=60)
    for worker in workers:
        deadline = time.monotonic() + 10  # a worker looks for new keys once a second
        while (await worker.get(f"/tables/{table.number}", renewed.sign("kitchen"))).status != 200:
            assert time.monotonic() < deadline, "the new key stayed unknown"
            await asyncio.sleep(0.05)
        assert (await worker.get(f"/tables/{table.number}", table.pad)).status == 200


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
async def test_a_wrong_order_is_refused_reaches_no_event_and_the_workers_go_on(
    wrong: Wrong, table: Table, workers: list[Client], events: Events
) -> None:
    for version, worker in enumerate(workers):
        reply = await worker.order(wrong.body(table.body(version, f"id-{version}")), table.pad)
        assert (reply.status, reply.body["error"]) == (wrong.status, wrong.error)
        if wrong.status == 400:
            assert wrong.detail in reply.body["detail"]
        assert (await worker.order(table.body(version, f"id-{version}"), table.pad)).status == 201
    assert [event.client_order_id for event in events.placed_at(table.number)] == [
        f"id-{version}" for version in range(len(workers))
    ]

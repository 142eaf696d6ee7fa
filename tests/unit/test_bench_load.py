"""The load generator against a small restaurant of its own, which keeps the contract or breaks it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.bench import burst, endurance, idle, load, menu, mixed, runs
from app.bench.guest import Shares

SHARES = Shares(duplicates=0.3, stale=0.3, replays=0.3)


class Restaurant:
    """Tables in memory, as the contract says; `fault` breaks one promise."""

    def __init__(self, fault: str = "", *, is_first_form: bool = False) -> None:
        """`is_first_form`: it tells no version, and its tables cannot be read."""
        self.fault = fault
        self.is_first_form = is_first_form
        self.menus = 0
        self.tables: dict[str, list[str]] = {}
        self.requests = 0

    async def order(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests += 1
        if self.fault == "unavailable" and self.requests % 3 == 0:
            return web.json_response({"error": "Service unavailable"}, status=503)
        if self.fault == "hangs up" and self.requests % 5 == 0:
            assert request.transport is not None
            request.transport.abort()
        accepted = self.tables.setdefault(body["table_number"], [])
        await asyncio.sleep(0)  # twins meet here
        known = body["order_id"] in accepted and self.fault != "forgets"
        if not known:
            if body["version"] != len(accepted) and self.fault != "takes any version":
                conflict: dict[str, Any] = {"error": "Version conflict"}
                if not self.is_first_form:
                    conflict["current_version"] = len(accepted)
                return web.json_response(conflict, status=409)
            accepted.append(body["order_id"])
        place = accepted.index(body["order_id"]) + 1
        headers = {"Idempotency-Replayed": "true"} if known and self.fault != "marks no replay" else {}
        answer: dict[str, Any] = {"order_id": f"o{place}", "status": "received"}
        if not self.is_first_form:
            answer["version"] = place
        return web.json_response(answer, status=201, headers=headers)

    async def table(self, request: web.Request) -> web.Response:
        if self.is_first_form:
            return web.json_response({"error": "Not found"}, status=404)
        return web.json_response({"version": len(self.tables.get(request.match_info["table"], []))})

    async def menu(self, request: web.Request) -> web.Response:
        self.menus += 1
        if self.fault == "no prices" and self.menus > 5:
            return web.json_response([{"id": "m1", "name": "Soup"}])
        return web.json_response([{"id": "m1", "name": "Soup", "price": 5.5}, {"id": "m2", "name": "Stew", "price": 9}])

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        app = web.Application()
        app.add_routes([web.post("/orders", self.order), web.get("/menu_items", self.menu)])
        app.add_routes([web.get("/tables/{table}", self.table)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()


async def run(restaurant: Restaurant, **fields: Any) -> load.Result:
    tokens = [(f"T{number}", "token") for number in range(4)]
    async with restaurant.open() as url:
        plan = load.Plan(url=url, tokens=tokens, **{"seconds": 0.5, "shares": SHARES, **fields})
        return await load.run(plan)


@pytest.mark.parametrize("fault", ["", "unavailable", "hangs up"])
async def test_a_restaurant_that_keeps_the_contract_is_found_to(fault: str, tmp_path: Path) -> None:
    restaurant = Restaurant(fault)
    result = await run(restaurant, acks=tmp_path / "acks")
    assert result.violations == 0, result.first_violations
    assert result.unknown == 0
    assert result.orders > 0
    assert set(result.kinds) == {"sent again later", "sent twice at once", "stale version"}
    assert ("503" in result.answers, "lost" in result.answers) == (fault == "unavailable", fault == "hangs up")
    acks = [json.loads(line) for line in (tmp_path / "acks").read_text().splitlines()]
    told = {(ack["table"], ack["version"], ack["client_order_id"]) for ack in acks}
    kept = {(table, n, order) for table, orders in restaurant.tables.items() for n, order in enumerate(orders, 1)}
    assert told == kept
    assert len(acks) == len(kept)


@pytest.mark.parametrize("fault", ["forgets", "takes any version", "marks no replay"])
async def test_a_restaurant_that_breaks_the_contract_is_found_to(fault: str) -> None:
    result = await run(Restaurant(fault), seconds=3)  # long enough for some of each kind on a machine without time
    assert result.violations > 0
    assert result.first_violations


async def test_at_a_rate_every_order_that_is_due_is_placed() -> None:
    restaurant = Restaurant()
    result = await run(restaurant, rate=200, shares=Shares(), warmup=0.2)
    assert result.violations == 0, result.first_violations
    assert result.answers == {"201": result.orders}
    assert sum(map(len, restaurant.tables.values())) >= 100  # of 140 that are due in 0.7 s on a machine with time


async def test_a_server_that_is_not_there_is_said() -> None:
    plan = load.Plan(url="http://127.0.0.1:1", tokens=[("T1", "token")], seconds=1)
    with pytest.raises(load.LoadError, match="does not answer"):
        await load.run(plan)


def plan_of(url: str, **fields: Any) -> load.Plan:
    tokens = [(f"T{number}", "token") for number in range(4)]
    return load.Plan(url=url, tokens=tokens, **{"seconds": 0.3, **fields})


async def test_guests_know_their_versions_from_one_run_to_the_next_though_the_server_tells_none() -> None:
    restaurant = Restaurant(is_first_form=True)
    async with restaurant.open() as url, load.seated(plan_of(url, extras=False)) as house:
        found = await runs.repeat(house.run, 0.1, 3)
    assert [run.violations for run in found.every] == [0, 0, 0]
    assert all(set(run.answers) == {"201"} for run in found.every)
    assert sum(map(len, restaurant.tables.values())) >= sum(run.orders for run in found.every)


async def test_each_run_has_violations_of_its_own() -> None:
    restaurant = Restaurant("takes any version")
    async with restaurant.open() as url, load.seated(plan_of(url, shares=SHARES, seconds=0.5)) as house:
        first = await house.run(0.5)
        restaurant.fault = ""
        await house.run(0.0)  # the guests learn how their tables stand
        third = await house.run(0.0)
    assert first.violations > 0
    assert third.violations == 0


@pytest.mark.parametrize("rate", [None, 300.0])
async def test_the_menu_is_read_in_a_closed_loop_or_at_a_rate(rate: float | None) -> None:
    restaurant = Restaurant()
    async with restaurant.open() as url:
        found = await menu.run(plan_of(url, rate=rate, connections=4, seconds=1.2))
    assert found.violations == 0, found.first_violations
    assert found.answers == {"200": found.reads}
    assert found.reads > 20
    assert found.p50 <= found.p99 <= found.max
    assert found.timeline[0].count > 0


async def test_a_menu_that_is_none_is_found_to_be() -> None:
    async with Restaurant("no prices").open() as url:
        found = await menu.run(plan_of(url, connections=2))
    assert found.violations > 0
    assert "no list of dishes" in found.first_violations[0]


async def test_orders_and_menu_reads_are_measured_side_by_side() -> None:
    async with Restaurant().open() as url:
        plan = plan_of(url, rate=50.0, seconds=0.6)
        async with mixed.both(plan, menu_rate=200.0, connections=4) as both:
            found = [await both.run(0.1), await both.run(0.0)]
    for one in found:
        assert one.orders.violations == one.menu.violations == 0
        assert one.orders.orders > 0
        assert one.menu.reads > one.orders.orders


async def test_a_burst_can_be_had_again() -> None:
    restaurant = Restaurant()
    async with restaurant.open() as url, burst.gathered(plan_of(url)) as crowd:
        found = await runs.repeat(crowd.run, 0.1, 2)
    assert [(run.orders, run.violations) for run in found.every] == [(4, 0), (4, 0)]


async def test_a_lone_guest_is_measured_without_the_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "ALONE", 0.1)
    restaurant = Restaurant()
    async with restaurant.open() as url, idle.alone(plan_of(url, rate=50.0)) as lone:
        found = await lone.run(0.2)
    assert (found.tables, found.violations) == (1, 0)
    assert found.answers == {"201": found.orders}
    assert len(restaurant.tables) == 4


async def test_a_run_of_so_many_orders_is_told_in_tenths(tmp_path: Path) -> None:
    (tmp_path / "kafka-1").mkdir()
    async with Restaurant().open() as url:
        found = await endurance.run(plan_of(url, pids=[("me", os.getpid())]), 200, tmp_path)
    assert len(found.tenths) == 10
    assert found.result.orders >= 200
    assert sum(tenth.orders for tenth in found.tenths) >= 200
    assert all(tenth.resident_mb["me"] > 1 and tenth.data_mb == {"kafka": 0, "cassandra": 0} for tenth in found.tenths)
    assert found.result.p50 <= found.result.max
    assert found.result.processes[0].resident_mb > 1


def test_guests_order_only_what_needs_no_choice_and_is_on_all_day() -> None:
    menu = [
        {"id": "salmon", "available": True, "modifier_groups": []},
        {"id": "steak", "modifier_groups": [{"minimum": 0}, {"minimum": 1}]},
        {"id": "burger", "modifier_groups": [{"minimum": 0}]},
        {"id": "breakfast", "served": [{"from": "07:30", "to": "11:00"}]},
        {"id": "oysters", "available": False},
    ]
    assert load.orderable(menu) == ["salmon", "burger"]

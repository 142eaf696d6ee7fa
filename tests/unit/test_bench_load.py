"""The load generator against a small restaurant of its own, which keeps the contract or breaks it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.bench import load
from app.bench.guest import Shares

SHARES = Shares(duplicates=0.3, stale=0.3, replays=0.3)


class Restaurant:
    """Tables in memory, as the contract says; `fault` breaks one promise."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
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
                conflict = {"error": "Version conflict", "current_version": len(accepted)}
                return web.json_response(conflict, status=409)
            accepted.append(body["order_id"])
        place = accepted.index(body["order_id"]) + 1
        headers = {"Idempotency-Replayed": "true"} if known and self.fault != "marks no replay" else {}
        answer: dict[str, Any] = {"order_id": f"o{place}", "status": "received", "version": place}
        return web.json_response(answer, status=201, headers=headers)

    async def table(self, request: web.Request) -> web.Response:
        return web.json_response({"version": len(self.tables.get(request.match_info["table"], []))})

    async def menu(self, request: web.Request) -> web.Response:
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

"""What guests and staff see of the limits, through HTTP; each worker is alone here, as with a Redis that is away."""

from collections import Counter
from typing import Any

import pytest

from app.adapters.limiter import SharedLimiter
from app.cli.token import Floor
from app.domain.windows import Limited
from app.settings import Settings
from app.web.openapi import describe_api
from tests.house import DISHES, Client, House, Reply, order, serving


class Clock:
    """Stands still until a test goes on."""

    def __init__(self) -> None:
        self.now = 1_000_000  # ms

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


class Heard:
    """Counts as metrics would."""

    def __init__(self) -> None:
        self.by: Counter[str] = Counter()

    def limited(self, which: Limited) -> None:
        self.by[which] += 1

    def judged(self, where: str) -> None:
        self.by[where] += 1


class Away:
    """A Redis that need not be asked."""

    def may_ask(self) -> bool:
        return False

    def told(self, answered: bool) -> None:
        """Nobody asks."""


class LimitedHouse(House):
    """A house with limits and a clock."""

    def __init__(self, **limits: Any) -> None:
        self.clock, self.heard = Clock(), Heard()
        limiter = SharedLimiter(Settings(limits=limits), Away(), self.heard, clock=self.clock)
        super().__init__(limiter, limits=limits)


async def order_until_full(house: House, client: Client, pad: str, orders: int = 5) -> None:
    for version in range(orders):
        assert (await client.order(order(version, f"id-{version}"), pad)).status == 201


def is_limited(reply: Reply, name: str = "table") -> bool:
    """Whether an answer is the contract's 429 in every word."""
    if reply.status != 429:
        return False
    assert reply.body == {"error": "Rate limit"}
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["RateLimit"] == f'"{name}";r=0;t={reply.headers["Retry-After"]}'
    assert reply.headers["RateLimit-Policy"].startswith(f'"{name}";q=')
    return True


async def test_the_sixth_order_of_a_minute_waits_and_is_let_in_after_the_time_that_was_told() -> None:
    house = LimitedHouse()
    pad = await house.seat()
    async with serving(house) as client:
        for version in range(5):
            reply = await client.order(order(version, f"id-{version}"), pad)
            assert reply.status == 201
            assert reply.headers["RateLimit-Policy"] == '"table";q=5;w=60'
            assert reply.headers["RateLimit"] == f'"table";r={4 - version};t={60 - 2 * version}'
            house.clock.wait(2)
        house.clock.wait(0.3)
        refused = await client.order(order(5, "id-5"), pad)
        assert is_limited(refused)
        assert refused.headers["Retry-After"] == "50"  # 49.7 s
        house.clock.wait(49.6)
        assert is_limited(await client.order(order(5, "id-5"), pad))
        house.clock.wait(0.4)
        assert (await client.order(order(5, "id-5"), pad)).status == 201
    assert len(house.owner.events) == 6
    assert Counter(house.watch.outcomes) == {"accepted": 6, "rate_limited": 2}
    assert house.heard.by == {"here": 8, "table": 2}


async def test_what_a_guest_is_answered_after_his_order_was_looked_at_costs_one() -> None:
    house = LimitedHouse()
    pad = await house.seat()
    async with serving(house) as client:
        assert (await client.order(order(), pad)).status == 201
        assert (await client.order(order(note="another"), pad)).status == 422
        assert (await client.order(order(7, "id-2"), pad)).status == 409
        assert (await client.order(order(1, "id-2", items=[{"menu_item_id": "m9", "quantity": 1}]), pad)).status == 400
        assert (await client.order(order(1, "id-2", menu_revision=99), pad)).status == 409
        assert is_limited(await client.order(order(1, "id-2"), pad))


async def test_what_is_refused_before_costs_nothing() -> None:
    house = LimitedHouse()
    pad, other = await house.seat(), await house.seat("T2")
    async with serving(house) as client:
        for _ in range(6):
            assert (await client.order(b"{", pad)).status == 400
            assert (await client.order(order(), other)).status == 403
            assert (await client.order(order(), "nobody")).status == 401
            assert (await client.order(b" " * 70_000, pad)).status == 413
        await order_until_full(house, client, pad)


async def test_an_accepted_order_sent_again_costs_nothing_and_is_answered_when_the_table_is_full() -> None:
    house = LimitedHouse()
    pad = await house.seat()
    async with serving(house) as client:
        first = await client.order(order(0, "id-0"), pad)
        for _ in range(10):
            assert (await client.order(order(0, "id-0"), pad)).body == first.body
        for version in range(1, 5):
            assert (await client.order(order(version, f"id-{version}"), pad)).status == 201
        again = await client.order(order(3, "id-0"), pad)
        assert (again.status, again.headers["RateLimit"]) == (201, '"table";r=0;t=60')
        assert is_limited(await client.order(order(5, "id-5"), pad))
        assert is_limited(await client.order(order(0, "id-0", note="another"), pad))


async def test_a_limiter_that_has_forgotten_an_order_gives_back_what_its_replay_cost() -> None:
    house = LimitedHouse()
    pad = await house.seat()
    async with serving(house) as client:
        assert (await client.order(order(0, "id-0"), pad)).status == 201
    forgetful = LimitedHouse()
    forgetful.owner.rows, forgetful.owner.commands = house.owner.rows, house.owner.commands
    async with serving(forgetful) as client:
        again = await client.order(order(0, "id-0"), pad)
        assert (again.headers["Idempotency-Replayed"], again.headers["RateLimit"]) == ("true", '"table";r=5;t=60')
        for version in range(1, 6):
            assert (await client.order(order(version, f"id-{version}"), pad)).status == 201
        assert (await client.order(order(0, "id-0"), pad)).status == 201
        assert is_limited(await client.order(order(6, "id-6"), pad))


async def test_an_order_without_an_answer_costs_nothing() -> None:
    house = LimitedHouse(source_writes_per_minute=6)
    pad = await house.seat()
    async with serving(house) as client:
        house.owner.away = True
        for _ in range(20):
            assert (await client.order(order(), pad)).status == 503
        house.owner.away, house.menu.dishes = False, None
        for _ in range(20):
            assert (await client.order(order(), pad)).status == 503
        house.menu.dishes = DISHES
        await order_until_full(house, client, pad)


async def test_guests_who_have_left_use_up_nothing_of_those_who_sit_there_now() -> None:
    house = LimitedHouse()
    left = await house.seat()
    async with serving(house) as client:
        await client.post("/tables/T1/close", "manager")
        now = await house.seat()
        for _ in range(10):
            assert (await client.order(order(), left)).status == 401
        await order_until_full(house, client, now)


async def test_a_new_party_does_not_get_around_the_tables_limit() -> None:
    house = LimitedHouse()
    pad = await house.seat()
    async with serving(house) as client:
        await order_until_full(house, client, pad)
        await client.post("/tables/T1/close", "manager")
        assert is_limited(await client.order(order(0, "new"), await house.seat()))


async def test_a_pad_that_goes_on_is_held_off_longer_each_time_and_comes_back_once_it_kept_still() -> None:
    house = LimitedHouse(source_writes_per_minute=10, hold_off_max=200)
    pad = await house.seat()
    async with serving(house) as client:
        await order_until_full(house, client, pad)
        assert [is_limited(await client.order(order(5, "id-5"), pad)) for _ in range(5)] == [True] * 5
        told = []
        for _ in range(6):
            reply = await client.order(order(5, "id-5"), pad)
            assert is_limited(reply, "source")
            told.append(int(reply.headers["Retry-After"]))
            house.clock.wait(2)
        assert told == [60, 120, 200, 200, 200, 200]
        house.clock.wait(198)
        assert (await client.order(order(5, "id-5"), pad)).status == 201
    assert house.heard.by == {"here": 12, "table": 5, "source": 1, "held_off": 5}


async def test_staff_change_as_much_as_a_hand_can_and_are_told_when_to_go_on() -> None:
    house = LimitedHouse(source_writes_per_minute=6)
    async with serving(house) as client:
        for table in ("T1", "T2"):
            assert (await client.post(f"/tables/{table}/open", "manager")).status == 201
            assert (await client.post(f"/tables/{table}/close", "manager")).status == 200
        for sold_out in (True, False):
            body = {"sold_out": sold_out}
            assert (await client.post("/menu_items/m1/sold_out", "manager", json=body)).status == 200
        for path in ("/tables/T3/open", "/tables/T1/close", "/menu_items/m1/sold_out"):
            assert is_limited(await client.post(path, "manager"), "source")
        for method in ("PUT", "PATCH", "DELETE"):
            refused = await client.send(method, "/menu_items/m1", "manager", headers={"If-Match": "*"})
            assert is_limited(refused, "source")
        assert (await client.post("/tables/T3/open", "operator")).status == 201
        house.clock.wait(60)
        house.clock.wait(240)
        assert (await client.post("/tables/T4/open", "manager")).status == 201


async def test_a_cancel_is_a_write_of_its_token_and_no_order_of_the_table() -> None:
    house = LimitedHouse(source_writes_per_minute=5)
    pad = await house.seat()
    async with serving(house) as client:
        path = f"/orders/{(await client.order(order(), pad)).body['order_id']}"
        house.kitchen.away = True
        assert (await client.send("DELETE", path, pad)).status == 503  # without an answer it costs nothing
        house.kitchen.away = False
        assert [(await client.send("DELETE", path, pad)).status for _ in range(4)] == [200] * 4
        assert is_limited(await client.send("DELETE", path, pad), "source")
        assert (await client.send("DELETE", path, "manager")).status == 200


async def test_who_has_the_keys_opens_a_whole_house_at_once() -> None:
    house = LimitedHouse()
    tables = tuple(f"T{number}" for number in range(150))
    async with serving(house) as client:
        floor = Floor(client.url, lambda number: f"operator/{number}")
        assert await floor.each(tables, floor.open) == [1] * 150
        assert await floor.each(tables, floor.close) == [1] * 150


async def test_a_change_that_could_not_be_made_costs_nothing() -> None:
    house = LimitedHouse(source_writes_per_minute=1)
    async with serving(house) as client:
        house.owner.away = True
        for _ in range(3):
            assert (await client.post("/tables/T1/open", "manager")).status == 503
        house.owner.away = False
        assert (await client.post("/tables/T1/open", "manager")).status == 201


async def test_a_change_that_was_refused_counts_like_one_that_was_made() -> None:
    house = LimitedHouse(source_writes_per_minute=2)
    changes, headers = {"price": "much"}, {"If-Match": "*"}
    async with serving(house) as client:
        for _ in range(2):
            refused = await client.send("PATCH", "/menu_items/m1", "manager", headers=headers, json=changes)
            assert refused.status == 400
        refused = await client.send("PATCH", "/menu_items/m1", "manager", headers=headers, json=changes)
        assert is_limited(refused, "source")


async def test_reads_are_many_and_do_not_count_as_orders() -> None:
    house = LimitedHouse(source_reads_per_minute=9)
    pad = await house.seat()
    async with serving(house) as client:
        order_id = (await client.order(order(), pad)).body["order_id"]
        for path in ("/tables/T1", "/tables/T1/orders", f"/orders/{order_id}") * 3:
            assert (await client.get(path, pad)).status == 200
        for path in ("/tables/T1", "/tables/T1/orders", f"/orders/{order_id}"):
            assert is_limited(await client.get(path, pad), "source")
        assert (await client.get("/tables/T1", "kitchen")).status == 200
        assert (await client.order(order(1, "id-1"), pad)).status == 201
        house.clock.wait(60)
        assert (await client.get("/tables/T1", pad)).status == 200


async def test_who_has_no_token_that_holds_is_refused_by_address_and_the_pads_of_that_house_are_not() -> None:
    house = LimitedHouse(address_per_minute=6)
    pad = await house.seat()
    async with serving(house) as client:
        for path in ("/tables/T1", "/orders/o1"):
            assert (await client.get(path)).status == 401
            assert (await client.get(path, "forged")).status == 401
        assert (await client.post("/tables/T1/open", "forged")).status == 401
        assert (await client.order(order(), "forged")).status == 401
        assert is_limited(await client.get("/tables/T1", "forged"), "address")
        assert is_limited(await client.order(order(), "forged"), "address")
        assert (await client.order(order(), pad)).status == 201
        assert (await client.get("/menu_items")).status == 200
    assert house.watch.outcomes[:2] == ["unauthorized", "rate_limited"]


async def test_behind_a_trusted_proxy_each_client_is_an_address_of_its_own() -> None:
    house = LimitedHouse(address_per_minute=1, trusted_proxies="127.0.0.1")
    async with serving(house) as client:
        for address, status in (("198.51.100.1", 401), ("198.51.100.2", 401), ("198.51.100.1", 429)):
            headers = {"X-Forwarded-For": f"203.0.113.9, {address}"}
            assert (await client.get("/tables/T1", headers=headers)).status == status


async def test_what_everybody_may_read_is_not_limited() -> None:
    house = LimitedHouse(source_reads_per_minute=1, address_per_minute=1)
    async with serving(house) as client:
        for path in ("/menu_items", "/menu_items/m1", "/health/ready", "/health/live", "/docs", "/openapi.json"):
            for token in ("", "forged", "manager"):
                assert (await client.get(path, token)).status == 200
                assert (await client.get(path, token)).status == 200


@pytest.mark.parametrize(
    ("limits", "told"),
    [({}, "5 orders of a table"), ({"table_per_minute": 0}, "In a minute: 100"), ({"enabled": False}, "")],
)
async def test_the_description_tells_the_limits_that_there_are(limits: dict[str, Any], told: str) -> None:
    introduction = describe_api(Settings(limits=limits))["info"]["description"]
    assert told in introduction
    assert ("429" in introduction) == bool(told)


async def test_without_the_tables_limit_orders_are_counted_by_source_only() -> None:
    house = LimitedHouse(table_per_minute=0)
    pad = await house.seat()
    async with serving(house) as client:
        await order_until_full(house, client, pad, 20)
        reply = await client.order(order(20, "id-20"), pad)
    assert reply.headers["RateLimit"] == '"source";r=79;t=60'

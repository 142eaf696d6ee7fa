"""The limits over one real Redis: the script by the same suite as the rules in memory, and two workers beside it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import redis.asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters import limit_script
from app.adapters.limiter import SharedLimiter
from app.adapters.redis_batches import RedisBatches
from app.domain.windows import Ask, Judgement, Quota, Writes
from app.settings import Settings
from tests.house import Client, House, order, serving
from tests.limits import CHECKS, NOW, SOURCE, TABLE, Check, guard
from tests.stack import Stack

pytestmark = pytest.mark.stack

PATIENT = 10.0  # s; what a busy machine does to Redis is another test's
IN_VIRTUAL_TIME = limit_script.JUDGE.replace(limit_script.CLOCK, "{math.floor(ARGV[7] / 1000), ARGV[7] % 1000 * 1000}")


class There:
    """The script, at the time that a test says."""

    def __init__(self, client: "redis.asyncio.Redis[bytes]") -> None:
        self._redis = client

    async def judge(self, ask: Ask, now: int) -> Judgement:
        command = limit_script.judge(ask, TABLE, SOURCE, limit_script.digest(IN_VIRTUAL_TIME))
        return limit_script.judgement(await self._redis.execute_command(*command, now))

    async def give_back(self, ask: Ask, *, also_source: bool) -> None:
        for command in limit_script.give_back(ask, also_source=also_source):
            await self._redis.execute_command(*command)

    async def accepted(self, ask: Ask, now: int) -> None:
        await self._redis.execute_command(*limit_script.accepted(ask))


@pytest.fixture
async def there(stack: Stack) -> AsyncIterator[There]:
    """The script in a Redis that is empty."""
    async with redis.asyncio.Redis.from_url(stack.settings.redis_url) as client:
        await empty(client)
        for script in (IN_VIRTUAL_TIME, limit_script.ACCEPT):
            await client.script_load(script)
        yield There(client)


async def empty(client: "redis.asyncio.Redis[bytes]") -> None:
    """Forget all limits; the menu stays."""
    if keys := [key async for key in client.scan_iter("limit:*")]:
        await client.delete(*keys)


def test_the_clock_is_redis_own() -> None:
    assert limit_script.JUDGE.count(limit_script.CLOCK) == 1
    assert limit_script.CLOCK == "redis.call('TIME')"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_script(there: There, check: Check) -> None:
    await check(there)


REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 20_000),  # ms since the one before
        st.sampled_from(["T1", "T2", ""]),
        st.sampled_from([b"", b"soup", b"salad"]),
        st.sampled_from(["", "", "give back", "give back all", "accept"]),
    ),
    max_size=50,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS)
async def test_script_and_memory_judge_alike(there: There, requests: list[tuple[int, str, bytes, str]]) -> None:
    await empty(there._redis)
    here, now = Writes(TABLE, SOURCE, keys=100), NOW
    for number, (step, table, mark, then) in enumerate(requests):
        now += step
        ask = Ask(f"the pad of {table}", str(number), table, 1, mark if table else b"")
        judged = here.judge(ask, now)
        assert await there.judge(ask, now) == judged
        if then == "accept" and ask.mark:
            here.accepted(ask, now)
            await there.accepted(ask, now)
        elif then.startswith("give"):
            here.give_back(ask, also_source=then.endswith("all"))
            await there.give_back(ask, also_source=then.endswith("all"))


async def test_a_clock_that_was_set_back_by_hours_closes_no_table(there: There) -> None:
    asks = [Ask("pad", f"a{number}", "T1") for number in range(6)]
    for ask in asks[:5]:
        await there.judge(ask, NOW + 3_600_000)
    assert (await there.judge(asks[5], NOW)).refused == ""


class Restaurant:
    """Two workers over one Redis, one owner behind them."""

    def __init__(self, stack: Stack, **limits: Any) -> None:
        shared = Settings(
            redis={"url": stack.settings.redis_url, "timeout": PATIENT}, ports=stack.settings.ports, limits=limits
        )
        self.limiters = [SharedLimiter(shared, guard()) for _ in range(2)]
        self.houses = [House(limiter, limits=limits) for limiter in self.limiters]
        one, other = self.houses
        other.services = replace(other.services, edge=one.owner, owners=one.owner, store=one.store)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[str, list[Client]]]:
        """The token of a table's pad, and a client of each worker."""
        pad = await self.houses[0].seat()
        async with serving(self.houses[0]) as one, serving(self.houses[1]) as other:
            yield pad, [one, other]
        for limiter in self.limiters:
            await limiter.stop()


@pytest.fixture
async def restaurant(there: There, stack: Stack) -> Restaurant:
    """A restaurant in which nobody has ordered yet."""
    return Restaurant(stack)


async def test_of_six_orders_in_a_minute_over_two_workers_one_waits_and_is_let_in_after_the_time_it_was_told(
    restaurant: Restaurant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limiter in restaurant.limiters:
        monkeypatch.setattr(limiter, "_table", Quota("table", 5, span=3000))  # a minute is long
    async with restaurant.open() as (pad, workers):
        replies = [await workers[number % 2].order(order(number, f"id-{number}"), pad) for number in range(6)]
        assert [reply.status for reply in replies] == [201] * 5 + [429]
        await asyncio.sleep(int(replies[5].headers["Retry-After"]))
        assert (await workers[1].order(order(5, "id-5"), pad)).status == 201


async def test_of_two_hundred_orders_at_once_over_two_workers_exactly_five_get_through(restaurant: Restaurant) -> None:
    async with restaurant.open() as (pad, workers):
        replies = await asyncio.gather(
            *(workers[number % 2].order(order(0, f"id-{number}"), pad) for number in range(200))
        )
    statuses = sorted(reply.status for reply in replies)
    assert statuses == [201] + [409] * 4 + [429] * 195
    assert all(int(reply.headers["Retry-After"]) > 50 for reply in replies if reply.status == 429)


async def test_an_order_accepted_at_one_worker_costs_nothing_at_the_other(restaurant: Restaurant) -> None:
    async with restaurant.open() as (pad, workers):
        for number in range(5):
            first = await workers[0].order(order(number, f"id-{number}"), pad)
            again = await workers[1].order(order(number, f"id-{number}"), pad)
            assert (again.status, again.body) == (201, first.body)
            assert again.headers["Idempotency-Replayed"] == "true"
        assert [(await worker.order(order(5, "id-5"), pad)).status for worker in workers] == [429, 429]


async def test_a_redis_that_was_emptied_delays_a_replay_at_most(restaurant: Restaurant, there: There) -> None:
    async with restaurant.open() as (pad, workers):
        for number in range(5):
            assert (await workers[0].order(order(number, f"id-{number}"), pad)).status == 201
        await there._redis.execute_command("SCRIPT", "FLUSH")
        await empty(there._redis)
        for number in range(5):
            assert (await workers[1].order(order(number, f"id-{number}"), pad)).status == 201
    assert len(restaurant.houses[0].owner.events) == 5


async def test_staff_share_their_limit_over_all_workers(there: There, stack: Stack) -> None:
    restaurant = Restaurant(stack, source_writes_per_minute=4)
    async with restaurant.open() as (_, workers):
        replies = [await workers[number % 2].post(f"/tables/S{number}/open", "manager") for number in range(5)]
    assert [reply.status for reply in replies] == [201] * 4 + [429]


async def test_while_redis_is_away_each_worker_limits_alone_and_no_order_is_lost(
    restaurant: Restaurant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limiter in restaurant.limiters:
        away = RedisBatches("redis://127.0.0.1:1/0", 0.1, limit_script.ALL, guard())
        monkeypatch.setattr(limiter, "_redis", away)
    async with restaurant.open() as (pad, workers):
        replies = [await workers[number % 2].order(order(number, f"id-{number}"), pad) for number in range(14)]
    assert [reply.status for reply in replies] == [201] * 10 + [429] * 4

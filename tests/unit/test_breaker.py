"""A breaker round real calls: one that is away costs one call a wait, and nobody else."""

import asyncio

import pytest
import redis.exceptions

from app.adapters import cassandra, menu_copies
from app.adapters.breaker import BatchBreaker, Breaker, OpenError, rules_of
from app.adapters.cassandra import CassandraSession
from app.adapters.figures import keep_breakers
from app.adapters.menu_copies import MenuCopies
from app.adapters.order_store import CassandraOrderStore
from app.domain.breaker import BreakerRules
from app.metrics import Metrics
from app.ports import UnavailableError
from app.settings import Breakers, Settings

RULES = BreakerRules(failures=3, open_for=1.0, longest=4.0)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Server:
    """Answers once it is told how."""

    def __init__(self) -> None:
        self.calls = 0
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask(self) -> str:
        self.calls += 1
        return await asyncio.shield(self.answer)


async def away() -> str:
    raise ConnectionError("away")


async def opened(clock: Clock) -> Breaker:
    breaker = Breaker("redis", RULES, lambda error: isinstance(error, ConnectionError), clock)
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await breaker.call(away)
    assert breaker.state == "open"
    return breaker


async def test_of_fifty_who_call_at_once_one_finds_out_and_forty_nine_do_not_wait() -> None:
    clock = Clock()
    breaker = await opened(clock)
    clock.now += 1.0
    server = Server()
    calls = [asyncio.create_task(breaker.call(server.ask)) for _ in range(50)]
    done, out = await asyncio.wait(calls, timeout=0.05)
    assert (len(done), len(out), server.calls) == (49, 1, 1)
    assert all(isinstance(call.exception(), OpenError) for call in done)
    server.answer.set_result("here")
    assert await out.pop() == "here"
    assert await asyncio.gather(*(breaker.call(server.ask) for _ in range(50))) == ["here"] * 50
    assert (breaker.state, breaker.trials, breaker.rejected, breaker.openings) == ("closed", 1, 49, 1)


async def test_of_many_who_share_a_batch_one_finds_out_and_the_others_go_without() -> None:
    clock = Clock()
    breaker = await opened(clock)
    batches = BatchBreaker(breaker)
    assert not batches.may_ask()
    clock.now += 1.0
    assert [batches.may_ask() for _ in range(50)] == [True, *[False] * 49]
    batches.told(False)
    assert not batches.may_ask()
    clock.now += 2.0
    assert batches.may_ask()
    batches.told(True)
    assert all(batches.may_ask() for _ in range(50))
    assert (breaker.state, breaker.trials) == ("closed", 2)


async def test_batches_that_fail_open_a_breaker_each_counting_once() -> None:
    breaker = Breaker("redis", RULES, lambda _: True, Clock())
    batches = BatchBreaker(breaker)
    for _ in range(RULES.failures):
        assert all(batches.may_ask() for _ in range(10))
        batches.told(False)
    assert (breaker.state, breaker.openings) == ("open", 1)


async def test_a_call_that_is_rejected_is_unavailable_for_whoever_made_it() -> None:
    breaker = await opened(Clock())
    with pytest.raises(UnavailableError, match="redis did not answer lately"):
        await breaker.call(away)


async def test_whoever_gives_up_on_the_trial_leaves_it_to_the_next() -> None:
    clock = Clock()
    breaker, server = await opened(clock), Server()
    clock.now += 1.0
    trial = asyncio.create_task(breaker.call(server.ask))
    await asyncio.sleep(0)
    trial.cancel()
    await asyncio.wait([trial])
    server.answer.set_result("here")
    assert await breaker.call(server.ask) == "here"
    assert (breaker.state, breaker.trials) == ("closed", 2)


async def test_a_refusal_is_an_answer() -> None:
    breaker = Breaker("redis", RULES, menu_copies.is_away, Clock())

    async def refused() -> None:
        raise redis.exceptions.ResponseError("WRONGTYPE")

    for _ in range(10):
        with pytest.raises(redis.exceptions.ResponseError):
            await breaker.call(refused)
    assert breaker.state == "closed"


async def test_how_it_stands_is_told_in_words_and_figures() -> None:
    clock, kept = Clock(), Metrics()
    breaker = Breaker("redis", RULES, lambda error: isinstance(error, ConnectionError), clock)
    assert breaker.words() == "ok"
    breaker = await opened(clock)
    keep_breakers(kept, [breaker])
    clock.now += 0.5
    assert breaker.words() == "redis has not answered for 0 s, and is asked again in 0.5 s"
    assert kept.registry.get_sample_value("bistro92_breaker_state", {"breaker": "redis"}) == 2
    clock.now += 2.5
    assert breaker.words() == "redis has not answered for 3 s, and the next call finds out whether it does"
    assert kept.registry.get_sample_value("bistro92_breaker_state", {"breaker": "redis"}) == 1
    assert kept.registry.get_sample_value("bistro92_breaker_openings_total", {"breaker": "redis"}) == 1


def settings_without_redis() -> Settings:
    return Settings(redis={"url": "redis://127.0.0.1:1/0"})


async def test_while_redis_is_away_the_menu_is_looked_for_elsewhere_without_a_wait() -> None:
    asked = list[bool]()
    breaker = Breaker("redis", RULES, menu_copies.is_away)
    copies = MenuCopies(settings_without_redis(), asked.append, breaker)
    try:
        assert [await copies.stand() for _ in range(10)] == [None] * 10
        assert await copies.lock(), "whoever cannot ask Redis asks Cassandra"
    finally:
        await copies.stop()
    assert asked == [False] * 3
    assert breaker.state == "open"


async def test_a_store_that_was_never_reached_costs_no_wait_and_opens_nothing() -> None:
    breaker = Breaker("cassandra", RULES, cassandra.is_away)
    store = CassandraOrderStore(CassandraSession(Settings()), breaker)
    for _ in range(10):
        with pytest.raises(UnavailableError, match="not answered yet"):
            await store.order("o1")
    assert breaker.state == "closed"


async def test_reads_of_orders_are_rejected_while_cassandra_is_away() -> None:
    class Away(CassandraSession):
        async def rows(self, *_: object) -> list[tuple[object, ...]]:
            raise UnavailableError("Cassandra: timed out")

    breaker = Breaker("cassandra", RULES, cassandra.is_away)
    store = CassandraOrderStore(Away(Settings()), breaker)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="timed out"):
            await store.order("o1")
    with pytest.raises(OpenError):
        await store.orders_of_session("T1", 1)


def test_the_settings_are_its_rules() -> None:
    rules = rules_of(Breakers(failures=7, open_for=2.0, longest=9.0))
    assert (rules.failures, rules.open_for, rules.longest) == (7, 2.0, 9.0)
    assert rules_of(Breakers()) == BreakerRules()

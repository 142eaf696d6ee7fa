"""Commands to Redis in batches, with a Redis that answers, hangs or fails as the test says."""

import asyncio
import time
from typing import Any

import pytest
import structlog
from redis.exceptions import ConnectionError as AwayError
from redis.exceptions import ResponseError

from app.adapters.redis_batches import Command, RedisBatches
from tests.limits import guard

TIMEOUT = 0.05  # s


class Clock:
    """Stands still until a test goes on."""

    now = 100.0  # s

    def __call__(self) -> float:
        return self.now


class Batches(RedisBatches):
    """Talks to nobody: each batch is noted, and answered by `answer` once `may_answer` is set."""

    def __init__(self) -> None:
        self.clock, self.called = Clock(), list[bool]()
        super().__init__("redis://127.0.0.1:1/0", TIMEOUT, (), guard(self.clock), self.called.append)
        self.batches: list[list[Command]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.wrong: Exception | None = None

    async def _execute(self, commands: list[Command]) -> list[Any]:
        self.batches.append(commands)
        await self.may_answer.wait()
        if self.wrong is not None:
            raise self.wrong
        return [command[0] for command in commands]


async def test_each_gets_its_own_answer_and_what_comes_at_once_goes_out_at_once() -> None:
    redis = Batches()
    answers = await asyncio.gather(*(redis.ask((number,)) for number in range(100)))
    assert answers == list(range(100))
    assert len(redis.batches) == 1
    redis.tell(("a",), ("b",))
    assert await redis.ask(("c",)) == "c"
    assert redis.batches[1:] == [[("a",), ("b",), ("c",)]]
    await redis.stop()


async def test_what_comes_while_a_batch_is_under_way_goes_out_with_the_next() -> None:
    redis = Batches()
    redis.may_answer.clear()
    first = asyncio.ensure_future(redis.ask((1,)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    later = [asyncio.ensure_future(redis.ask((number,))) for number in (2, 3)]
    await asyncio.sleep(0)
    redis.may_answer.set()
    assert await asyncio.gather(first, *later) == [1, 2, 3]
    assert redis.batches == [[(1,)], [(2,), (3,)]]
    await redis.stop()


async def test_nobody_waits_longer_than_the_timeout_and_then_nobody_asks_for_a_second() -> None:
    redis = Batches()
    redis.may_answer.clear()
    first = asyncio.ensure_future(redis.ask((1,)))
    await asyncio.sleep(0.01)
    began = time.perf_counter()
    assert await asyncio.gather(first, redis.ask((2,))) == [None, None]
    assert time.perf_counter() - began < 10 * TIMEOUT
    assert await redis.ask((3,)) is None
    redis.tell((4,))
    assert redis.batches == [[(1,)]]
    redis.may_answer.set()
    redis.clock.now += 1
    assert await redis.ask((5,)) == 5
    await redis.stop()


@pytest.mark.parametrize(
    "wrong", [AwayError("refused"), ResponseError("WRONGTYPE"), OSError("reset"), RuntimeError("?")]
)
async def test_whatever_fails_nobody_waits_for_ever_and_it_is_told_once(wrong: Exception) -> None:
    redis = Batches()
    redis.wrong = wrong
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert await redis.ask((1,)) is None
            redis.clock.now += 1
        redis.wrong = None
        assert await redis.ask((2,)) == 2
    assert redis.called == [False, False, False, True]
    told = [(entry["log_level"], entry["event"].partition(":")[0]) for entry in logs]
    assert told == [
        ("warning", "a breaker opens"),
        ("warning", "redis cannot be used for the limits"),
        ("info", "a breaker closes"),
        ("info", "redis is back for the limits"),
    ]
    await redis.stop()


async def test_a_redis_that_is_not_there_is_no_answer() -> None:
    redis = RedisBatches("redis://127.0.0.1:1/0", TIMEOUT, (), guard(Clock()))
    with structlog.testing.capture_logs():
        assert await redis.ask(("PING",)) is None
    await redis.stop()

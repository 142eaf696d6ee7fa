"""The limiter between Redis and what a worker knows itself, with a Redis that says what the test wants."""

from typing import Any

from app.adapters import limiter
from app.adapters.limiter import SharedLimiter
from app.adapters.redis_batches import Command
from app.domain.windows import MINUTE, Verdict
from app.ports import Sent
from app.settings import Settings
from tests.limits import guard

ORDER = Sent("token", "T1", 1, b"mark")
LET_IN, FULL, KNOWN = b"0 0 4 60000 99 60000 0", b"1 12000 0 12000 98 60000 0", b"0 0 0 12000 99 60000 1"


class Redis:
    """Says what it is to say."""

    def __init__(self, *_: Any) -> None:
        self.says: bytes | None = LET_IN
        self.told: list[Command] = []
        self.asked = 0

    async def ask(self, _: Command) -> bytes | None:
        self.asked += 1
        return self.says

    def tell(self, *commands: Command) -> None:
        self.told += commands


class Worker:
    """A worker's limiter; two of them know nothing of each other."""

    def __init__(self, monkeypatch: Any, **limits: Any) -> None:
        monkeypatch.setattr(limiter, "RedisBatches", Redis)
        self.now = 1_000_000  # ms
        self.limiter = SharedLimiter(Settings(limits=limits), guard(), clock=lambda: self.now)
        self.redis: Any = self.limiter._redis

    async def order(self, says: bytes | None) -> Verdict:
        self.redis.says = says
        return await self.limiter.write(ORDER)


async def test_redis_decides(monkeypatch: Any) -> None:
    worker = Worker(monkeypatch)
    assert [(await worker.order(LET_IN)).limited for _ in range(20)] == [""] * 20
    refused = await worker.order(FULL)
    assert (refused.limited, refused.wait) == ("table", 12_000)


async def test_a_worker_that_goes_on_alone_knows_what_it_has_let_in(monkeypatch: Any) -> None:
    worker = Worker(monkeypatch)
    for _ in range(3):
        await worker.order(LET_IN)
    assert [(await worker.order(None)).limited for _ in range(3)] == ["", "", "table"]


async def test_after_an_outage_both_judge_for_a_minute_as_redis_may_have_forgotten(monkeypatch: Any) -> None:
    worker = Worker(monkeypatch)
    for _ in range(5):
        assert not (await worker.order(None)).limited
    worker.now += 1000
    assert (await worker.order(LET_IN)).limited == "table"
    assert [command[0] for command in worker.redis.told] == ["ZREM"]
    assert not (await worker.order(KNOWN)).limited
    worker.now += MINUTE
    assert [(await worker.order(LET_IN)).limited for _ in range(6)] == [""] * 6


async def test_what_is_given_back_is_given_back_on_both_sides(monkeypatch: Any) -> None:
    worker = Worker(monkeypatch)
    verdicts = [await worker.order(LET_IN) for _ in range(5)]
    worker.limiter.give_back(verdicts[0])
    worker.limiter.give_back(verdicts[1], also_source=True)
    assert [command[0] for command in worker.redis.told] == ["ZREM"] * 3
    assert [(await worker.order(None)).limited for _ in range(3)] == ["", "", "table"]


async def test_an_accepted_order_is_known_on_both_sides_and_told_to_redis_once(monkeypatch: Any) -> None:
    worker = Worker(monkeypatch)
    worker.limiter.accepted(await worker.order(LET_IN))
    assert [command[0] for command in worker.redis.told] == ["EVALSHA"]
    worker.limiter.accepted(await worker.order(KNOWN))
    assert len(worker.redis.told) == 1
    assert [(await worker.order(None)).is_known for _ in range(10)] == [True] * 10


async def test_who_is_held_off_is_refused_without_redis(monkeypatch: Any) -> None:
    worker = Worker(monkeypatch)
    assert (await worker.order(b"2 9000 4 60000 0 9000 0")).limited == "source"
    asked = worker.redis.asked
    assert (await worker.order(LET_IN)).limited == "held_off"
    assert worker.redis.asked == asked
    worker.now += 9000
    assert not (await worker.order(LET_IN)).limited


async def test_a_token_does_not_stand_in_redis(monkeypatch: Any) -> None:
    worker = Worker(monkeypatch)
    worker.limiter.give_back(await worker.order(LET_IN), also_source=True)
    assert not any("token" in str(part) for command in worker.redis.told for part in command)


async def test_without_a_limit_on_tables_and_tokens_redis_is_not_asked(monkeypatch: Any) -> None:
    worker = Worker(monkeypatch, table_per_minute=0, source_writes_per_minute=0)
    verdict = await worker.order(FULL)
    worker.limiter.accepted(verdict)
    worker.limiter.give_back(verdict, also_source=True)
    assert (verdict.limited, worker.redis.asked, worker.redis.told) == ("", 0, [])

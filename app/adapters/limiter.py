"""Who may ask how much: over all workers by Redis, and by this worker alone while Redis is away."""

import os
import time
from collections.abc import Callable
from hashlib import blake2b

from app.adapters import limit_script
from app.adapters.redis_batches import BatchGuard, RedisBatches
from app.domain.windows import MINUTE, Ask, HoldOffs, Judgement, Quota, Verdict, Windows, Writes
from app.ports import UNHEARD, LimitWatch, Sent
from app.settings import Settings

KEYS = 20_000  # tables, sources, addresses and orders that a worker remembers of each; some MB in all


def monotonic_ms() -> int:
    """A clock that is never set back."""
    return time.monotonic_ns() // 1_000_000


class LocalLimiter:
    """The limits of reads and of strangers, which each worker keeps alone: a `Limiter` of one that limits no writes."""

    def __init__(
        self, settings: Settings, watch: LimitWatch = UNHEARD, clock: Callable[[], int] = monotonic_ms
    ) -> None:
        limits = settings.limits
        self._reads = Quota("source", limits.source_reads_per_minute)
        self._addresses = Quota("address", limits.address_per_minute)
        self._readers, self._strangers = Windows(KEYS), Windows(KEYS)
        self._longest = int(limits.hold_off_max * 1000)
        self._held_readers, self._held_strangers = HoldOffs(self._longest, KEYS), HoldOffs(self._longest, KEYS)
        self._watch = watch
        self._clock = clock
        self._prefix = os.urandom(6).hex()
        self._count = 0

    @property
    def limits_writes(self) -> bool:
        """Whether tables or tokens are limited."""
        return False

    async def write(self, sent: Sent) -> Verdict:
        """Let a request in that would change something."""
        del sent
        return Verdict()

    def read(self, token: str) -> Verdict:
        """Judge a request that reads, by this worker alone."""
        return self._alone(_name(token), self._reads, self._readers, self._held_readers)

    def stranger(self, address: str) -> Verdict:
        """Judge a request without a token that holds, by this worker alone."""
        return self._alone(address, self._addresses, self._strangers, self._held_strangers)

    def accepted(self, verdict: Verdict) -> None:
        """It was let in without a limit."""

    def give_back(self, verdict: Verdict, *, also_source: bool = False) -> None:
        """It cost nothing."""

    def _alone(self, key: str, quota: Quota, windows: Windows, holds: HoldOffs) -> Verdict:
        if not quota.most:
            return Verdict()
        now = self._clock()
        if held := holds.wait(key, now):
            return self._limited(Verdict("held_off", held, quota, None))
        window = windows.of(key, now)
        standing = window.standing(quota, now)
        if standing.left == 0:
            return self._limited(Verdict(quota.name, holds.hold(key, standing.reset, now), quota, standing))
        window.take(self._ticket(), now)
        return Verdict()

    def _limited(self, verdict: Verdict) -> Verdict:
        assert verdict.limited
        self._watch.limited(verdict.limited)
        return verdict

    def _ticket(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count:x}"


class SharedLimiter(LocalLimiter):
    """The limits of the settings: a `Limiter`.

    What changes something is judged by Redis, one command an order. What Redis let in counts here, too: so a worker
    that goes on alone knows what it has let in itself, and all of them together let in no more than each alone may. For
    a minute after its return both judge, since a Redis that was started anew has forgotten.
    """

    def __init__(
        self,
        settings: Settings,
        guard: BatchGuard,
        watch: LimitWatch = UNHEARD,
        called: Callable[[bool], None] = lambda _: None,
        clock: Callable[[], int] = monotonic_ms,
    ) -> None:
        super().__init__(settings, watch, clock)
        self._table = Quota("table", settings.limits.table_per_minute)
        self._source = Quota("source", settings.limits.source_writes_per_minute)
        self._here = Writes(self._table, self._source, KEYS)
        self._held_writers = HoldOffs(self._longest, KEYS)
        self._redis = RedisBatches(settings.redis_url, settings.redis.timeout, limit_script.ALL, guard, called)
        self._both_until = 0

    @property
    def limits_writes(self) -> bool:
        """Whether tables or tokens are limited."""
        return bool(self._table.most or self._source.most)

    async def write(self, sent: Sent) -> Verdict:
        """Judge a request that would change something."""
        if not self.limits_writes:
            return Verdict()
        ask = Ask(_name(sent.token), self._ticket(), sent.table, sent.session, sent.mark)
        if held := self._held_writers.wait(ask.source, self._clock()):
            return self._limited(Verdict("held_off", held, self._source, None))
        judgement = await self._judge(ask)
        if judgement.refused == "source":
            wait = self._held_writers.hold(ask.source, judgement.wait, self._clock())
            return self._limited(Verdict("source", wait, self._source, judgement.source))
        quota, standing = self._source, judgement.source
        if ask.table and self._table.most:
            quota, standing = self._table, judgement.table
        if judgement.refused == "table":
            return self._limited(Verdict("table", judgement.wait, quota, standing))
        return Verdict("", 0, quota if quota.most else None, standing, ask, judgement.is_known)

    def accepted(self, verdict: Verdict) -> None:
        """The order was accepted, now or before: from now on it is known."""
        if verdict.ask is not None and not verdict.is_known:
            self._here.accepted(verdict.ask, self._clock())
            self._redis.tell(limit_script.accepted(verdict.ask))

    def give_back(self, verdict: Verdict, *, also_source: bool = False) -> None:
        """The request counts no longer for its table, nor, if `also_source`, for who sent it."""
        if verdict.ask is not None:
            self._here.give_back(verdict.ask, also_source=also_source)
            self._redis.tell(*limit_script.give_back(verdict.ask, also_source=also_source))

    async def stop(self) -> None:
        """Send what is still to be told, and close the connection to Redis."""
        await self._redis.stop()

    async def _judge(self, ask: Ask) -> Judgement:
        now = self._clock()
        answer = await self._redis.ask(limit_script.judge(ask, self._table, self._source))
        if answer is None:
            self._both_until = self._clock() + MINUTE
            self._watch.judged("here")
            return self._here.judge(ask, now)
        self._watch.judged("redis")
        judgement = limit_script.judgement(answer)
        if judgement.refused or judgement.is_known:
            return judgement
        here = self._here.judge(ask, now)
        if here.refused and now < self._both_until:
            self._redis.tell(*limit_script.give_back(ask, also_source=here.refused == "source"))
            return here
        return judgement


def _name(token: str) -> str:
    """A token's name in memory and in Redis, which need not know it."""
    return blake2b(token.encode("utf-8", "surrogateescape"), digest_size=10).hexdigest()

"""The copy of the menu in Redis, from where workers fetch it instead of from Cassandra."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.adapters.breaker import UNGUARDED, Guard, OpenError
from app.adapters.menu_store import decode_menu, encode_menu
from app.domain.menu import Menu
from app.settings import Settings

log = structlog.get_logger(__name__)

Found = TypeVar("Found")

COPY, FLOOR, LOCK = "{menu}:copy", "{menu}:revision", "{menu}:lock"
LOCK_MS = 1000  # so long may one worker hold the others off while it asks Cassandra

# Whoever was slow must not put back what is out of date: below the highest revision heard of nothing is taken.
_PUT = """
if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[1])
return 1
"""
_DROP = """
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Copy:
    """What Redis has: the copy's revision, 0 for none, and how long ago it was put there."""

    revision: int
    age_ms: int


def is_away(error: Exception) -> bool:
    """Whether a call that failed tells that Redis is away, for a breaker; a refusal is an answer."""
    return isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError))


class MenuCopies:
    """Asks Redis once each time: where it does not answer in time, the answer is None or False.

    `called` hears of each request, whether it was answered; those that `guard` rejects are none.
    """

    def __init__(
        self, settings: Settings, called: Callable[[bool], None] = lambda _: None, guard: Guard = UNGUARDED
    ) -> None:
        timeout = settings.redis.timeout
        self._redis = redis.asyncio.Redis.from_url(
            settings.redis_url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # the next look is the retry
        )
        self._expiry_ms = int(settings.menu.expiry_hours * 3_600_000)
        self._called = called
        self._guard = guard
        self._is_away = False
        self._put = self._redis.register_script(_PUT)
        self._drop = self._redis.register_script(_DROP)

    async def stand(self) -> Copy | None:
        """Which copy there is; None while Redis is away."""

        async def ask() -> Copy | None:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.get(FLOOR)
                pipeline.pttl(COPY)
                revision, left_ms = await pipeline.execute()
            return Copy(int(revision or 0) if left_ms > 0 else 0, self._expiry_ms - left_ms)

        return await self._try(ask, None)

    async def menu(self) -> Menu | None:
        """The copy; None where there is none or Redis is away."""

        async def ask() -> Menu | None:
            data = await self._redis.get(COPY)
            try:
                return decode_menu(data) if data else None
            except ValueError as error:
                log.warning("what redis holds is no menu", reason=str(error))
                return None

        return await self._try(ask, None)

    async def put(self, menu: Menu) -> None:
        """Make this the copy, unless a newer revision was heard of."""

        async def ask() -> None:
            await self._put([COPY, FLOOR], [menu.revision, encode_menu(menu), self._expiry_ms])

        await self._try(ask, None)

    async def drop_below(self, revision: int) -> None:
        """Drop a copy older than this revision, and take none of these any more."""

        async def ask() -> None:
            await self._drop([COPY, FLOOR], [revision])

        await self._try(ask, None)

    async def lock(self) -> bool:
        """Whether this worker is the one to ask Cassandra; it is, where Redis cannot say."""

        async def ask() -> bool:
            return bool(await self._redis.set(LOCK, "1", nx=True, px=LOCK_MS))

        return await self._try(ask, True)

    async def unlock(self) -> None:
        """Let the others ask."""

        async def ask() -> None:
            await self._redis.delete(LOCK)

        await self._try(ask, None)

    async def stop(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def _try(self, ask: Callable[[], Awaitable[Found]], otherwise: Found) -> Found:
        try:
            answer = await self._guard.call(ask)
        except OpenError:
            return otherwise
        except (RedisError, OSError, TypeError, ValueError) as error:  # keys of another kind, put there by hand, too
            self._called(False)
            if not self._is_away:
                self._is_away = True
                log.warning("redis cannot be used for the menu", reason=str(error))
            return otherwise
        self._called(True)
        if self._is_away:
            self._is_away = False
            log.info("redis is back")
        return answer

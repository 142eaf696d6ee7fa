"""The menu as a worker knows it: in memory, refreshed behind the scenes from Cassandra through Redis."""

import asyncio
from collections.abc import Callable, Sequence

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.adapters.cassandra import CassandraSession
from app.adapters.menu_store import REDIS_KEY, MenuReader, decode_menu, encode_menu
from app.domain.menu import MenuItem
from app.ports import UnavailableError
from app.settings import Settings

log = structlog.get_logger(__name__)

FIRST_SECONDS = 0.2  # between two looks as long as there is no menu at all


class CachedMenu:
    """The last menu that was seen. Either of Redis and Cassandra may be away; with both away it stays as it is.

    What Redis holds counts for `menu.fresh` s; then whoever looks next reads Cassandra and puts it there anew. It stays
    in Redis for days, so that a worker that starts while Cassandra is away has a menu.

    `called` hears of each request to Redis, whether it was answered.
    """

    def __init__(
        self, settings: Settings, session: CassandraSession, called: Callable[[bool], None] = lambda _: None
    ) -> None:
        self._called = called
        self._settings = settings.menu
        self._expiry_ms = int(settings.menu.expiry_hours * 3_600_000)
        self._reader = MenuReader(session)
        timeout = settings.redis.timeout
        self._redis = redis.asyncio.Redis.from_url(
            settings.redis_url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # the next look is the retry
        )
        self._items: list[MenuItem] | None = None
        self._by_id: dict[str, MenuItem] = {}
        self._cached = b""
        self._away: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def items(self) -> Sequence[MenuItem]:
        """Every dish, in the menu's order; UnavailableError where none was ever fetched."""
        if self._items is None:
            raise UnavailableError("no menu was fetched yet")
        return self._items

    def find(self, item_id: str) -> MenuItem | None:
        """The dish with this id; UnavailableError where no menu was ever fetched."""
        if self._items is None:
            raise UnavailableError("no menu was fetched yet")
        return self._by_id.get(item_id)

    def start(self) -> None:
        """Fetch the menu now and every few seconds from here on, on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._keep_fresh(), name="menu")

    async def stop(self) -> None:
        """Stop fetching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._redis.aclose()

    async def _keep_fresh(self) -> None:
        while True:
            try:
                await self.refresh()
            except Exception:  # the menu in memory is good for ordering; whatever this is, look again
                log.exception("the menu could not be refreshed")
            await asyncio.sleep(FIRST_SECONDS if self._items is None else self._settings.refresh)

    async def refresh(self) -> None:
        """Look once: Redis, then Cassandra where Redis has no fresh menu."""
        cached, age_ms = await self._from_redis()
        if cached and age_ms < self._settings.fresh * 1000 and self._take(cached):
            return
        try:
            items = await self._reader.read()
        except UnavailableError as error:
            self._note("cassandra", str(error))
            if self._items is None and cached:
                self._take(cached)
            return
        self._note("cassandra")
        if items:  # none: no menu was loaded, or it is being repaired; the last one goes on
            data = encode_menu(items)
            self._take(data)
            await self._to_redis(data)

    async def _from_redis(self) -> tuple[bytes, int]:
        """The menu in Redis and its age in ms by Redis's own clock; empty where there is none."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.get(REDIS_KEY)
                pipeline.pttl(REDIS_KEY)
                data, left_ms = await pipeline.execute()
        except (RedisError, OSError) as error:
            self._called(False)
            self._note("redis", str(error))
            return b"", 0
        self._called(True)
        self._note("redis")
        return data or b"", self._expiry_ms - left_ms

    async def _to_redis(self, data: bytes) -> None:
        try:
            await self._redis.set(REDIS_KEY, data, px=self._expiry_ms)
        except (RedisError, OSError) as error:
            self._called(False)
            self._note("redis", str(error))
        else:
            self._called(True)

    def _take(self, data: bytes) -> bool:
        """Make this the menu; whether it is one."""
        if data == self._cached:
            return True
        try:
            items = decode_menu(data)
        except ValueError as error:
            log.warning("what redis holds is no menu", reason=str(error))
            return False
        self._items, self._by_id, self._cached = items, {item.id: item for item in items}, data
        log.info("menu taken", dishes=len(items))
        return True

    def _note(self, store: str, reason: str = "") -> None:
        """Say once that a store went away or came back."""
        if reason and store not in self._away:
            self._away.add(store)
            log.warning("the menu's store is away", store=store, reason=reason)
        elif not reason and store in self._away:
            self._away.discard(store)
            log.info("the menu's store is back", store=store)

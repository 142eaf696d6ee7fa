"""The menu on its way from Cassandra through Redis to a worker, with either of them away."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis

from app.adapters.cassandra import CassandraSession
from app.adapters.menu import CachedMenu
from app.adapters.menu_file import FILE, read_menu
from app.adapters.menu_store import REDIS_KEY, load_menu
from app.domain.menu import MenuItem
from app.ports import UnavailableError
from app.settings import Settings
from tests.integration.conftest import until

pytestmark = pytest.mark.stack

MENU = read_menu(FILE, "EUR")
NOBODY = "127.0.0.250"  # nothing listens there


def change(settings: Settings, group: str, **values: Any) -> Settings:
    return settings.model_copy(update={group: getattr(settings, group).model_copy(update=values)})


@pytest.fixture
def settings(own_tables: Settings) -> Settings:
    """Tables and a Redis database of these tests."""
    own = change(own_tables, "redis", url=own_tables.redis_url.removesuffix("/0") + "/7", timeout=2.0)
    cache(own).flushdb()
    return own


@pytest.fixture
def without_redis(settings: Settings) -> Settings:
    return change(settings, "redis", url=f"redis://{NOBODY}:{settings.ports.of('redis')}/0")


@pytest.fixture
def without_cassandra(settings: Settings) -> Settings:
    return change(settings, "cassandra", hosts=NOBODY)


def cache(settings: Settings) -> redis.Redis:
    return redis.Redis.from_url(settings.redis_url)


@asynccontextmanager
async def worker(settings: Settings, *, connected: bool = True) -> AsyncIterator[CachedMenu]:
    """A worker's menu; it looks when the test says so."""
    session = CassandraSession(settings)
    menu = CachedMenu(settings, session)
    session.start()
    try:
        await until(lambda: session.connected or not connected)
        yield menu
    finally:
        await menu.stop()
        await session.stop()


async def load(settings: Settings, items: Sequence[MenuItem]) -> tuple[int, bool]:
    return await asyncio.to_thread(load_menu, settings, items)


async def test_a_worker_sees_the_menu_as_it_was_loaded_and_leaves_it_in_redis(settings: Settings) -> None:
    assert await load(settings, MENU) == (0, True)
    async with worker(settings) as menu:
        await menu.refresh()
        assert list(menu.items()) == MENU
        assert menu.find("m1") == MENU[0]
        assert menu.find("m999") is None
    assert 0 < cache(settings).pttl(REDIS_KEY) <= settings.menu.expiry_hours * 3_600_000


async def test_a_worker_asks_only_redis_while_that_is_fresh(settings: Settings, without_cassandra: Settings) -> None:
    await load(settings, MENU)
    async with worker(settings) as first, worker(without_cassandra, connected=False) as second:
        await first.refresh()
        await second.refresh()
        assert list(second.items()) == MENU


async def test_a_worker_that_starts_without_cassandra_takes_a_stale_menu(
    settings: Settings, without_cassandra: Settings
) -> None:
    await load(settings, MENU)
    stale = change(without_cassandra, "menu", fresh=1e-9)
    async with worker(settings) as first, worker(stale, connected=False) as second:
        await first.refresh()
        await second.refresh()
        assert list(second.items()) == MENU


async def test_a_worker_without_redis_reads_cassandra(settings: Settings, without_redis: Settings) -> None:
    assert await load(without_redis, MENU) == (0, False)
    async with worker(without_redis) as menu:
        await menu.refresh()
        assert list(menu.items()) == MENU


async def test_without_either_there_is_no_menu_and_with_one_it_stays(
    settings: Settings, without_cassandra: Settings
) -> None:
    await load(settings, MENU)
    async with worker(without_cassandra, connected=False) as menu:
        await menu.refresh()
        with pytest.raises(UnavailableError):
            menu.items()
        with pytest.raises(UnavailableError):
            menu.find("m1")
        async with worker(settings) as other:
            await other.refresh()
        await menu.refresh()
        cache(settings).flushdb()
        await menu.refresh()
        assert list(menu.items()) == MENU


async def test_a_load_shows_at_the_next_look_and_what_it_leaves_out_is_gone(settings: Settings) -> None:
    await load(settings, MENU)
    changed = [replace(MENU[1], price=1, available=False), MENU[0]]
    async with worker(settings) as menu:
        await menu.refresh()
        assert await load(settings, changed) == (len(MENU) - 2, True)
        await menu.refresh()
        assert list(menu.items()) == changed
        assert menu.find("m3") is None
        await load(settings, MENU)
        await menu.refresh()
        assert list(menu.items()) == MENU


async def test_a_load_counts_also_after_the_clock_was_set_back(settings: Settings) -> None:
    ahead = 2 * 3600
    real, real_ns = time.time, time.time_ns
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(time, "time", lambda: real() + ahead)
        clock.setattr(time, "time_ns", lambda: real_ns() + ahead * 10**9)
        await load(settings, MENU)
        await load(settings, MENU[:3])
    changed = [replace(MENU[0], price=1), *MENU[1:]]
    await load(settings, changed)
    async with worker(settings) as menu:
        await menu.refresh()
        assert list(menu.items()) == changed


async def test_a_load_that_redis_did_not_hear_of_shows_once_its_menu_is_no_longer_fresh(
    settings: Settings, without_redis: Settings
) -> None:
    await load(settings, MENU)
    impatient = change(settings, "menu", fresh=1e-9)
    async with worker(settings) as menu, worker(impatient) as later:
        await menu.refresh()
        await load(without_redis, MENU[:5])
        await menu.refresh()
        assert list(menu.items()) == MENU
        await later.refresh()
        assert list(later.items()) == MENU[:5]
        await menu.refresh()
        assert list(menu.items()) == MENU[:5]


async def test_a_menu_of_hundreds_of_dishes_is_loaded_whole(settings: Settings) -> None:
    many = [replace(MENU[0], id=f"d{number}", description="é" * 250) for number in range(300)]
    await load(settings, many)
    async with worker(settings) as menu:
        await menu.refresh()
        assert list(menu.items()) == many


@pytest.mark.parametrize("rubbish", [b"{", b'[{"id":1}]', b"\xff"])
async def test_rubbish_in_redis_is_replaced(settings: Settings, rubbish: bytes) -> None:
    await load(settings, MENU)
    cache(settings).set(REDIS_KEY, rubbish, px=int(settings.menu.expiry_hours * 3_600_000))
    async with worker(settings) as menu:
        await menu.refresh()
        assert list(menu.items()) == MENU
    assert cache(settings).get(REDIS_KEY) != rubbish


async def test_an_empty_store_does_not_take_the_menu_away(settings: Settings) -> None:
    await load(settings, MENU)
    impatient = change(settings, "menu", fresh=1e-9)
    async with worker(impatient) as menu:
        await menu.refresh()
        await load(settings, [])
        await menu.refresh()
        assert list(menu.items()) == MENU

"""The menu on its way from a manager through Cassandra, Redis and Kafka to the workers, with any of them away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from app.adapters.cassandra import CassandraSession
from app.adapters.log_reader import KafkaLogReader
from app.adapters.menu import WorkerMenu
from app.adapters.menu_changes import MenuAnnouncer, MenuChanges
from app.adapters.menu_copies import COPY, FLOOR, LOCK, MenuCopies
from app.adapters.menu_editor import StoredMenuEditor
from app.adapters.menu_store import PRUNE_EVERY, MenuStore, decode_menu
from app.domain.menu import Menu, MenuItem
from app.domain.menu_edits import ChangedSince, Edited, Seen, alter, replace_all, undo
from app.ports import UnavailableError
from app.settings import Settings
from tests.integration.conftest import connected, until

pytestmark = pytest.mark.stack

NOBODY = "127.0.0.250"  # nothing listens there
DISHES = [MenuItem(f"m{number}", f"Dish {number}", 100 * number, "Mains", "grill", "") for number in range(1, 6)]


def change(settings: Settings, group: str, **values: Any) -> Settings:
    return settings.model_copy(update={group: getattr(settings, group).model_copy(update=values)})


@pytest.fixture
def settings(own_tables: Settings, tmp_path: Path) -> Settings:
    """Tables, a Redis database and a disk of these tests; there is no menu."""
    own = change(own_tables, "redis", url=own_tables.redis_url.removesuffix("/0") + "/7", timeout=2.0)
    own = change(own, "cassandra", read_timeout=10.0)
    cache(own).flushdb()
    with connected(own, own.cassandra.keyspace) as cassandra:
        cassandra.execute("TRUNCATE menu_revisions")
    return own.model_copy(update={"data_dir": tmp_path})


@pytest.fixture
def without_redis(settings: Settings) -> Settings:
    return change(settings, "redis", url=f"redis://{NOBODY}:{settings.ports.of('redis')}/0")


@pytest.fixture
def without_cassandra(settings: Settings) -> Settings:
    return change(settings, "cassandra", hosts=NOBODY)


def cache(settings: Settings) -> redis.Redis:
    return redis.Redis.from_url(settings.redis_url)


class House:
    """A worker's menu, which looks when the test says so, and an editor with the same connection."""

    def __init__(self, settings: Settings, session: CassandraSession) -> None:
        self.store = MenuStore(session, settings.menu.revisions)
        self.copies = MenuCopies(settings)
        self.menu = WorkerMenu(settings, self.store, self.copies)
        self.announcer = MenuAnnouncer(settings)
        self.editor = StoredMenuEditor(self.store, self.copies, self.announcer)

    async def load(self, dishes: Sequence[MenuItem] = DISHES) -> Menu:
        edited = await self.editor.apply(replace_all(dishes), "anna", "import")
        assert isinstance(edited, Edited)
        return edited.menu

    async def price(self, price: int, seen: int | None = None) -> object:
        edit = alter("m1", Seen(seen), lambda item: replace(item, price=price))
        return await self.editor.apply(edit, "anna", f"price of m1: {price}")


@asynccontextmanager
async def house(settings: Settings, *, answers: bool = True) -> AsyncIterator[House]:
    session = CassandraSession(settings)
    made = House(settings, session)
    session.start()
    try:
        await until(lambda: session.connected or not answers)
        yield made
    finally:
        await made.menu.stop()
        await asyncio.to_thread(made.announcer.stop)
        await session.stop()


async def test_a_worker_sees_the_menu_as_it_was_made_and_finds_it_in_redis(settings: Settings) -> None:
    async with house(settings) as manager, house(settings) as worker:
        made = await manager.load()
        await worker.menu.refresh()
        assert worker.menu.current() == made
        assert worker.menu.find("m1") == made.items[0]
        assert worker.menu.find("m999") is None
        assert worker.menu.stale_since is None
    assert 0 < cache(settings).pttl(COPY) <= settings.menu.expiry_hours * 3_600_000


async def test_a_worker_asks_only_redis_while_that_is_fresh(settings: Settings, without_cassandra: Settings) -> None:
    async with house(settings) as manager, house(without_cassandra, answers=False) as worker:
        made = await manager.load()
        await worker.menu.refresh()
        assert worker.menu.current() == made
        assert worker.menu.stale_since is None


async def test_a_worker_that_starts_without_cassandra_takes_what_redis_has_and_says_that_it_is_in_doubt(
    settings: Settings, without_cassandra: Settings
) -> None:
    stale = change(without_cassandra, "menu", fresh=1e-9)
    async with house(settings) as manager, house(stale, answers=False) as worker:
        made = await manager.load()
        cache(settings).set(FLOOR, made.revision + 1)  # a change of which only the number got through
        await worker.menu.refresh()
        assert worker.menu.current() == made
        assert worker.menu.stale_since is not None


async def test_a_worker_without_redis_reads_cassandra(without_redis: Settings) -> None:
    async with house(without_redis) as manager, house(without_redis) as worker:
        made = await manager.load()
        await worker.menu.refresh()
        assert worker.menu.current() == made


async def test_without_either_there_is_no_menu_until_one_comes_and_then_it_stays(
    settings: Settings, without_cassandra: Settings
) -> None:
    async with house(settings) as manager, house(without_cassandra, answers=False) as worker:
        await worker.menu.refresh()
        with pytest.raises(UnavailableError):
            worker.menu.current()
        with pytest.raises(UnavailableError):
            worker.menu.find("m1")
        made = await manager.load()
        await worker.menu.refresh()
        cache(settings).flushdb()
        await worker.menu.refresh()
        assert worker.menu.current() == made
        assert worker.menu.stale_since is not None


async def test_a_worker_that_starts_with_both_away_takes_the_menu_from_disk(
    settings: Settings, without_cassandra: Settings, without_redis: Settings
) -> None:
    async with house(settings) as first:
        made = await first.load()
        await first.menu.refresh()
        path = settings.data_dir / "menu" / "menu.json"
        await until(path.exists)
        assert decode_menu(path.read_bytes()) == made
    alone = change(without_redis, "cassandra", hosts=NOBODY)
    async with house(alone, answers=False) as worker:
        worker.menu.start()
        await until(lambda: worker.menu.stale_since)
        assert worker.menu.current() == made


async def test_of_two_managers_at_once_each_change_is_kept_and_a_stale_one_refused(settings: Settings) -> None:
    async with house(settings) as one, house(settings) as other:
        await one.load()
        results = await asyncio.gather(*(person.price(200 + n, seen=1) for n, person in enumerate((one, other) * 3)))
        assert sum(isinstance(result, Edited) for result in results) == 1
        assert sum(isinstance(result, ChangedSince) for result in results) == 5
        assert (await one.editor.newest()).revision == 2


async def test_many_changes_at_once_are_all_made_one_after_the_other(settings: Settings) -> None:
    def dearer(item: MenuItem) -> MenuItem:
        return replace(item, price=item.price + 1)

    async with house(settings) as one, house(settings) as other:
        await one.load()
        people = (one, other) * 3
        await asyncio.gather(*(person.editor.apply(alter("m1", Seen(), dearer), "x", "dearer") for person in people))
        menu = await other.editor.newest()
        assert (menu.revision, menu.items[0].price) == (7, 106)


async def test_history_tells_who_did_what_and_undo_takes_it_back(settings: Settings) -> None:
    async with house(settings) as manager:
        made = await manager.load()
        await manager.price(250)
        last, first = await manager.editor.history(5)
        assert (last.revision, last.who, last.what) == (2, "anna", "price of m1: 250")
        assert last.before == first.after == made
        assert first.before == Menu()
        assert last.at > first.at
        assert last.before is not None
        await manager.editor.apply(undo(last.before, last.after), "anna", "undo 2")
        assert (await manager.editor.newest()).items[0].price == 100


async def test_old_revisions_go(settings: Settings) -> None:
    async with house(change(settings, "menu", revisions=10)) as manager:
        await manager.load()
        for price in range(2, PRUNE_EVERY + 1):
            await manager.price(price)
        assert [entry.revision for entry in await manager.editor.history(1000)] == list(range(100, 90, -1))
        assert (await manager.editor.history(1000))[-1].before is None


async def test_a_slow_reader_cannot_put_an_old_menu_back(settings: Settings) -> None:
    async with house(settings) as manager, house(settings) as slow:
        old = await manager.load()
        await manager.price(250)
        await slow.copies.put(old)
        found = await slow.copies.menu()
        assert found is not None
        assert found.revision == 2


async def test_what_was_only_heard_of_drops_the_copy_and_is_fetched(settings: Settings) -> None:
    async with house(settings) as manager, house(settings) as worker:
        await manager.load()
        await worker.menu.refresh()
        menu = await manager.store.newest()
        changed = alter("m1", Seen(), lambda item: replace(item, price=1))(menu)
        assert isinstance(changed, Edited)
        assert await manager.store.make(changed.menu, "x", "anna", "only in the store")  # Redis was not told
        worker.menu.heard(2)
        assert worker.menu.stale_since is not None
        await until(lambda: cache(settings).get(COPY) is None)
        await worker.menu.refresh()
        assert worker.menu.current() == changed.menu
        assert worker.menu.stale_since is None


async def test_a_pad_that_saw_a_newer_menu_makes_the_worker_look(settings: Settings) -> None:
    async with house(settings) as manager, house(settings) as worker:
        await manager.load()
        await worker.menu.refresh()
        await manager.price(250)
        await worker.menu.catch_up(2)
        assert worker.menu.current().revision == 2


async def test_whoever_waits_for_the_one_that_asks_cassandra_takes_its_answer(
    settings: Settings, without_cassandra: Settings
) -> None:
    async with house(settings) as manager, house(without_cassandra, answers=False) as worker:
        await manager.load()
        copy = cache(settings).get(COPY)
        cache(settings).delete(COPY)
        cache(settings).set(LOCK, "another", px=5000)
        looking = asyncio.create_task(worker.menu.refresh())
        await asyncio.sleep(0.1)
        cache(settings).set(COPY, copy, px=int(settings.menu.expiry_hours * 3_600_000))
        await looking
        assert worker.menu.current().revision == 1
        assert worker.menu.stale_since is None


async def test_a_change_is_told_of_to_every_worker(settings: Settings) -> None:
    reader = KafkaLogReader(settings)
    heard: list[list[int]] = [[], []]
    followers = [MenuChanges(settings, reader, mine.append, pytest.fail) for mine in heard]
    try:
        async with house(settings) as manager:
            await manager.load()
            for follower in followers:
                follower.start()  # from the last change on, whichever that is once Kafka answers
            await until(lambda: all(mine[-1:] == [1] for mine in heard))
            await manager.price(987)
            await until(lambda: all(mine[-2:] == [1, 2] for mine in heard))
    finally:
        for follower in followers:
            await follower.stop()
        await asyncio.to_thread(reader.stop)


@pytest.mark.parametrize("rubbish", [b"{", b'[{"id":1}]', b"\xff"])
async def test_rubbish_in_redis_is_replaced(settings: Settings, rubbish: bytes) -> None:
    async with house(settings) as manager, house(settings) as worker:
        made = await manager.load()
        cache(settings).set(COPY, rubbish, px=int(settings.menu.expiry_hours * 3_600_000))
        await worker.menu.refresh()
        assert worker.menu.current() == made
        assert await worker.copies.menu() == made


async def test_an_empty_store_does_not_take_the_menu_away(settings: Settings) -> None:
    async with house(settings) as manager, house(change(settings, "menu", fresh=1e-9)) as worker:
        made = await manager.load()
        await worker.menu.refresh()
        with connected(settings, settings.cassandra.keyspace) as cassandra:
            cassandra.execute("TRUNCATE menu_revisions")
        await worker.menu.refresh()
        assert worker.menu.current() == made


async def test_a_menu_of_ten_thousand_dishes_is_made_at_once(settings: Settings) -> None:
    many = [replace(DISHES[0], id=f"d{number}", description="é" * 100) for number in range(10_000)]
    slow = change(settings, "cassandra", read_timeout=30.0)
    async with house(slow) as manager, house(slow) as worker:
        await manager.load(many)
        await worker.menu.refresh()
        assert len(worker.menu.current().items) == 10_000

"""The menu as a worker holds it: in memory, behind it Redis, Cassandra and a copy on disk."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import structlog

from app.adapters.menu_copies import MenuCopies
from app.adapters.menu_store import MenuStore, decode_menu, encode_menu
from app.domain.menu import Menu, MenuItem, by_id
from app.ports import UnavailableError
from app.settings import Settings

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.2  # between two looks while there is no menu, or a newer one was heard of
AWAY_SECONDS = 1.0  # between two looks while neither Redis nor Cassandra answers
OTHERS_SECONDS = 0.05  # between two looks whether the worker that asks Cassandra has its answer
ASKED_SECONDS = 0.5  # guests who name a revision that is not known here make at most a look in this time

Source = Literal["redis", "cassandra", "disk", "here"]


class MenuWatch(Protocol):
    """Hears how the menu comes to this worker."""

    def loaded(self, source: Source, menu: Menu) -> None:
        """A menu that was newer than the last one was taken."""
        ...


class Unwatched:
    """Hears nothing."""

    def loaded(self, source: Source, menu: Menu) -> None:
        """Nobody counts."""


UNWATCHED = Unwatched()


class WorkerMenu:
    """The newest menu that was seen; it is never replaced by an older one.

    Either of Redis and Cassandra may be away. With both away the menu stays as it is, also over a restart (from disk),
    and is in doubt from the first look that fails.
    """

    def __init__(self, settings: Settings, store: MenuStore, copies: MenuCopies, watch: MenuWatch = UNWATCHED) -> None:
        self._fresh = settings.menu.fresh
        self._disk = MenuOnDisk(settings.data_dir / "menu" / "menu.json")
        self._store = store
        self._copies = copies
        self._watch = watch
        self._menu: Menu | None = None
        self._by_id: dict[str, MenuItem] = {}
        self._wanted = 0  # the highest revision heard of
        self._confirmed_at = 0.0  # s since 1970
        self._is_in_doubt = False
        self._is_cassandra_away = False
        self._callbacks: list[Callable[[], None]] = []
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = 0.0
        self._dropping: set[asyncio.Task[None]] = set()

    # ── what the views ask ────────────────────────────────────────────────────────────────────────────────────────────

    def current(self) -> Menu:
        """The newest menu seen; UnavailableError where none was ever fetched."""
        if self._menu is None:
            raise UnavailableError("no menu was fetched yet")
        return self._menu

    def find(self, item_id: str) -> MenuItem | None:
        """The dish with this id; UnavailableError where no menu was ever fetched."""
        if self._menu is None:
            raise UnavailableError("no menu was fetched yet")
        return self._by_id.get(item_id)

    @property
    def stale_since(self) -> float | None:
        """When the menu was last known to be the newest (s since 1970), where that is in doubt; else None."""
        return self._confirmed_at if self._is_in_doubt or self._held < self._wanted else None

    async def catch_up(self, revision: int) -> None:
        """Look once for a menu of at least this revision; shared by all who ask meanwhile."""
        if revision <= self._held:
            return
        now = time.monotonic()
        if self._asking is None or self._asking.done():
            if now - self._asked_at < ASKED_SECONDS:
                return
            self._asked_at = now
            self._asking = asyncio.create_task(self._look(max_age=0.0), name="menu-catch-up")
        await asyncio.shield(self._asking)

    async def reload(self) -> None:
        """Ask the store itself; UnavailableError while it is away."""
        self._take(await self._store.newest(), "cassandra")

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` called on the event loop after another menu was taken."""
        self._callbacks.append(callback)

    # ── what is heard ─────────────────────────────────────────────────────────────────────────────────────────────────

    def heard(self, revision: int) -> None:
        """A revision was told of (0: perhaps one was): whatever is older is dropped, and it is fetched."""
        self._wanted = max(self._wanted, revision)
        if revision == 0 or self._held < revision:
            dropping = asyncio.create_task(self._copies.drop_below(revision))
            self._dropping.add(dropping)
            dropping.add_done_callback(self._dropping.discard)
            self._something.set()

    def made(self, menu: Menu) -> None:
        """This worker made a revision."""
        self._take(menu, "here")

    # ── fetching ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Fetch the menu now, when there is news, and every few seconds from here on; on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._keep_fresh(), name="menu")

    async def stop(self) -> None:
        """Stop fetching."""
        tasks = [task for task in (self._task, self._asking, *self._dropping) if task is not None and not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._copies.stop()

    async def _keep_fresh(self) -> None:
        while True:
            self._something.clear()
            try:
                await self.refresh()
            except Exception:  # the menu in memory is good for ordering; whatever this is, look again
                log.exception("the menu could not be looked for")
                self._is_in_doubt = True
            if self._menu is None:
                await self._take_from_disk()
            await self._until_the_next_look()

    async def _until_the_next_look(self) -> None:
        seconds = self._fresh
        if self._is_in_doubt:
            seconds = min(self._fresh, AWAY_SECONDS)
        if self._menu is None or self._held < self._wanted:
            seconds = RETRY_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
        except TimeoutError:
            return

    async def refresh(self) -> None:
        """Look once for a menu that is newer than the one here."""
        await self._look(max_age=self._fresh)

    async def _look(self, max_age: float) -> None:
        """Look once: Redis, then Cassandra where Redis has no menu that is new enough, `max_age` in s."""
        copy = await self._copies.stand()
        if copy is not None and await self._take_copy(copy.revision, copy.age_ms <= max_age * 1000):
            return
        if copy is not None and not await self._copies.lock() and await self._wait_for_the_others():
            return
        try:
            menu = await self._store.newest()
        except UnavailableError as error:
            await self._without_cassandra(str(error))
        else:
            self._note_cassandra()
            if menu.revision:  # 0: none was made yet, or the store is empty; the last one goes on
                self._take(menu, "cassandra")
                self._confirm()
                await self._copies.put(self.current())
        if copy is not None:
            await self._copies.unlock()

    async def _take_copy(self, revision: int, is_fresh: bool) -> bool:
        """Take the copy in Redis where it is news; whether that is enough."""
        if revision < max(self._wanted, 1) or not (is_fresh or revision > self._held):
            return False
        if revision > self._held:
            menu = await self._copies.menu()
            if menu is None:
                return False
            self._take(menu, "redis")
        if self._held < max(self._wanted, revision):
            return False
        self._confirm()
        return True

    async def _wait_for_the_others(self) -> bool:
        """Another worker asks Cassandra: whether its answer came to Redis while it holds the others off."""
        for _ in range(20):
            await asyncio.sleep(OTHERS_SECONDS)
            copy = await self._copies.stand()
            if copy is None:
                return False
            if await self._take_copy(copy.revision, copy.age_ms <= self._fresh * 1000):
                return True
        return False

    async def _without_cassandra(self, reason: str) -> None:
        self._note_cassandra(reason)
        self._is_in_doubt = True
        if self._menu is None and (menu := await self._copies.menu()) is not None:
            self._take(menu, "redis")

    async def _take_from_disk(self) -> None:
        found = await asyncio.to_thread(self._disk.read)
        if found is not None:
            menu, self._confirmed_at = found
            self._is_in_doubt = True
            self._take(menu, "disk")

    @property
    def _held(self) -> int:
        return self._menu.revision if self._menu is not None else 0

    def _confirm(self) -> None:
        self._confirmed_at = time.time()
        self._is_in_doubt = False

    def _take(self, menu: Menu, source: Source) -> None:
        if menu.revision <= self._held:
            return
        self._menu, self._by_id = menu, by_id(menu.items)
        log.info("menu taken", revision=menu.revision, dishes=len(menu.items), source=source)
        self._watch.loaded(source, menu)
        if source != "disk":
            self._disk.write_soon(menu)
        for callback in self._callbacks:
            callback()

    def _note_cassandra(self, reason: str = "") -> None:
        """Say once that it went away or came back."""
        if reason and not self._is_cassandra_away:
            log.warning("cassandra cannot be asked for the menu", reason=reason)
        elif not reason and self._is_cassandra_away:
            log.info("cassandra is back")
        self._is_cassandra_away = bool(reason)


class MenuOnDisk:
    """The last menu that workers of this machine saw, for one that starts while neither Redis nor Cassandra answers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing: asyncio.Task[None] | None = None

    def read(self) -> tuple[Menu, float] | None:
        """The menu, and when it was written (s since 1970); None where there is none that can be read."""
        try:
            return decode_menu(self._path.read_bytes()), self._path.stat().st_mtime
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("the menu on disk cannot be read", path=str(self._path), reason=str(error))
            return None

    def write_soon(self, menu: Menu) -> None:
        """Write it on a thread: a slow disk must not hold up an order."""
        after = self._writing

        async def write() -> None:
            if after is not None:
                await asyncio.wait([after])
            await asyncio.to_thread(self._write, menu)

        self._writing = asyncio.create_task(write(), name="menu-to-disk")

    def _write(self, menu: Menu) -> None:
        draft = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(encode_menu(menu))
            draft.replace(self._path)
        except OSError as error:
            log.warning("the menu cannot be kept on disk", path=str(self._path), reason=str(error))

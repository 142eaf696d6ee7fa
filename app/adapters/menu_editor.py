"""Changing the menu: read, edit, make the next revision, tell everybody; anew where another manager was faster."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog

from app.adapters.cassandra import CassandraSession
from app.adapters.menu_changes import MenuAnnouncer
from app.adapters.menu_copies import MenuCopies
from app.adapters.menu_store import MenuStore
from app.clock import wall_clock
from app.domain.menu import Menu
from app.domain.menu_edits import Edit, Edited, Refused
from app.messages import MAX_CHANGED, MenuChanged
from app.ports import Revision, UnavailableError
from app.settings import Settings

log = structlog.get_logger(__name__)

ATTEMPTS = 20  # each time another manager was faster
TOLD_SECONDS = 1.0  # a manager waits for Kafka; without it workers see the change when they next look
CONNECT_SECONDS = 10.0  # of a command


class StoredMenuEditor:
    """Makes revisions in Cassandra, puts them into Redis and tells of them in Kafka."""

    def __init__(
        self,
        store: MenuStore,
        copies: MenuCopies,
        announcer: MenuAnnouncer,
        made: Callable[[Menu], None] = lambda _: None,
    ) -> None:
        """`made` is called with each revision made here."""
        self._store = store
        self._copies = copies
        self._announcer = announcer
        self._made = made

    async def apply(self, edit: Edit, who: str, what: str) -> Edited | Refused:
        """Apply an edit to the newest menu, anew where another manager was faster; returns once it is stored.

        Raises:
            UnavailableError: the store is away; whether the edit was made is not known, and asking again is safe.
            MenuTooLargeError: the menu would be larger than the store takes.
        """
        change_id = uuid.uuid4().hex
        for attempt in range(ATTEMPTS):
            menu = await self._store.newest(agreed=attempt > 0)
            edited = edit(menu)
            if not isinstance(edited, Edited) or edited.menu is menu:
                return edited
            # The time only rises, also where the clock was set back.
            edited = replace(edited, menu=replace(edited.menu, at=max(wall_clock(), menu.at + 1)))
            if await self._store.make(edited.menu, change_id, who, what):
                await self._tell(edited, who, what)
                return edited
        raise UnavailableError("other managers change the menu all the time")

    async def _tell(self, edited: Edited, who: str, what: str) -> None:
        menu = edited.menu
        log.info("menu changed", revision=menu.revision, who=who, what=what)
        self._made(menu)
        await self._copies.put(menu)
        change = MenuChanged(menu.revision, menu.at, who, what, edited.changed[:MAX_CHANGED])
        if not await self._announcer.announce(change, TOLD_SECONDS):
            log.warning("kafka has not taken the change of the menu yet", revision=menu.revision)

    async def newest(self) -> Menu:
        """The newest menu in the store; revision 0 where there is none. UnavailableError while the store is away."""
        return await self._store.newest(agreed=True)

    async def history(self, limit: int, before: int | None = None) -> Sequence[Revision]:
        """The last changes, newest first, those before a revision; UnavailableError while the store is away."""
        return await self._store.history(limit, before)


@asynccontextmanager
async def open_editor(settings: Settings) -> AsyncIterator[StoredMenuEditor]:
    """An editor with connections of its own, for a command.

    Raises:
        UnavailableError: Cassandra does not answer.
    """
    session = CassandraSession(settings)
    store = MenuStore(session, settings.menu.revisions)
    copies, announcer = MenuCopies(settings), MenuAnnouncer(settings)
    session.start()
    try:
        await _connected(session, settings)
        yield StoredMenuEditor(store, copies, announcer)
    finally:
        await copies.stop()
        await asyncio.to_thread(announcer.stop)
        await session.stop()


async def _connected(session: CassandraSession, settings: Settings) -> None:
    hosts = ", ".join(settings.cassandra_hosts)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while not session.connected:  # noqa: ASYNC110 - it connects on a thread
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise UnavailableError(f"Cassandra at {hosts} did not answer within {CONNECT_SECONDS:.0f} s") from None

"""The menu in Cassandra: each revision a whole menu, made once and never written again."""

from collections.abc import Sequence
from typing import Any

import msgspec
from cassandra import ConsistencyLevel

from app.adapters.breaker import UNGUARDED, Guard
from app.adapters.cassandra import CassandraSession, milliseconds_of
from app.domain.menu import Menu
from app.ports import MenuTooLargeError, Revision, UnavailableError

MENU = "main"  # the partition of the one menu
MAX_BYTES = 8 * 1024 * 1024  # of a revision; Cassandra takes half a segment of its commit log, 16 MB
ATTEMPTS = 3  # to hear what became of a revision whose answer was lost
PRUNE_EVERY = 100  # revisions

_NEWEST = "SELECT dishes FROM menu_revisions WHERE menu = ? LIMIT 1"
_MAKE = (
    "INSERT INTO menu_revisions (menu, revision, change_id, made_at, who, what, dishes) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "IF NOT EXISTS"
)
_FIELDS = "revision, made_at, who, what, dishes"
_HISTORY = f"SELECT {_FIELDS} FROM menu_revisions WHERE menu = ? AND revision < ? LIMIT ?"  # noqa: S608 - constants
_PRUNE = "DELETE FROM menu_revisions WHERE menu = ? AND revision <= ?"
_ABOVE_ALL = 2**62

_decoder = msgspec.json.Decoder(Menu)

encode_menu = msgspec.json.Encoder().encode


def decode_menu(data: bytes | str) -> Menu:
    """The menu that `encode_menu` wrote; ValueError where these bytes are something else."""
    return _decoder.decode(data)


class MenuStore:
    """Reads and makes revisions over a connection that others share; reads are made through `guard`."""

    def __init__(self, session: CassandraSession, kept: int, guard: Guard = UNGUARDED) -> None:
        """Of the newest revisions `kept` are kept."""
        self._session = session
        self._guard = guard
        self._kept = kept
        self._newest = session.prepare(_NEWEST)
        # What another revision's makers have agreed on, and not yet written, is written before this answers.
        self._agreed = session.prepare(_NEWEST, ConsistencyLevel.LOCAL_SERIAL)
        self._make = session.prepare(_MAKE)
        self._history = session.prepare(_HISTORY)
        self._prune = session.prepare(_PRUNE)

    async def newest(self, *, agreed: bool = False) -> Menu:
        """The newest menu; revision 0 where there is none. UnavailableError while Cassandra is away.

        `agreed`: also one that is being made at this moment; slower, and for whoever makes the next.
        """
        statement = self._agreed if agreed else self._newest
        rows = await self._guard.call(lambda: self._session.rows(statement, (MENU,)))
        return decode_menu(rows[0][0]) if rows else Menu()

    async def make(self, menu: Menu, change_id: str, who: str, what: str) -> bool:
        """Make this revision, the one after the newest; False where there is another one of its number.

        `change_id` names the attempt, so that it is known again where its answer was lost.

        Raises:
            UnavailableError: it is not known whether it was made.
            MenuTooLargeError: it is above `MAX_BYTES`.
        """
        data = encode_menu(menu)
        if len(data) > MAX_BYTES:
            raise MenuTooLargeError(f"the menu takes {len(data)} bytes, at most {MAX_BYTES} are allowed")
        values = (MENU, menu.revision, change_id, menu.at, who, what, data.decode())
        for attempt in range(1, ATTEMPTS + 1):
            try:
                applied, *other = (await self._session.rows(self._make, values))[0]
            except UnavailableError:
                if attempt == ATTEMPTS:
                    raise
            else:
                if applied and menu.revision % PRUNE_EVERY == 0:
                    await self._drop_old(menu.revision - self._kept)
                return bool(applied) or change_id in other
        raise AssertionError("unreachable")

    async def history(self, limit: int, before: int | None) -> Sequence[Revision]:
        """The last `limit` changes, newest first, those below revision `before`."""
        values = (MENU, _ABOVE_ALL if before is None else before, limit + 1)
        rows = await self._guard.call(lambda: self._session.rows(self._history, values))
        menus = [decode_menu(row[4]) for row in rows]
        return [
            Revision(row[0], milliseconds_of(row[1]), row[2], row[3], _before(row, menus, place), menus[place])
            for place, row in enumerate(rows[:limit])
        ]

    async def _drop_old(self, revision: int) -> None:
        try:
            await self._session.rows(self._prune, (MENU, revision))
        except UnavailableError:
            return  # the next one does it


def _before(row: Sequence[Any], menus: Sequence[Menu], place: int) -> Menu | None:
    if place + 1 < len(menus):
        return menus[place + 1]
    return Menu() if row[0] == 1 else None

"""The menu as it is sent: made once, and again when another menu came or a dish begins or ends to be on."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from app.clock import wall_clock
from app.domain.house_clock import HouseClock
from app.domain.menu import Menu
from app.ports import LiveMenu
from app.settings import Settings
from app.web.forms import menu_entry

_GZIP_LEVEL = 6  # a hundredth larger than at 9, in a third of the time


@dataclass(frozen=True, slots=True)
class Page:
    """A list of dishes in JSON, plain and compressed; `etag` is the plain one's entity tag, its quotes included."""

    body: bytes
    gzipped: bytes
    etag: str
    revision: int

    @property
    def gzip_etag(self) -> str:
        """The entity tag of the compressed one."""
        return f'{self.etag[:-1]}-gz"'


class MenuPages:
    """Keeps a page for each category and language that the menu has."""

    def __init__(self, menu: LiveMenu, settings: Settings, now: Callable[[], int] = wall_clock) -> None:
        self._live = menu
        self._currency = settings.restaurant.currency
        self._clock = HouseClock(settings.restaurant.time_zone)
        self._now = now
        self._menu: Menu | None = None
        self._until: int | None = None
        self._categories: set[str] = set()
        self._languages: set[str] = set()
        self._pages: dict[tuple[str | None, str], Page] = {}

    def page(self, category: str = "", language: str = "") -> Page:
        """The dishes, of one category where one is named; those that cannot be ordered now stand last.

        There is nothing in a category that the menu does not have; a language that it does not have is its own one.

        Raises:
            UnavailableError: there is no menu.
        """
        menu, now = self._live.current(), self._now()
        if menu is not self._menu or (self._until is not None and now >= self._until):
            self._begin(menu, now)
        # What guests make up is looked for under one name: they must not fill the memory.
        key = (
            category if category in self._categories else None,
            language if language in self._languages else "",
        )
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = self._make(menu, now, *key)
        return page

    def _begin(self, menu: Menu, now: int) -> None:
        self._menu, self._until = menu, menu.next_turn(now, self._clock)
        self._categories = {item.category for item in menu.items} | {""}
        self._languages = {language for item in menu.items for language in item.translations}
        self._pages = {}

    def _make(self, menu: Menu, now: int, category: str | None, language: str) -> Page:
        dishes = [
            menu_entry(item, self._currency, available, language, now)
            for item, available in menu.in_order(now, self._clock)
            if category in ("", item.category)
        ]
        body = orjson.dumps(dishes)
        etag = f'"{menu.revision}.{blake2b(body, digest_size=4).hexdigest()}"'
        return Page(body, gzip.compress(body, _GZIP_LEVEL, mtime=0), etag, menu.revision)

"""The menu as pads that follow it are told: server-sent events, each made once for all of them."""

import orjson

from app.domain.house_clock import HouseClock
from app.domain.menu import Menu
from app.web.bell import Bell
from app.web.forms import menu_entry

NEVER = 2**62  # ms: no dish begins or ends to be on by itself
_MAX_KEPT = 256  # events since different ids, which guests may make up


class ToldMenu:
    """The menu as it stands from the time `at` (ms since 1970, UTC) on; `past` rings once it stands otherwise.

    An event's id is `R-t`, revision and `at`: hours begin and end without a revision, so that resuming needs both.
    """

    def __init__(self, menu: Menu, at: int, currency: str, clock: HouseClock) -> None:
        self.menu = menu
        self.at = at
        self.until = menu.next_turn(at, clock) or NEVER
        self.past = Bell()
        self._currency = currency
        self._clock = clock
        self._order = menu.in_order(at, clock)
        self._languages = {language for item in menu.items for language in item.translations}
        self._whole: dict[str, bytes] = {}
        self._since: dict[tuple[int, int | None, str], bytes] = {}

    def whole(self, language: str) -> bytes:
        """The event that shows every dish, in the menu's order."""
        language = self._known(language)
        event = self._whole.get(language)
        if event is None:
            items = self._entries({item.id for item in self.menu.items}, language)
            event = self._whole[language] = self._event(b"menu", {"items": items})
        return event

    def since(self, revision: int, then: int | None, language: str) -> bytes:
        """What is to be shown anew by who was shown `revision` at the time `then`, None where that is not known."""
        key = revision, then, self._known(language)
        event = self._since.get(key)
        if event is None:
            event = self._news(*key)
            if len(self._since) < _MAX_KEPT:
                self._since[key] = event
        return event

    def _news(self, revision: int, then: int | None, language: str) -> bytes:
        news = self.menu.since(revision, self.at if then is None else then, self.at, self._clock)
        if news is None:
            return self.whole(language)
        changed = {item.id for item in news.changed}
        if then is None:
            changed |= {item.id for item in self.menu.items if item.served or item.sold_out_until}
        if not (changed or news.removed):
            return b"id: %d-%d\n\n" % (self.menu.revision, self.at)
        return self._event(b"change", {"items": self._entries(changed, language), "removed": news.removed})

    def _entries(self, chosen: set[str], language: str) -> list[dict[str, object]]:
        return [
            menu_entry(item, self._currency, available, language, self.at)
            for item, available in self._order
            if item.id in chosen
        ]

    def _event(self, name: bytes, data: dict[str, object]) -> bytes:
        text = orjson.dumps({"menu_revision": self.menu.revision, **data})
        return b"id: %d-%d\nevent: %b\ndata: %b\n\n" % (self.menu.revision, self.at, name, text)

    def _known(self, language: str) -> str:
        """What guests make up is shown, and kept, as the menu's own language."""
        return language if language in self._languages else ""

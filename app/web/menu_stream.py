"""The menu told to pads as it changes."""

import asyncio
import re
from collections.abc import Callable

from aiohttp import hdrs, web

from app.clock import wall_clock
from app.web.answers import not_ready, refuse
from app.web.services import Services
from app.web.sse import BEAT, RETRY_MS, last_event_id, new_stream, write
from app.web.told_menu import NEVER, ToldMenu

_LONGEST_WAIT = 600.0  # s to the menu's next turn: the wall clock may be set meanwhile

_event_id = re.compile(r"(\d{1,15})(?:-(\d{1,13}))?")


class MenuStream:
    """`GET /menu_items/stream`: a stream waits for the menu to stand otherwise than it was told of, and tells.

    Who is slow is told of several changes at once. To be stopped before the worker waits for its requests to end.
    """

    def __init__(self, services: Services, now: Callable[[], int] = wall_clock) -> None:
        self._menu = services.menu
        self._clock = services.clock
        self._currency = services.settings.restaurant.currency
        self._settings = services.settings.menu
        self._now = now
        self._pads: set[asyncio.Transport] = set()
        self._told: ToldMenu | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopping = False
        services.menu.on_change(self._on_change)

    @property
    def connected(self) -> int:
        """How many pads follow."""
        return len(self._pads)

    def stop(self) -> None:
        """End all streams; no more begin."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self._told is not None:
            self._told.past.ring()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The menu, or what is new since the last event that the pad has; then each change."""
        seen, language = _seen(request), request.query.get("lang", "")
        if seen is not None:
            await self._menu.catch_up(seen[0])
        pad = request.transport
        if self._is_stopping or pad is None:
            return not_ready()
        if self._is_full():
            return refuse(503)
        told = self._look()
        first = told.whole(language) if seen is None else told.since(*seen, language)
        response = new_stream(request)
        self._pads.add(pad)
        try:
            await response.prepare(request)
            if request.method != hdrs.METH_HEAD:
                await write(response, b"retry: %d\n%b" % (RETRY_MS, first))
                await self._follow(response, told, language)
        except (ConnectionResetError, TimeoutError):
            pad.abort()
        finally:
            self._pads.discard(pad)
        return response

    async def _follow(self, response: web.StreamResponse, told: ToldMenu, language: str) -> None:
        while not self._is_stopping:
            try:
                async with asyncio.timeout(self._settings.heartbeat):
                    await told.past.wait()
            except TimeoutError:
                await write(response, BEAT)
                continue
            told, before = self._look(), told
            if told is not before:
                await write(response, told.since(before.menu.revision, before.at, language))

    def _is_full(self) -> bool:
        """Whether as many pads listen as may; one that hung up is noticed with the next write only."""
        most = self._settings.max_streams
        return len(self._pads) >= most and sum(not pad.is_closing() for pad in self._pads) >= most

    def _look(self) -> ToldMenu:
        """The menu as it stands; all streams are woken where they were told otherwise."""
        menu, now, before = self._menu.current(), self._now(), self._told
        if before is not None and before.menu is menu and now < before.until:
            return before
        told = self._told = ToldMenu(menu, now, self._currency, self._clock)
        self._wait_for_the_next_turn(told)
        if before is not None:
            before.past.ring()
        return told

    def _on_change(self) -> None:
        if self._told is not None:
            self._look()

    def _on_turn(self) -> None:
        told = self._look()
        self._wait_for_the_next_turn(told)

    def _wait_for_the_next_turn(self, told: ToldMenu) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if told.until == NEVER or self._is_stopping:
            return
        seconds = min((told.until - self._now()) / 1000, _LONGEST_WAIT)
        self._timer = asyncio.get_running_loop().call_later(max(seconds, 0.0), self._on_turn)


def _seen(request: web.Request) -> tuple[int, int | None] | None:
    """The revision that the pad was shown last, and when; None: it knows nothing that can be read."""
    found = _event_id.fullmatch(last_event_id(request))
    if found is None:
        return None
    return int(found[1]), int(found[2]) if found[2] else None

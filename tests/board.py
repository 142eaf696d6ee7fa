"""A menu on a board, and a server that shows it: the read of the menu alone, with the fast path or without."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from app.domain.menu import Menu, MenuItem
from app.web.bodies import read_body
from app.web.fast_menu import FAST_MENU, FastMenu
from app.web.headers import add_headers
from app.web.menu_pages import MenuPages
from app.web.menu_reads import MenuReads
from app.web.middleware import contract
from app.web.server import ContractRunner
from tests.house import House, HouseMenu

SALMON = MenuItem("m1", "Grilled Salmon", 1899, "Mains", "grill", "With lemon", ("fish",), tax_rate=1000, revision=3)
SOUP = MenuItem("m2", "Onion Soup", 850, "Starters", "stove", "Gratinated", ("milk", "gluten"), revision=1)
MENU = Menu(7, 0, (SALMON, SOUP))


class Board(HouseMenu):
    """The menu as a worker holds it; tests write it and wipe it off."""

    def __init__(self, menu: Menu | None = MENU) -> None:
        super().__init__()
        self.menu = menu
        self.reloads = 0

    async def reload(self) -> None:
        self.reloads += 1


@dataclass
class Counter:
    """A server with the menu's view and one that repeats what it is sent; `fast` and `slow` are how each read ended."""

    board: Board = field(default_factory=Board)
    fast: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def serving(self, is_fast: bool = True, **settings: Any) -> AsyncIterator[int]:
        """Its port on 127.0.0.1."""
        services = replace(House(**settings).services, menu=self.board)
        pages = MenuPages(self.board, services.settings)
        application = web.Application(middlewares=[contract])
        headers = add_headers(application, services.settings.web)
        application.router.add_get("/menu_items", MenuReads(services, pages, self.slow.append).menu_items)
        application.router.add_post("/echo", _echo)
        if is_fast:
            application[FAST_MENU] = FastMenu(self.board, pages, headers, self.fast.append)
        runner = ContractRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


async def _echo(request: web.Request) -> web.Response:
    return web.Response(body=await read_body(request, 64 * 1024))

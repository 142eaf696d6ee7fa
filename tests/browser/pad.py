"""A house that pads are tried against: the views that ship, a kitchen that says what a test wants, a wire to cut."""

import asyncio
import contextlib
import itertools
import json
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from app.adapters.tokens import Keys, SignedTokens
from app.clock import wall_clock
from app.domain import decide as d
from app.domain.menu import MenuItem, Modifier, ModifierGroup, Translation
from app.domain.moments import utc
from app.messages import CloseSession, PlaceOrder
from app.web.fast_orders import FAST_ORDERS
from app.web.server import ContractRunner
from tests.chromium import WITHIN, Browser
from tests.house import House, views_of

Found = TypeVar("Found")

UNSEEN_AFTER = 2  # s
LISTEN = """
const send = window.fetch;
window.sent = [];
window.fetch = (path, options) => {
  if (options.method === "POST") window.sent.push(options.body);
  return send(path, options);
};
"""
COOKING = ModifierGroup("cooking", "Cooking", 1, 1, (Modifier("rare", "Rare", 0), Modifier("done", "Well done", 0)))
SAUCES = ModifierGroup("sauce", "Sauce", 0, 2, (Modifier("pepper", "Pepper sauce", 200), Modifier("blue", "Blue", 250)))
DISHES = (
    MenuItem("m1", "Grilled Salmon", 1899, "Mains", "grill", "With lemon", ("fish",)),
    MenuItem(
        "m2",
        "Ribeye",
        3250,
        "Mains",
        "grill",
        "Dry-aged",
        translations={"fr": Translation("Entrecôte", "Maturée")},
        groups=(COOKING, SAUCES),
    ),
    MenuItem("m3", "Onion Soup", 850, "Starters", "cold", "Gratinated", ("milk", "gluten")),
)


class Restaurant:
    """The house, on a thread of its own. `kitchen` is what its stream says of each order, by order id."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._rings: set[asyncio.Event] = set()
        self._keys = tempfile.TemporaryDirectory()
        self.tokens = SignedTokens(Keys(Path(self._keys.name), 2), issuer="x", audience="x", ttl_seconds=3600)
        self.kitchen: dict[str, dict[str, Any]] = {}
        self.is_over = False
        self.is_deaf = False  # orders arrive, and no answer to anything comes back
        self.refusals: list[web.Response] = []  # what the next orders are answered instead
        self.url = ""

    def start(self) -> None:
        self._thread.start()
        self.do(self._start())

    def stop(self) -> None:
        self.is_over = True
        self.do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._keys.cleanup()

    def do(self, work: Coroutine[Any, Any, Found]) -> Found:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN)

    def call(self, act: Callable[[], Found]) -> Found:
        """Do something on the house's own thread."""

        async def work() -> Found:
            return act()

        return self.do(work())

    async def _start(self) -> None:
        kitchen = web.Application()
        kitchen.router.add_get("/tables/{table}/stream", self._stream)
        self._kitchen_runner = web.AppRunner(kitchen, access_log=None, shutdown_timeout=0.1)
        await self._kitchen_runner.setup()
        await web.TCPSite(self._kitchen_runner, "127.0.0.1", 0).start()
        port = self._kitchen_runner.addresses[0][1]
        self.house = House(kitchen={"url": f"http://127.0.0.1:{port}"})
        self.house.services = replace(self.house.services, tokens=self.tokens)
        self.house.menu.dishes = DISHES
        place = self.house.owner._place

        def placed(command: PlaceOrder, version: int, at: d.At) -> None:
            place(command, version, d.At(at.offset, wall_clock()))

        self.house.owner._place = placed
        application = views_of(self.house)
        application.middlewares.append(self._wire)
        application[FAST_ORDERS].read = lambda *_: None  # type: ignore[method-assign]  # the wire is to see orders, too
        self._runner = ContractRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        self._ring()
        await self._runner.cleanup()
        await self._kitchen_runner.cleanup()

    @web.middleware
    async def _wire(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The way between pads and the house, which loses answers; pages and the menu always get through."""
        if request.path.startswith(("/static", "/pad", "/menu_items")):
            return await handler(request)
        if request.method == "POST" and request.path == "/orders" and self.refusals:
            return self.refusals.pop(0)
        response = await handler(request)
        return self._break(request) if self.is_deaf else response

    def _break(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionResetError

    # the kitchen

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        claims = self.tokens.verify(request.headers["Authorization"][7:])
        assert claims is not None
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.force_close()
        await response.prepare(request)
        told = self._told(claims.table, claims.session)
        first = {"table_number": claims.table, "session": claims.session, "orders": list(told.values())}
        await _write(response, "snapshot", first | {"now": utc(wall_clock()), "unseen_after": UNSEEN_AFTER})
        ring = asyncio.Event()
        self._rings.add(ring)
        try:
            while not self.is_over and not self.is_deaf:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ring.wait(), 0.5)
                ring.clear()
                if not self.house.owner.rows[claims.table].is_open:
                    await _write(response, "closed", {})
                    break
                before, told = told, self._told(claims.table, claims.session)
                for order_id in told:
                    if told[order_id] != before.get(order_id):
                        await _write(response, "order", told[order_id])
                await _write(response, "beat", {"now": utc(wall_clock()), "current": True})
        except ConnectionResetError:
            pass  # the pad went away
        finally:
            self._rings.discard(ring)
        return response

    def _told(self, table: str, session: int) -> dict[str, dict[str, Any]]:
        known = {order.order_id: order for order in self.house.owner.events}
        return {
            order_id: dict(told) | {"placed_at": utc(known[order_id].placed_at)}
            for order_id, told in self.kitchen.items()
            if (known[order_id].table, known[order_id].session) == (table, session)
        }

    def _ring(self) -> None:
        for ring in self._rings:
            ring.set()

    def kitchen_says(self, order_id: str, state: str, reason: str = "") -> None:
        def say() -> None:
            told = {"order_id": order_id, "version": 1, "state": state, "reason": reason, "tickets": []}
            self.kitchen[order_id] = told
            self._ring()

        self.call(say)

    # the house

    def seat(self, table: str) -> str:
        """Open the table; the token of its pads."""
        self.do(self.house.seat(table))
        return self.tokens.sign("pad", table, self.house.owner.rows[table].session)

    def close(self, table: str) -> None:
        session = self.house.owner.rows[table].session
        self.do(self.house.owner.ask(CloseSession("r", "", table, session)))
        self.call(self._ring)

    def orders(self, table: str) -> list[Any]:
        """What stands."""
        return [order for order in self.house.owner.events if order.table == table]

    def wait_for_orders(self, table: str, count: int = 1) -> list[Any]:
        """What stands, once it is so many orders."""
        deadline = time.monotonic() + WITHIN
        while len(found := self.orders(table)) < count:
            assert time.monotonic() < deadline, f"{len(found)} orders stand, not {count}"
            time.sleep(0.02)
        assert len(found) == count
        return found

    def reset_menu(self) -> None:
        self.call(lambda: setattr(self.house.menu, "dishes", DISHES))

    def change(self, dish: str, *, in_silence: bool = False, **changes: Any) -> None:
        """Change a dish; in silence, no pad is told."""

        def change() -> None:
            menu = self.house.menu
            told, menu._callbacks = menu._callbacks, [] if in_silence else menu._callbacks
            menu.dishes = [replace(item, **changes) if item.id == dish else item for item in menu.dishes or ()]
            menu._callbacks = told

        self.call(change)

    def refuse_next(self, status: int, error: str, headers: dict[str, str] | None = None) -> None:
        text = json.dumps({"error": error})

        def refuse() -> None:
            response = web.Response(status=status, text=text, content_type="application/json", headers=headers)
            self.refusals.append(response)

        self.call(refuse)


async def _write(response: web.StreamResponse, event: str, data: dict[str, Any]) -> None:
    await response.write(f"id: {event}-1\nevent: {event}\ndata: {json.dumps(data)}\n\n".encode())


@contextlib.contextmanager
def open_restaurant() -> Iterator[Restaurant]:
    restaurant = Restaurant()
    restaurant.start()
    try:
        yield restaurant
    finally:
        restaurant.stop()


_numbers = itertools.count(1)


class Pad:
    """A guest's hand and eye at one pad."""

    def __init__(self, page: Browser, url: str, table: str, token: str) -> None:
        self.page = page
        self.url = url
        self.table = table
        self.token = token

    def open(self) -> "Pad":
        self.page.open("about:blank")  # else only the fragment is another one
        self.page.open(f"{self.url}/pad#token={self.token}")
        self.page.find("li.dish")
        return self

    def reload(self) -> None:
        self.page.driver.refresh()
        self.page.find("li.dish")

    def text(self, selector: str) -> str:
        return " ".join(self.page.texts(selector))

    def says(self, selector: str, *parts: str) -> None:
        """Wait until all of it stands there."""

        def is_said() -> bool:
            said = self.text(selector)
            return all(part in said for part in parts)

        self.page.wait(is_said, lambda: f"{selector} says {self.text(selector)!r}, not {parts}")

    def says_no_more(self, selector: str, part: str = "") -> None:
        """Wait until it does not stand there; without a part, until nothing does."""
        is_gone = lambda: part not in self.text(selector) if part else not self.text(selector).strip()  # noqa: E731
        self.page.wait(is_gone, lambda: f"{selector} still says {self.text(selector)!r}")

    def tap(self, selector: str, text: str = "") -> None:
        """Touch the first that is shown, can be touched, and has this text."""

        def is_tapped() -> bool:
            found = [one for one in self.page.find_all(selector) if one.is_displayed() and one.is_enabled()]
            named = [one for one in found if text in one.text]
            if not named:
                return False
            self.page.run("arguments[0].scrollIntoView({ block: 'center' })", named[0])
            named[0].click()
            return True

        self.page.wait(is_tapped, f"there is no {selector} {text!r} to touch")

    def add(self, dish: str) -> None:
        if self.page.find("#to-menu").is_displayed():  # a phone shows one thing at a time
            self.tap("#to-menu")
        self.tap(f'li.dish[data-dish="{dish}"] button')

    def send(self) -> None:
        self.tap("#to-basket")
        self.tap("#send")

    def listen(self) -> None:
        """Hear what is sent from now on, until a reload."""
        self.page.run(LISTEN)

    def sent(self) -> list[str]:
        """The bodies of orders that were sent."""
        return list(self.page.run("return window.sent"))

    def orders(self) -> list[tuple[str, str]]:
        """Ids and states of the table's orders, as they are shown; the newest first."""
        shown = "[...document.querySelectorAll('#placed .order')]"
        found = self.page.run(f"return {shown}.map(({{ dataset }}) => [dataset.order, dataset.state])")
        return [(order, state) for order, state in found]

    def kept(self) -> dict[str, Any]:
        """What the pad would know after a reload."""
        script = "return Object.keys(localStorage).filter((name) => name.startsWith('bistro92.pad/'))"
        [name] = self.page.run(script)
        return dict(json.loads(self.page.run("return localStorage.getItem(arguments[0])", name))["state"])


def new_table() -> str:
    return f"P{next(_numbers)}"

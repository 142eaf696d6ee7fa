"""A kitchen that real browsers look at: the views and the agent that ship, and orders made by the test."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from aiohttp import web
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.remote.webelement import WebElement

from app.clock import wall_clock
from app.domain.tickets import tickets_of
from app.messages import CancelOrder, ChangeTicket, Line
from app.tables.kitchen import decode_order
from app.ticket_messages import ticket_read
from app.web.kitchen_routes import add_kitchen_routes
from app.web.server import ContractRunner
from tests.chromium import Browser
from tests.kitchen_pass import SALMON, Pass

Found = TypeVar("Found")

# s after which a tap is taken again: 0.4 after cards moved, and what another screen did is drawn 0.08 late
SETTLED = 0.6
WITHIN = 30.0  # s, on a machine that is busy with other things
FRIES = Line("m5", "Fries", 1, 450, station="grill")
TWO = (SALMON, FRIES)


def eventually(look: Callable[[], Any], what: str = "it never happened", within: float = WITHIN) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + within
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Kitchen:
    """Orders come in by the test's word, and what displays send is done as on a worker; it has a thread of its own."""

    def __init__(self, **settings: Any) -> None:
        self._pass = Pass(**settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._numbers = itertools.count(1)
        self._versions: dict[tuple[str, int], int] = {}
        self._runner: ContractRunner
        self.url = ""

    def start(self) -> None:
        self._thread.start()
        self.do(self._start())

    def stop(self) -> None:
        self.do(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, Found]) -> Found:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN)

    async def _start(self) -> None:
        application = web.Application()
        add_kitchen_routes(application, self._pass.services)
        self._runner = ContractRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    # what happens in the house

    def order(self, table: str = "T1", *lines: Line, age: float = 0.0, session: int = 1) -> str:
        """An order for the grill, placed `age` s ago; the id of its ticket."""
        return self.do(self._order(table, lines or TWO, age, session))

    async def _order(self, table: str, lines: tuple[Line, ...], age: float, session: int) -> str:
        kitchen = self._pass
        if (table, session) not in self._versions:
            await kitchen.seat(table, session)
        self._versions[table, session] = self._versions.get((table, session), 0) + 1
        kitchen.now = wall_clock() - int(age * 1000)
        order_id = await kitchen.order(next(self._numbers), table, session, *lines)
        kitchen.now = wall_clock()
        return f"{order_id}.grill"

    def other_cook(self, ticket_id: str, action: str, by: str = "kitchen ben", **more: str) -> None:
        """Somebody else changes the ticket, whatever it is by now."""
        number = next(self._numbers)
        order_id, _, station = ticket_id.partition(".")
        command = ChangeTicket(
            request_id=f"other-{number}",
            reply_to="here",
            table=self.ticket(ticket_id)["table_number"],
            order_id=order_id,
            station=station,
            action=action,
            version=self.ticket(ticket_id)["version"],
            command_id=f"other-{number}",
            by=by,
            **more,
        )
        self.do(self._pass.ask(command))

    def guest_cancels(self, ticket_id: str) -> None:
        ticket = self.ticket(ticket_id)
        number = next(self._numbers)
        self.do(
            self._pass.ask(
                CancelOrder(
                    f"cancel-{number}",
                    "here",
                    ticket["table_number"],
                    ticket["session"],
                    ticket["round"],
                    ticket["order_id"],
                    0,
                )
            )
        )

    def tickets(self) -> dict[str, dict[str, Any]]:
        """All tickets as they stand, by id."""

        async def look() -> dict[str, dict[str, Any]]:
            board = self._pass.board
            orders = [decode_order(record) for record in board.records([*board.open, *board.finished])]
            told = [ticket_read(ticket) for order in orders for ticket in tickets_of(order).values()]
            return {ticket["ticket_id"]: ticket for ticket in told}

        return self.do(look())

    def ticket(self, ticket_id: str) -> dict[str, Any]:
        return self.tickets()[ticket_id]

    def state(self, ticket_id: str) -> str:
        return str(self.ticket(ticket_id)["state"])

    def commands(self) -> list[ChangeTicket]:
        """What displays have sent, receipts left out, in order."""
        return [one for one in self._pass.log if isinstance(one, ChangeTicket) and one.action != "see"]

    def falls_behind(self, seconds: float) -> None:
        self._pass.behind = seconds

    def decides_nothing(self, is_away: bool = True) -> None:
        """Every command is answered with 503, until it is not."""
        self._pass.is_away = is_away


@contextmanager
def open_kitchen(**settings: Any) -> Iterator[Kitchen]:
    kitchen = Kitchen(**settings)
    kitchen.start()
    try:
        yield kitchen
    finally:
        kitchen.stop()


class Screen:
    """A display, as a cook sees and uses it."""

    def __init__(self, page: Browser, url: str, station: str = "grill", token: str = "kitchen") -> None:
        self.page = page
        page.open(f"{url}/kitchen?station={station}#token={token}")

    def find(self, ticket_id: str, state: str = "", part: str = "") -> WebElement:
        """The card of a ticket, or a part of it, once it is in the state."""
        return self.page.find(of(ticket_id, state) + f" {part}")

    def has_left(self, ticket_id: str) -> None:
        self.gone(f"#board {of(ticket_id)}, #pass {of(ticket_id)}")

    def gone(self, selector: str) -> None:
        self.page.wait(lambda: not self.page.find_all(selector), f"{selector} is still there")

    def tap(self, ticket_id: str, part: str = ".bump", state: str = "") -> None:
        """A tap, once the cards have stood still for long enough to be trusted."""
        self.find(ticket_id, state, part)
        time.sleep(SETTLED)
        self.page.click(of(ticket_id, state) + f" {part}")

    def press(self, *keys: str) -> None:
        """Keys, not faster than a hand."""
        for key in keys:
            ActionChains(self.page.driver).send_keys(key).perform()
            time.sleep(SETTLED)

    def shown(self) -> list[tuple[str, str, str]]:
        """Every card in order: ticket, state, version."""
        script = """return [...document.querySelectorAll("#board > li, #pass li")]
          .map(({dataset}) => [dataset.ticket, dataset.state, dataset.version])"""
        return [tuple(card) for card in self.page.run(script)]

    def is_told(self, text: str) -> None:
        """What a screen reader says at once."""
        script = "return document.getElementById('assertive').textContent"
        self.page.wait(lambda: text in self.page.run(script), f"{text!r} is not told")


def of(ticket_id: str, state: str = "") -> str:
    return f'[data-ticket="{ticket_id}"]' + (f'[data-state="{state}"]' if state else "")

"""A kitchen with one owner of all tickets: its agent and board are those that ship, Kafka acknowledges at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

import aiohttp
from aiohttp import web

from app.agents.kitchen import KitchenAgent
from app.messages import Answer, Line, OrderPlaced, SessionClosed, SessionOpened, encode
from app.ports import UNLIMITED, Limiter, UnavailableError
from app.settings import Settings
from app.tables.kitchen import KitchenState, Records
from app.topics import KITCHEN_CHANGELOG, KITCHEN_COMMANDS, KITCHEN_TICKETS, ORDER_COMMANDS
from app.web.board import Board
from app.web.kitchen_openapi import describe_kitchen
from app.web.kitchen_routes import add_kitchen_routes
from app.web.kitchen_services import KitchenServices
from app.web.server import ContractRunner
from tests.house import Client, PlainTokens

NOW = 1_700_000_000_000  # ms


class Lane:
    """Acknowledges what is sent at once, and hands it on."""

    def __init__(self, arrived: Callable[[bytes, bytes | None], None]) -> None:
        self.sent = self.acked = 0
        self.known = -1
        self._arrived = arrived

    def send(self, key: bytes, value: bytes | None) -> None:
        self.sent += 1
        self.acked += 1
        self._arrived(key, value)

    def read_up_to(self, offset: int) -> None:
        """Nothing else writes."""

    def strangers(self, end: int) -> list[tuple[int, int]]:
        return []

    def look_again(self, gaps: list[tuple[int, int]]) -> None:
        """There are none."""


class State:
    """In the place of the table that is read from its changelog."""

    def __init__(self) -> None:
        self.kept: Records = {}
        self.stale: dict[int, set[bytes]] = {}

    def records(self, partition: int) -> Records:
        return self.kept

    def read_up_to(self, partition: int) -> int:
        return 0


def fatal(reason: str) -> NoReturn:
    raise AssertionError(reason)


class Pass:
    """Where orders come in and plates go out."""

    address = "here"

    def __init__(self, limiter: Limiter = UNLIMITED, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.board = Board(1, self.settings.kitchen.kept_changes)
        self.board.begin("log", [0])
        self.log: list[Any] = []  # commands
        self.told: list[bytes] = []  # messages of `kitchen-tickets`
        self.noted: list[bytes] = []  # commands to the orders service
        self.now = NOW
        self.not_ready: str | None = None
        self.behind = 0.0
        self.is_away = False
        self._answers: dict[str, Answer] = {}
        self._requests = 0
        self._lanes = {
            KITCHEN_CHANGELOG: Lane(self._changed),
            KITCHEN_TICKETS: Lane(lambda _, value: self.told.append(value or b"")),
            ORDER_COMMANDS: Lane(lambda _, value: self.noted.append(value or b"")),
            KITCHEN_COMMANDS: Lane(lambda _, __: None),
        }
        self._state: Any = State()
        state: KitchenState = self._state
        self.agent = KitchenAgent(
            state, self, self, self, self, fatal, lambda _, __: None, 1000, lambda _: 0  # type: ignore[arg-type]
        )  # fmt: skip
        self.services = KitchenServices(
            settings=self.settings,
            board=self.board,
            edge=self,
            tokens=PlainTokens(),
            ready=lambda: self.not_ready,
            checks=lambda: {"displays": "ok"},
            behind=lambda: self.behind,
            limiter=limiter,
        )

    # what the agent is given

    def lane(self, topic: str, partition: int) -> Any:
        return self._lanes[topic]

    def on_delivered(self, callback: Callable[[], None]) -> None:
        """Everything is, at once."""

    async def end(self, topic: str, partition: int) -> int:
        return len(self.log)

    def give(self, reply_to: str, answer: Answer) -> None:
        self._answers[answer.request_id] = answer

    def _changed(self, key: bytes, value: bytes | None) -> None:
        self.board.take(0, self.board.next[0], key, value)
        self.board.ring()

    # what the views are given

    def new_request_id(self) -> str:
        self._requests += 1
        return f"r{self._requests}"

    async def ask(self, command: Any) -> Answer:
        if self.is_away:
            raise UnavailableError("nobody decides")
        await self.tell(command)
        return self._answers.pop(command.request_id)

    # what happens

    async def tell(self, command: Any) -> None:
        """Append a command and have it decided."""
        if not self.agent.partitions:
            await self.agent.take_over({0})
        self.now += 1
        self.log.append(command)
        record = SimpleNamespace(
            offset=len(self.log) - 1, timestamp=self.now, key=command.table.encode(), value=encode(command)
        )
        await self.agent.run(_Stream(record))

    async def seat(self, table: str = "T1", session: int = 1) -> None:
        await self.tell(SessionOpened(table, session, self.now))

    async def leave(self, table: str = "T1", session: int = 1) -> None:
        await self.tell(SessionClosed(table, session, self.now))

    async def order(self, number: int = 1, table: str = "T1", session: int = 1, *lines: Line) -> str:
        """An order of a salmon and a beer; its id."""
        order_id = f"o{number:032x}"
        await self.tell(
            OrderPlaced(
                order_id=order_id,
                client_order_id=f"c{number}",
                table=table,
                session=session,
                version=number,
                lines=lines or (SALMON, BEER),
                total=2400,
                currency="EUR",
                placed_at=self.now,
                offset=number,
            )
        )
        return order_id


SALMON = Line("m1", "Grilled Salmon", 2, 1899, "no butter", ("w",), "grill", ("fish",), ("Well done",))
BEER = Line("m9", "Beer", 1, 501, station="bar")


class _Stream:
    def __init__(self, *records: Any) -> None:
        self._records = list(records)

    def noack(self) -> "_Stream":
        return self

    async def events(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(message=SimpleNamespace(partition=0), value=self._records)


def kitchen_views_of(kitchen: Pass) -> web.Application:
    """All views of a kitchen worker, as its composition root puts them together."""
    application = web.Application()
    add_kitchen_routes(application, kitchen.services)
    return application


@contextlib.asynccontextmanager
async def cooking(kitchen: Pass) -> AsyncIterator[Client]:
    """The kitchen's views on a real server at a port of their own."""
    runner = ContractRunner(kitchen_views_of(kitchen), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = Client(f"http://127.0.0.1:{runner.addresses[0][1]}", describe_kitchen(kitchen.settings))
        try:
            yield client
        finally:
            await client.close()
    finally:
        await runner.cleanup()


class Display:
    """Listens to a stream; each wait has a deadline."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.status, self.headers = answer.status, answer.headers
        self._lines = answer.content
        self.last_id = ""

    async def hears(self, *names: str) -> dict[str, str]:
        """The next event, of those with one of these names if any is given; a ticket's within 5 s."""
        async with asyncio.timeout(5):
            while True:
                event: dict[str, str] = {}
                while line := await self._line():
                    name, _, value = line.partition(": ")
                    event[name] = value
                self.last_id = event.get("id", self.last_id)
                if event.get("event") in names or not names:
                    return event

    async def hears_no_more(self) -> bool:
        async with asyncio.timeout(5):
            await self._lines.read()
        return self._lines.at_eof()

    async def _line(self) -> str:
        line = await self._lines.readline()
        if not line:
            raise EOFError
        return line.decode().rstrip("\n")


@contextlib.asynccontextmanager
async def watching(client: Client, path: str, token: str = "kitchen", **headers: str) -> AsyncIterator[Display]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(client.url + path, headers={"Authorization": f"Bearer {token}"} | headers) as answer,
    ):
        yield Display(answer)


__all__: Sequence[str] = ("BEER", "NOW", "SALMON", "Display", "Pass", "cooking", "watching")

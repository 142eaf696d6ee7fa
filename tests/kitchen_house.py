"""A kitchen in memory: two workers on one port that read one log, each in its own pace; the real decisions."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web

from app.domain import kitchen as rules
from app.domain.decide import At
from app.domain.tickets import KitchenOrder, TicketLine, versions_of
from app.messages import Answer, ChangeTicket
from app.settings import Settings
from app.tables.kitchen import encode_order, order_key
from app.ticket_messages import encode_ticket, ticket_id
from app.web.board import Board
from app.web.kitchen_routes import TICKET_STREAMS, add_kitchen_routes
from app.web.kitchen_services import KitchenServices
from app.web.server import ContractRunner
from tests.house import PlainTokens

STATIONS = ("grill", "bar")
PARTITIONS = 4
MINUTE = 1_795_726_683_120


@dataclass
class Log:
    """The changelog; each record is read by every worker, those of a partition in their order."""

    records: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)
    ends: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    orders: dict[str, KitchenOrder] = field(default_factory=dict)
    commands: int = 0
    grew: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, order: KitchenOrder) -> None:
        partition = int(order.table) % PARTITIONS
        self.orders[order.order_id] = order
        key = order_key(order.table, order.order_id)
        self.records.append((partition, self.ends[partition], key, encode_order(order)))
        self.ends[partition] += 1
        self.grew.set()

    def place(self, table: int) -> None:
        """An order with a ticket at each station."""
        self.commands += 1
        lines = tuple(
            TicketLine(str(number), "m1", "Grilled Salmon", 1, station) for number, station in enumerate(STATIONS, 1)
        )
        order = KitchenOrder(
            f"o{self.commands:x}", str(table), 1, self.commands, lines=lines, placed_at=MINUTE, created=self.commands
        )
        self.write(order)

    def change(self, command: ChangeTicket) -> Answer:
        self.commands += 1
        order = self.orders.get(command.order_id)
        match rules.decide_change(order, command, At(self.commands, MINUTE + self.commands)):
            case rules.OrderChanged(order, changed):
                self.write(order)
                return Answer(command.request_id, "changed", ticket=encode_ticket(changed[0]))
            case rules.TicketUnchanged(ticket, is_repeat):
                outcome: Any = "changed_before" if is_repeat else "unchanged"
                return Answer(command.request_id, outcome, ticket=encode_ticket(ticket))
            case rules.TicketConflict(ticket):
                return Answer(command.request_id, "version_conflict", ticket=encode_ticket(ticket))
            case other:
                raise AssertionError(other)

    def versions(self, station: str) -> set[tuple[str, int]]:
        """Every version of the tickets of a station, or of all."""
        return {
            (ticket_id(order.order_id, ticket.station), ticket.version)
            for order in self.orders.values()
            for ticket in versions_of(order, {})
            if station in ("all", ticket.station)
        }


@dataclass
class Edge:
    """Decides at once."""

    log: Log
    address: str = "unix:kitchen"
    asked: int = 0

    def new_request_id(self) -> str:
        self.asked += 1
        return f"r{self.asked}"

    async def ask(self, command: Any) -> Answer:
        return self.log.change(command)


class Kitchen:
    """The workers and their log; `dice` decides in what pieces each reads."""

    def __init__(self, seed: int = 0, kept: int = 20_000) -> None:
        self.log = Log()
        self.url = ""
        self.boards = [Board(PARTITIONS, kept) for _ in range(2)]
        self.dice = random.Random(seed)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Kitchen"]:
        settings = Settings(restaurant=cast(Any, {"stations": STATIONS}))
        runners: list[web.AppRunner] = []
        tasks: list[asyncio.Task[None]] = []
        with socket.socket() as held:  # the port stays free for both
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
            self.url = f"http://127.0.0.1:{port}"
            try:
                for board in self.boards:
                    board.begin("log1", [0] * PARTITIONS)
                    application = web.Application()
                    services = KitchenServices(
                        settings=settings,
                        board=board,
                        edge=cast(Any, Edge(self.log)),
                        tokens=PlainTokens(),
                        ready=lambda: None,
                        checks=dict,
                        behind=lambda: 0.0,
                    )
                    add_kitchen_routes(application, services)
                    runner = ContractRunner(application, access_log=None, shutdown_timeout=0.1)
                    await runner.setup()
                    runners.append(runner)
                    await web.TCPSite(runner, "127.0.0.1", port, reuse_port=True).start()
                    tasks.append(asyncio.create_task(self._read(board)))
                yield self
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                for runner in runners:
                    runner.app[TICKET_STREAMS].stop()
                    await runner.cleanup()

    async def _read(self, board: Board) -> None:
        """Read the log on and on, some records of some partition at a time."""
        read = [0] * PARTITIONS
        while True:
            waiting = [number for number in range(PARTITIONS) if read[number] < self.log.ends[number]]
            if not waiting:
                self.log.grew.clear()
                await self.log.grew.wait()
                continue
            partition = self.dice.choice(waiting)
            for _, offset, key, value in self._piece(partition, read[partition]):
                board.take(partition, offset, key, value)
                read[partition] = offset + 1
            board.ring()
            await asyncio.sleep(0)

    def _piece(self, partition: int, start: int) -> Sequence[tuple[int, int, bytes, bytes]]:
        mine = [record for record in self.log.records if record[0] == partition and record[1] >= start]
        return mine[: self.dice.randint(1, 4)]

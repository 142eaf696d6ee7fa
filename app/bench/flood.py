"""An open loop that waits for nobody: each order is sent when it is due, once, whatever became of the one before.

A pad that is refused sends the same order when its turn comes again, without any patience: a flood.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlsplit

from app.bench.contract import Contract, current_version, order_id
from app.bench.guest import session_of
from app.bench.http import Connection, LostError, Response
from app.bench.load import LoadError, Plan
from app.bench.pace import Pacer
from app.bench.tally import Tally

PATIENCE = 10.0  # s until an answer counts as lost
SWEEP_SECONDS = 0.5
ITEMS = b'[{"menu_item_id":"m1","quantity":1}]'


class Sender:
    """One table, with a connection of its own; it has one request out at a time."""

    def __init__(self, table: str, token: str, address: tuple[str, int], tally: Tally) -> None:
        self.table = table
        self.version = 0
        self._session = session_of(token)
        self._address = address
        self._tally = tally
        self._contract = Contract()
        self._connection: Connection | None = None
        self._head = f"Host: bench\r\nAuthorization: Bearer {token}\r\n".encode()
        self._tries = 0  # of the order at this version

    async def connect(self) -> None:
        """Have a connection; LostError where none can be had."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE):
                _, connection = await loop.create_connection(lambda: Connection(loop), *self._address)
        except (OSError, TimeoutError) as error:
            raise LostError(f"no connection: {error}") from error
        self._connection = connection

    async def sit_down(self) -> None:
        """Connect and learn the table's version."""
        await self.connect()
        assert self._connection is not None
        response = await self._connection.send(b"GET /tables/%b HTTP/1.1\r\n%b\r\n" % (self.table.encode(), self._head))
        if response.status != 200:
            raise LoadError(f"table {self.table} cannot be read: {response.status}")
        self.version = int(json.loads(response.body)["version"])

    @property
    def is_connected(self) -> bool:
        """Whether it can send."""
        return self._connection is not None and self._connection.is_open

    def send(self, due: float, then: Callable[["Sender"], None]) -> None:
        """Send the order that is next, and call `then` once it is answered or lost. `due`: when it was to be sent."""
        assert self._connection is not None

        def answered(future: "asyncio.Future[Response]") -> None:
            if future.exception() is None:
                self._tally.answer(str(future.result().status))
                self._take(future.result(), due)
            else:
                self._tally.answer("lost")
            then(self)

        self._tries += 1
        self._connection.send(self._request()).add_done_callback(answered)

    def refused(self) -> None:
        """No connection was to be had."""
        self._tally.answer("no connection")

    def sweep(self, late: float) -> None:
        """Give up on an answer that was to come before this time of the loop."""
        if self._connection is not None and 0 < self._connection.busy_since < late:
            self._connection.abort()

    def close(self) -> None:
        """End."""
        if self._connection is not None:
            self._connection.close()

    def _take(self, response: Response, due: float) -> None:
        if response.status == 201:
            wrong = self._contract.placed(response, self.version, may_be_replay=self._tries > 1)
            self._tally.violation(self.table, wrong)
            self._tally.acknowledged(self.table, due)
            self._tally.note(self.table, self._session, self.version + 1, order_id(response), self._id)
            self.version += 1
            self._tries = 0
        elif response.status == 409:
            self._tally.violation(self.table, f"an order at version {self.version} was answered 409")
            told = current_version(response)
            self.version, self._tries = self.version if told is None else told, 0
        elif response.status not in {429, 503}:
            self._tally.violation(self.table, f"an order was answered {response.status}")

    @property
    def _id(self) -> str:
        return f"flood-{self.version}"

    def _request(self) -> bytes:
        body = b'{"table_number":"%b","items":%b,"version":%d,"order_id":"%b"}' % (
            self.table.encode(),
            ITEMS,
            self.version,
            self._id.encode(),
        )
        return b"POST /orders HTTP/1.1\r\n%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
            self._head,
            len(body),
            body,
        )


class Flood:
    """Tables that send in turn, as fast as they are told to."""

    def __init__(self, senders: Sequence[Sender]) -> None:
        self._senders = senders
        self._free = deque(senders)
        self._connecting: set[asyncio.Task[None]] = set()
        self.unsent = 0  # orders that were due while every table had one out

    async def run(self, rate: float, seconds: float) -> None:
        """Send `rate` orders/s for so long."""
        self.unsent = 0
        pacer = Pacer(rate, asyncio.get_running_loop(), self._due)
        try:
            await asyncio.sleep(seconds)
        finally:
            pacer.stop()

    async def settle(self) -> None:
        """Return once nothing is out any more."""
        while len(self._free) < len(self._senders):  # noqa: ASYNC110 - at the end of minutes
            await asyncio.sleep(SWEEP_SECONDS / 10)

    def _due(self, first: int, times: Sequence[float]) -> None:
        del first
        for time in times:
            if not self._free:
                self.unsent += 1
                continue
            sender = self._free.popleft()
            if sender.is_connected:
                sender.send(time, self._free.append)
            else:
                task = asyncio.create_task(self._connect(sender, time))
                self._connecting.add(task)
                task.add_done_callback(self._connecting.discard)

    async def _connect(self, sender: Sender, due: float) -> None:
        try:
            await sender.connect()
        except LostError:
            sender.refused()
            await asyncio.sleep(SWEEP_SECONDS)  # a server that takes no connection is not hammered
            self._free.append(sender)
        else:
            sender.send(due, self._free.append)

    async def sweep(self) -> None:
        """Give up on answers that are too late, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for sender in self._senders:
                sender.sweep(loop.time() - PATIENCE)


@asynccontextmanager
async def flooding(plan: Plan, tally: Tally) -> AsyncIterator[Flood]:
    """The plan's tables, connected.

    Raises:
        LoadError: nobody answers.
    """
    address = urlsplit(plan.url)
    here = cast(str, address.hostname), address.port or 80
    senders = [Sender(table, token, here, tally) for table, token in plan.tokens]
    try:
        for sender in senders:
            await sender.sit_down()
    except LostError as error:
        raise LoadError(f"{plan.url} does not answer: {error}") from error
    flood = Flood(senders)
    sweeper = asyncio.create_task(flood.sweep())
    try:
        yield flood
        await flood.settle()
    finally:
        sweeper.cancel()
        for sender in senders:
            sender.close()

"""A lean HTTP/1.1 client: keep-alive connections in a bounded pool, one request at a time on each.

It shares the machine with what it measures, so it does little: no header is parsed but the one that is asked for.
"""

import asyncio
from collections import deque
from typing import NamedTuple, cast

import httptools

REPLAYED = b"\r\nidempotency-replayed: true\r\n"


class LostError(Exception):
    """No answer: refused, closed in between or too late. What became of the request is not known."""


class Response(NamedTuple):
    """An answer; `replayed` tells whether it carried `Idempotency-Replayed: true`."""

    status: int
    body: bytes
    replayed: bool


class Connection(asyncio.Protocol):
    """One connection; `busy_since` is the loop's time at which the request under way was sent, 0 for none."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._head = b""
        self._body = b""
        self.is_open = False
        self.busy_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone; whoever waits for an answer learns of it."""
        self.is_open = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(LostError(str(exc or "closed by the server")))

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if not self._body:
            self._head += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def on_body(self, body: bytes) -> None:
        """The parser's call: a piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """The parser's call: the answer is whole."""
        response = Response(self._parser.get_status_code(), self._body, REPLAYED in self._head.lower())
        self._head = self._body = b""
        self.busy_since = 0.0
        if not self._parser.should_keep_alive():
            self.is_open = False
            self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(response)

    def send(self, request: bytes) -> asyncio.Future[Response]:
        """Send a request; the future brings its answer or LostError."""
        assert self._transport is not None
        self._waiter = self._loop.create_future()
        self.busy_since = self._loop.time()
        self._transport.write(request)
        return self._waiter

    def close(self) -> None:
        """Close it in order."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


class Pool:
    """At most `limit` connections to one address; an answer later than `timeout` s counts as lost."""

    def __init__(self, host: str, port: int, *, limit: int, timeout: float = 15.0) -> None:
        self._address = (host, port)
        self._limit = limit
        self._timeout = timeout
        self._connections: set[Connection] = set()
        self._opening = 0
        self._free: list[Connection] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._sweeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Pool":
        self._sweeper = asyncio.create_task(self._sweep())
        return self

    async def __aexit__(self, *args: object) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in self._connections:
            connection.close()
        await asyncio.sleep(0)

    async def open(self, count: int) -> None:
        """Have `count` connections ready, so that none is opened while the clock runs."""
        for connection in [await self._connect() for _ in range(count - len(self._connections))]:
            self._give_back(connection)

    async def send(self, request: bytes) -> Response:
        """Send a request on a free connection and wait for its answer.

        Raises:
            LostError: none came.
        """
        connection = await self._take()
        try:
            return await connection.send(request)
        finally:
            self._give_back(connection)

    async def _take(self) -> Connection:
        while True:
            while self._free:
                connection = self._free.pop()
                if connection.is_open:
                    return connection
                self._connections.discard(connection)
            if len(self._connections) + self._opening < self._limit:
                return await self._connect()
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        self._opening += 1
        try:
            async with asyncio.timeout(self._timeout):
                _, connection = await loop.create_connection(lambda: Connection(loop), *self._address)
        except (OSError, TimeoutError) as error:
            self._wake_one()
            raise LostError(f"no connection: {error}") from error
        finally:
            self._opening -= 1
        self._connections.add(connection)
        return connection

    def _give_back(self, connection: Connection) -> None:
        if connection.is_open and not connection.busy_since:
            self._free.append(connection)
        else:  # closed, or its answer is still to come and would be taken for the next one's
            self._connections.discard(connection)
            connection.abort()
        self._wake_one()

    def _wake_one(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.5)
            late = loop.time() - self._timeout
            for connection in [c for c in self._connections if 0 < c.busy_since < late]:
                connection.abort()

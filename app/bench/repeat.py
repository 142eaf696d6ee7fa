"""The same request over and over, on connections that stay.

It shares the machine with what it measures: an answer that is as the last one was is compared, not parsed, and no task
or future stands between an answer and the next request.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import cast

import httptools

from app.bench.http import Response

PAUSE = 0.01  # s until a connection that was lost is made anew: a server that is away is not hammered
_length = re.compile(rb"\r\ncontent-length:[ \t]*\d+\r\n", re.IGNORECASE)
_OK = b" 200 "


class Likeness:
    """What the last whole answer with 200 was, so that the next can be compared; `mark` is its line of the length."""

    def __init__(self) -> None:
        self.response = Response(0, b"", False)
        self.mark = b""

    def learn(self, response: Response, head: bytes) -> None:
        """Compare with this answer from now on; one without a length is parsed each time."""
        length = _length.search(head)
        self.response, self.mark = response, length[0] if length else b""

    def size_of(self, received: bytes) -> int:
        """How long the answer that begins so is in all, if it may be as the last one; else 0."""
        end = received.find(b"\r\n\r\n") + 4
        if end < 4 or not self.mark or received[8:13] != _OK:
            return 0
        head = received[:end]
        return end + len(self.response.body) if self.mark in head and b"close" not in head.lower() else 0


class Repeater(asyncio.Protocol):
    """One connection; `since` is when the request under way was due (`perf_counter`), `sent` the loop's time of it."""

    def __init__(self, owner: "Repeats") -> None:
        self._owner = owner
        self._likeness = owner.likeness
        self._received = b""
        self._parser: httptools.HttpResponseParser | None = None
        self._body = b""
        self._transport: asyncio.Transport | None = None
        self.since: float | None = None
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """It is gone, and with it the answer that was awaited."""
        self._transport = None
        self._owner.lost(self)

    def send(self, request: bytes, since: float) -> None:
        """Send a request that was due at `since`."""
        assert self._transport is not None
        self.since, self.sent = since, self._owner.loop.time()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        received = self._received = self._received + data if self._received else data
        if self._parser is None:
            size = self._likeness.size_of(received)
            if len(received) < size:
                return
            if len(received) == size and received.endswith(self._likeness.response.body):
                self._received = b""
                self._owner.answered(self, self._likeness.response)
                return
            self._parser, data = httptools.HttpResponseParser(self), received
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def on_body(self, body: bytes) -> None:
        """The parser's call: a piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """The parser's call: the answer is whole."""
        parser, body = self._parser, self._body
        assert parser is not None
        response = Response(parser.get_status_code(), body, False)
        if response.status == 200:
            self._likeness.learn(response, self._received.partition(b"\r\n\r\n")[0] + b"\r\n")
        self._received = self._body = b""
        self._parser = None
        is_kept = parser.should_keep_alive()
        self._owner.answered(self, response, is_kept=is_kept)
        if not is_kept:
            self.abort()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()


class Repeats:
    """`count` connections to one address, on each of which `request` is sent as soon as one is due.

    `due` gives when the next request should have been sent (`perf_counter`), None while none is. `heard` gets each
    answer with that time, None for a request that is lost: cut off, not taken, or unanswered for `timeout` s.
    """

    def __init__(
        self,
        address: tuple[str, int],
        request: bytes,
        *,
        timeout: float,
        due: Callable[[], float | None],
        heard: Callable[[Response | None, float], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.likeness = Likeness()
        self._address = address
        self._request = request
        self._timeout = timeout
        self._due = due
        self._heard = heard
        self._connections: set[Repeater] = set()
        self._idle: list[Repeater] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = True

    async def open(self, count: int) -> None:
        """Have so many connections; OSError or TimeoutError where one cannot be had."""
        for _ in range(count):
            self._idle.append(await self._connect())
        self._begin(self._sweep())

    def close(self) -> None:
        """Close them all."""
        self._is_open = False
        for task in self._tasks:
            task.cancel()
        for connection in self._connections:
            connection.abort()

    @property
    def under_way(self) -> int:
        """Requests without an answer yet."""
        return sum(connection.since is not None for connection in self._connections)

    def wake(self) -> None:
        """Send what is due, as far as connections are free."""
        while self._idle and (since := self._due()) is not None:
            self._idle.pop().send(self._request, since)

    def answered(self, connection: Repeater, response: Response, *, is_kept: bool = True) -> None:
        """An answer came whole; its connection takes what is due next."""
        since, connection.since = connection.since, None
        if since is None:
            connection.abort()  # an answer that nobody asked for
            return
        self._heard(response, since)
        if not is_kept:
            return
        following = self._due()
        if following is None:
            self._idle.append(connection)
        else:
            connection.send(self._request, following)

    def lost(self, connection: Repeater) -> None:
        """A connection is gone; another one takes its place."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.since is not None:
            self._heard(None, connection.since)
        if self._is_open:
            self._begin(self._replace())

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> Repeater:
        async with asyncio.timeout(self._timeout):
            _, connection = await self.loop.create_connection(lambda: Repeater(self), *self._address)
        self._connections.add(connection)
        return connection

    async def _replace(self) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            try:
                self._idle.append(await self._connect())
            except (OSError, TimeoutError):
                since = self._due()
                if since is not None:
                    self._heard(None, since)
            else:
                self.wake()
                return

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            late = self.loop.time() - self._timeout
            for connection in [each for each in self._connections if each.since is not None and each.sent < late]:
                connection.abort()

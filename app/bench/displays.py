"""Kitchen displays as the streams see them: connections that are opened again where they broke off, and what came."""

import asyncio
import random
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from time import perf_counter
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import orjson

from app.bench.load import LoadError

ALL = "all"
STALE_AFTER = 6.0  # s without a byte, after which a display opens another stream
RETRY = 1.0  # s until it does so where the server did not say
CONNECT_SECONDS = 5.0
OPEN_SECONDS = 30.0  # until all displays have their first snapshot
LOOK_SECONDS = 0.02
SILENT_LOOK_SECONDS = 0.25  # between two looks at a connection that is not cut

Version = tuple[str, int]  # a ticket's id, and its version
Heard = Callable[[Mapping[str, Any]], None]  # a ticket, of a snapshot or as it changes


class Cuts:
    """When a client cuts its connection: after so many bytes, wherever in an event that is, or so many s."""

    def __init__(self, count: int, seed: int | None = None) -> None:
        self.left = count
        self._random = random.Random(seed)  # noqa: S311 - random moments, no secret

    def next(self) -> tuple[int, float] | None:
        """After how many bytes or s of the next connection, whichever comes first; None: no more."""
        if not self.left:
            return None
        return self._random.randint(1, self._random.choice((300, 3_000, 30_000, 3_000_000))), self._random.uniform(
            0.05, 0.6
        )

    def pause(self) -> float:
        """How long the client stays away, in s."""
        return self._random.choice((0.0, 0.0, self._random.uniform(0.0, 0.5)))


class Display:
    """One display of a station, or of all; times are `perf_counter`."""

    def __init__(
        self, url: str, token: str, station: str, *, heard: Heard | None = None, cuts: Cuts | None = None
    ) -> None:
        address = urlsplit(url)
        self._address = address.hostname or "", address.port or 80
        self._head = (
            f"GET /kitchen/stations/{station}/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        )
        self.station = station
        self.told: Counter[Version] = Counter()  # how often each version came as an event
        self.states: dict[str, tuple[int, str]] = {}  # version and state of each ticket, the highest that came
        self.first: dict[str, float] = {}  # when each ticket's first version came
        self.times = array("d")  # of each event of a ticket
        self.snapshots: list[str] = []  # the id of each
        self.repeated = 0  # versions that had come before, be it with a snapshot
        self.went_back = 0  # versions below one that had come, for the first time
        self.connections = 0
        self.broken = 0  # connections that ended by themselves, or were silent
        self.cut = 0
        self.statuses: Counter[int] = Counter()  # of answers that are no stream
        self.not_current = 0  # beats that said that the worker itself cannot read the log
        self.newest = ""  # when the newest order that came was placed
        self._heard = heard
        self._cuts = cuts
        self._retry = RETRY
        self._last_id = ""
        self._buffer = b""

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            if await self._follow():
                assert self._cuts is not None
                self.cut += 1
                self._cuts.left = max(0, self._cuts.left - 1)
                await asyncio.sleep(self._cuts.pause())
            else:
                self.broken += 1
                await asyncio.sleep(self._retry)

    async def _follow(self) -> bool:
        """One connection; whether it was we who cut it."""
        loop = asyncio.get_running_loop()
        self._buffer = b""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(lambda: _Connection(self), *self._address)
        except (OSError, TimeoutError):
            return False
        self.connections += 1
        until: float | None = None
        try:
            while not connection.closed.done():
                now = loop.time()
                # Not before the first snapshot, which may be larger than what comes between two cuts.
                if until is None and self.snapshots and self._cuts is not None and (after := self._cuts.next()):
                    connection.left, until = after[0], now + after[1]
                if until is not None and now >= until:
                    connection.was_cut = True
                if connection.was_cut or now - connection.last_byte > STALE_AFTER:
                    break
                await asyncio.wait([connection.closed], timeout=min(SILENT_LOOK_SECONDS, (until or now + 1) - now))
        finally:
            connection.abort()
        return connection.was_cut

    def stay(self) -> None:
        """Cut no more connections."""
        if self._cuts is not None:
            self._cuts.left = 0

    def request(self) -> bytes:
        """What opens a stream that goes on where the last one ended."""
        behind = f"Last-Event-ID: {self._last_id}\r\n" if self._last_id else ""
        return f"{self._head}{behind}\r\n".encode()

    def feed(self, data: bytes) -> None:
        """Bytes of the stream."""
        *events, self._buffer = (self._buffer + data).split(b"\n\n")
        for event in events:
            self._event(event)

    def _event(self, event: bytes) -> None:
        name = data = b""
        for line in event.split(b"\n"):
            field, _, value = line.partition(b": ")
            if field == b"data":
                data = value
            elif field == b"event":
                name = value
            elif field == b"id":
                self._last_id = value.decode()
            elif field == b"retry":
                self._retry = int(value) / 1000
        if name == b"ticket":
            self._ticket(orjson.loads(data))
        elif name == b"snapshot":
            self.snapshots.append(self._last_id)
            for ticket in orjson.loads(data)["tickets"]:
                self._know(ticket)
        elif name == b"beat":
            self.not_current += not orjson.loads(data)["current"]

    def _ticket(self, ticket: Mapping[str, Any]) -> None:
        now = perf_counter()
        self.times.append(now)
        version: Version = ticket["ticket_id"], ticket["version"]
        known = self.states.get(version[0], (0, ""))[0]
        if version in self.told or version[1] == known:
            self.repeated += 1
        elif version[1] < known:
            self.went_back += 1
        if version[1] == 1:
            self.first.setdefault(version[0], now)
        self.told[version] += 1
        self.newest = max(self.newest, ticket["placed_at"])
        self._know(ticket)

    def _know(self, ticket: Mapping[str, Any]) -> None:
        known = self.states.get(ticket["ticket_id"])
        if known is None or ticket["version"] > known[0]:
            self.states[ticket["ticket_id"]] = ticket["version"], ticket["state"]
            if self._heard is not None:
                self._heard(ticket)

    def longest_gap(self, since: float, until: float) -> float:
        """The longest time in s without an event of a ticket, between these moments."""
        times = [since, *(time for time in self.times if since < time < until), until]
        return max(after - before for before, after in pairwise(times))


class _Connection(asyncio.Protocol):
    """One connection of a display; it is cut once `left` bytes more have come."""

    def __init__(self, display: Display) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.was_cut = False
        self.last_byte = loop.time()
        self._loop = loop
        self._display = display
        self.left: int | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._display.request())

    def data_received(self, data: bytes) -> None:
        """Bytes came; what lies behind the cut never did."""
        if self.was_cut:
            return
        self.last_byte = self._loop.time()
        if self.left is not None:
            data = data[: self.left]
            self.left -= len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()
        if self.left == 0:
            self.was_cut = True
            self.abort()

    def on_headers_complete(self) -> None:
        """The parser's call."""
        if self._parser.get_status_code() != 200:
            self._display.statuses[self._parser.get_status_code()] += 1

    def on_body(self, body: bytes) -> None:
        """The parser's call: a piece of the body."""
        if self._parser.get_status_code() == 200:
            self._display.feed(body)

    def on_message_complete(self) -> None:
        """The parser's call: the stream was ended in order."""
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        del exc
        if not self.closed.done():
            self.closed.set_result(None)

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()


def stations_of(count: int, stations: Sequence[str]) -> list[str]:
    """What so many displays show: the first all, as at the pass, the others a station each, in turn."""
    return [ALL, *(stations[number % len(stations)] for number in range(count - 1))][:count]


@asynccontextmanager
async def following(displays: Iterable[Display]) -> AsyncIterator[None]:
    """Have the displays follow; inside, each has had its first snapshot.

    Raises:
        LoadError: one has none.
    """
    displays = list(displays)
    tasks = [asyncio.create_task(display.run()) for display in displays]
    try:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                while not all(display.snapshots for display in displays):  # noqa: ASYNC110 - they look by themselves
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError as error:
            said = sum((display.statuses for display in displays), Counter())
            raise LoadError(f"a display got no snapshot in {OPEN_SECONDS:.0f} s; answers: {dict(said)}") from error
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

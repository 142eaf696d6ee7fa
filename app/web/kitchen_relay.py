"""The stream of a table's orders, passed on from the kitchen service to pads that know one address only."""

import asyncio
import re
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from app.web.access import table_for_reading
from app.web.answers import not_ready, refuse, slow_down
from app.web.middleware import REQUEST_ID, REQUEST_KEY
from app.web.services import Services
from app.web.sse import last_event_id, new_stream, write

CONNECT_SECONDS = 2.0
SILENCE_SECONDS = 10.0  # the kitchen gives a sign of life every 2 s

_event_id = re.compile(r"[!-~]{1,4000}")  # an offset a partition; else it is none, and could be more than a header


class KitchenRelay:
    """`GET /tables/{table_number}/stream`: bytes go on as they come, until one of the two sides ends.

    The pad is judged here, as for a read of its table, and by the kitchen once more. A pad that hung up is noticed with
    the next sign of life. To be stopped before the worker waits for its requests to end.
    """

    def __init__(self, services: Services, *, silence: float = SILENCE_SECONDS) -> None:
        self._services = services
        self._most = services.settings.orders.max_table_streams
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        self._session: aiohttp.ClientSession | None = None
        self._pads: set[asyncio.Transport] = set()
        self._upstreams: set[aiohttp.ClientResponse] = set()
        self._is_stopping = False

    @property
    def connected(self) -> int:
        """How many pads follow."""
        return len(self._pads)

    def stop(self) -> None:
        """End all streams; no more begin."""
        self._is_stopping = True
        for upstream in list(self._upstreams):
            upstream.close()

    async def close(self) -> None:
        """Let go of the kitchen."""
        if self._session is not None:
            await self._session.close()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """How the orders of the table's session stand, as the kitchen tells it."""
        state = await table_for_reading(self._services, request)
        if isinstance(state, web.Response):
            return state
        pad = request.transport
        if self._is_stopping or pad is None:
            return not_ready()
        if self._is_full():
            return refuse(503)
        self._pads.add(pad)
        try:
            return await self._relay(request, state.table, pad)
        finally:
            self._pads.discard(pad)

    async def _relay(self, request: web.Request, table: str, pad: asyncio.Transport) -> web.StreamResponse:
        try:
            upstream = await self._open(request, table)
        except (aiohttp.ClientError, TimeoutError):
            return refuse(503)
        self._upstreams.add(upstream)
        try:
            if upstream.status != 200:
                return _refusal(upstream)
            response = new_stream(request)
            await response.prepare(request)
            if request.method != hdrs.METH_HEAD:
                async for events in self._events(upstream):
                    await write(response, events)
        except (ConnectionResetError, TimeoutError):
            pad.abort()
        finally:
            self._upstreams.discard(upstream)
            upstream.close()  # not given back: more comes on its connection
        return response

    async def _open(self, request: web.Request, table: str) -> aiohttp.ClientResponse:
        if self._session is None:
            # A connection for each stream, as many as there are; nothing of one is kept for another.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        headers: dict[str, str] = {
            hdrs.AUTHORIZATION: request.headers[hdrs.AUTHORIZATION],
            hdrs.ACCEPT_ENCODING: "identity",
            REQUEST_ID: request[REQUEST_KEY],
        }
        if _event_id.fullmatch(seen := last_event_id(request)):
            headers["Last-Event-ID"] = seen
        # As it is: ".." is a table number, and would become another path.
        url = URL(f"{self._services.settings.kitchen_url}/tables/{table}/stream", encoded=True)
        return await self._session.get(url, headers=headers, allow_redirects=False)

    async def _events(self, upstream: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """What the kitchen says, until it ends, breaks off, falls silent, or this worker stops."""
        while not self._is_stopping:
            try:
                events = await upstream.content.readany()
            except (aiohttp.ClientError, TimeoutError):
                return
            if not events:
                return
            yield events

    def _is_full(self) -> bool:
        """Whether as many pads listen as may; one that hung up is noticed with the next write only."""
        return len(self._pads) >= self._most and sum(not pad.is_closing() for pad in self._pads) >= self._most


def _refusal(upstream: aiohttp.ClientResponse) -> web.Response:
    """What the kitchen refuses is refused here; what it does not know yet is known before long."""
    if upstream.status == 401:
        return refuse(401)
    wait = upstream.headers.get(hdrs.RETRY_AFTER, "")
    return slow_down(int(wait)) if upstream.status == 429 and wait.isdecimal() else refuse(503)

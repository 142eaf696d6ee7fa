"""Server-sent events: what every stream of them needs."""

import asyncio

from aiohttp import hdrs, web

from app.web.middleware import REQUEST_ID, REQUEST_KEY

RETRY_MS = 1000  # after which a pad or display whose stream broke off opens the next one
WRITE_SECONDS = 10.0  # who reads nothing for so long is dropped; 200 KB and an event wait for it until then
BEAT = b":\n\n"
_HEADERS = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",  # nginx would wait for more
}


def new_stream(request: web.Request) -> web.StreamResponse:
    """The answer that events are written to; its connection ends with it."""
    response = web.StreamResponse(headers=_HEADERS | {REQUEST_ID: request[REQUEST_KEY]})
    response.force_close()  # nothing else comes on its connection
    return response


async def write(response: web.StreamResponse, events: bytes) -> None:
    """Send; TimeoutError where nobody reads, ConnectionResetError where the other side hung up."""
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(events)


def last_event_id(request: web.Request) -> str:
    """What the client has seen last; empty where it does not say."""
    return request.headers.get("Last-Event-ID") or request.query.get("last_event_id", "")

"""Reading a request's body within its limit."""

import asyncio

from aiohttp import StreamReader, web

BODY_SECONDS = 10.0  # a pad on a bad wireless link needs a few; a client that never ends holds a handler no longer


async def read_body(request: web.Request, limit: int) -> bytes | None:
    """The body, None where it is over `limit` bytes: then at most one piece more than the limit was read.

    Raises:
        web.HTTPBadRequest: the body did not arrive in time, or is not as its headers say.
    """
    length = request.content_length
    if length is not None and length > limit:
        return None
    content = request.content
    try:
        body = await content.readany() if content.is_eof() else await _read_pieces(content, limit)
    except TimeoutError:
        raise web.HTTPBadRequest(text=f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None
    except web.RequestPayloadError:
        content.feed_eof()  # nothing more can be read of it: aiohttp would try, to keep the connection
        raise web.HTTPBadRequest(text="the body is not as its headers say") from None
    return body if len(body) <= limit else None


async def _read_pieces(content: StreamReader, limit: int) -> bytes:
    body = bytearray()
    async with asyncio.timeout(BODY_SECONDS):
        while len(body) <= limit and (piece := await content.readany()):
            body += piece
    return bytes(body)

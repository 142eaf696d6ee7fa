"""Plain orders, read and answered by their bytes.

A pad sends the same head each time, but for the length of what follows. Such an order is one look-up here, the view's
own work and one write; what is in any way out of the ordinary (app/web/plain.py) is aiohttp's, as is who has no token
that holds, and everybody while the worker is not ready. Reading and writing as aiohttp does took as much time as all
else that the edge has to do with an order.
"""

from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

from app.web.fast_menu import MAX_HEAD
from app.web.headers import AnswerHeaders
from app.web.middleware import new_request_id
from app.web.orders import Asked, PlacingOrders
from app.web.plain import plain_headers
from app.web.services import Services

_LINE = b"POST /orders HTTP/1.1\r\n"
_MORE = frozenset({"content-length", "content-type", "origin"})
_MAX_HEADS = 8192  # so many are remembered; then the memory begins anew
_MAX_DIGITS = 6  # of a length


class _Head(NamedTuple):
    """What a plain head says."""

    token: str
    length: int


class FastOrders:
    """Reads plain orders, and writes their answers byte for byte as aiohttp would."""

    def __init__(self, orders: PlacingOrders, services: Services, headers: AnswerHeaders) -> None:
        self._orders = orders
        self._services = services
        self._headers = headers
        self._limit = services.settings.orders.body_limit
        self._heads: dict[bytes, _Head] = {}

    def read(self, chunk: bytes, is_gone: Callable[[], bool]) -> Asked | None:
        """The order of a chunk that is one plain request and nothing else; None: it is aiohttp's."""
        if not chunk.startswith(_LINE):
            return None
        end = chunk.find(b"\r\n\r\n") + 4
        if not 4 <= end <= MAX_HEAD:
            return None
        head = chunk[:end]
        known = self._heads.get(head) or self._learn(head)
        if known is None or len(chunk) - end != known.length or self._services.ready() is not None:
            return None
        claims = self._services.tokens.verify(known.token)
        if claims is None:
            return None
        return Asked(chunk[end:], known.token, claims, new_request_id(), is_gone)

    async def place(self, asked: Asked) -> web.Response | None:
        """The answer; None where the guest has gone."""
        return await self._orders.place_read(asked)

    def write(self, asked: Asked, response: web.Response, *, is_last: bool) -> bytes:
        """The answer's bytes."""
        return self._headers.write_response(response, asked.request_id, is_last=is_last)

    def _learn(self, head: bytes) -> _Head | None:
        headers = plain_headers(head, _LINE, _MORE)
        if headers is None or self._headers.are_read_by(headers.get("origin", "")):
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        length = headers.get("content-length", "")
        if scheme.lower() != "bearer" or not token or not (length.isdecimal() and len(length) <= _MAX_DIGITS):
            return None
        if int(length) > self._limit:
            return None
        if len(self._heads) >= _MAX_HEADS:
            self._heads.clear()
        known = self._heads[head] = _Head(token, int(length))
        return known


FAST_ORDERS = web.AppKey("fast_orders", FastOrders)

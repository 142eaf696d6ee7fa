"""Refusals of orders beyond what can be taken, before anything of them is parsed.

While a flood comes, most requests are refused; were each read as carefully as one that is let through, refusing would
take the time in which others could be served. So once a token was refused in the ordinary way, its next orders are
refused by their bytes, for a while. One that is let through meanwhile goes the ordinary way, and is not asked twice.
"""

import re
import time
from collections import Counter
from collections.abc import Callable

from aiohttp import hdrs, web

from app.ports import Admission, OrderWatch
from app.web.answers import BODIES, JSON
from app.web.headers import AnswerHeaders
from app.web.middleware import new_request_id

LATELY = 10.0  # s; then a token is looked at again
KEPT = 4096  # tokens

_START = b"POST /orders HTTP/1.1\r\n"
_token = re.compile(rb"\r\nauthorization: bearer ([!-~]+)\r\n", re.IGNORECASE)
_ODD = (
    b"\r\nconnection:",
    b"\r\nexpect:",
    b"\r\norigin:",
    b"\r\nx-request-id:",
)  # these are answered in ways of their own


class FastRefusal:
    """Asks the admission for the view, and remembers the tokens that it refused."""

    def __init__(
        self,
        admission: Admission,
        watch: OrderWatch,
        headers: AnswerHeaders,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._headers = headers
        self._admission = admission
        self._watch = watch
        self._clock = clock
        self._known: dict[bytes, tuple[str, float]] = {}  # token -> its table, and until when it need not be verified
        self._let_through: Counter[str] = Counter()  # by table, of requests that are on their way to the view

    def wait_of(self, token: str, table: str) -> int:
        """0 where an order of this table may be appended; else how many s its pad, whose token holds, is to wait."""
        if self._let_through[table]:
            self._let_through[table] -= 1
            return 0
        seconds = self._admission.wait_of(table)
        if seconds:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[token.encode()] = table, self._clock() + LATELY
        return seconds

    def answer(self, chunk: bytes) -> bytes | None:
        """The refusal of a chunk that is one whole request and nothing else; None: it is the view's."""
        if not self._known or not chunk.startswith(_START):
            return None
        head = chunk[: chunk.find(b"\r\n\r\n") + 2]
        found = _token.findall(head)
        known = self._known.get(found[0]) if len(found) == 1 else None
        if known is None or any(odd in head.lower() for odd in _ODD):
            return None
        table, until = known
        if self._clock() >= until:
            del self._known[found[0]]
            return None
        seconds = self._admission.wait_of(table)
        if not seconds:
            self._let_through[table] += 1
            return None
        self._watch.answered("rate_limited", 0.0)
        told = (hdrs.RETRY_AFTER, str(seconds)), (hdrs.CONTENT_TYPE, JSON)
        return self._headers.write(429, told, BODIES[429], new_request_id())


FAST_REFUSAL = web.AppKey("fast_refusal", FastRefusal)

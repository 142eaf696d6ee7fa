"""What every answer says beside what it is about: what a browser may do with it, and whose pages may read it."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from multidict import istr

from app.settings import Web
from app.web.middleware import REQUEST_ID, request_id_of

Pairs = tuple[tuple[str, str], ...]

CLOSED = "default-src 'none'; frame-ancestors 'none'"  # nothing but a page of ours has anything to load
SERVER = "bistro92"  # which releases are behind it is nobody's business
NOT_KEPT = "no-store"
_NO_SNIFFING = istr("X-Content-Type-Options")
_PLAIN: Pairs = (
    (_NO_SNIFFING, "nosniff"),
    (istr("Referrer-Policy"), "no-referrer"),
)
_POLICY = istr("Content-Security-Policy")
# What pages of other origins may send, and read of an answer; tokens go in a header, so that no cookie is ever needed.
_SENT = "Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, X-Request-Id"
_READ = "Age, Allow, ETag, Idempotency-Replayed, Menu-Revision, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
_PREFLIGHT_SECONDS = "600"
_STARTS: Mapping[int, str] = {status: f"HTTP/1.1 {status:d} {status.phrase}\r\n" for status in HTTPStatus}


class AnswerHeaders:
    """Headers of every answer; pages of `settings.cors_origins` may read it, and no others."""

    def __init__(self, settings: Web) -> None:
        self._origins = frozenset(settings.cors_origins)
        vary: Pairs = ((hdrs.VARY, hdrs.ORIGIN),) if self._origins else ()
        plain: Pairs = (*_PLAIN, *vary)
        self.fixed: Pairs = (*plain, (_POLICY, CLOSED))
        not_kept: Pairs = ((hdrs.CACHE_CONTROL, NOT_KEPT),)
        # By what an answer says itself, its policy and how long it may be kept.
        self._missing: Mapping[tuple[bool, bool], Pairs] = {
            (False, False): self.fixed + not_kept,
            (False, True): self.fixed,
            (True, False): plain + not_kept,
            (True, True): plain,
        }
        self._end = _lines(self.fixed + not_kept) + "\r\n"

    def are_read_by(self, origin: str) -> bool:
        """Whether pages of this origin, another than ours, may read an answer: then it has headers more."""
        return origin in self._origins

    def write(
        self, status: int, headers: Iterable[tuple[str, str]], body: bytes, request_id: str, *, is_last: bool = False
    ) -> bytes:
        """An answer that nobody keeps, as aiohttp would write it, header by header in its order.

        `headers` are those that the answer itself has; after one that `is_last` the connection ends.
        """
        own = _lines(headers)
        close = "Connection: close\r\n" if is_last else ""
        head = (
            f"{_STARTS[status]}{own}{REQUEST_ID}: {request_id}\r\nContent-Length: {len(body)}\r\n"
            f"Date: {rfc822_formatted_time()}\r\nServer: {SERVER}\r\n{close}{self._end}"
        )
        return head.encode("ascii") + body

    def write_response(self, response: web.Response, request_id: str, *, is_last: bool) -> bytes:
        """The same of an answer as views make them."""
        assert isinstance(response.body, bytes)
        return self.write(response.status, response.headers.items(), response.body, request_id, is_last=is_last)

    def put_on(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Complete an answer; once is enough.

        One that does not say how long it may be kept is not: it may hold a table's data, or be another one soon.
        """
        headers = response.headers
        if _NO_SNIFFING in headers:
            return
        headers[hdrs.SERVER] = SERVER
        headers.extend(self._missing[_POLICY in headers, hdrs.CACHE_CONTROL in headers])
        if REQUEST_ID not in headers:  # no middleware was reached
            headers[REQUEST_ID] = request_id_of(request)
        if self._origins:
            headers.extend(self._for_other_origins(request, headers.get(hdrs.ALLOW)))

    def _for_other_origins(self, request: web.BaseRequest, allowed: str | None) -> Iterable[tuple[str, str]]:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin not in self._origins:
            return
        yield hdrs.ACCESS_CONTROL_ALLOW_ORIGIN, origin
        if request.method != hdrs.METH_OPTIONS:
            yield hdrs.ACCESS_CONTROL_EXPOSE_HEADERS, _READ
        elif allowed is not None and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            yield hdrs.ACCESS_CONTROL_ALLOW_METHODS, allowed
            yield hdrs.ACCESS_CONTROL_ALLOW_HEADERS, _SENT
            yield hdrs.ACCESS_CONTROL_MAX_AGE, _PREFLIGHT_SECONDS


def _lines(headers: Iterable[tuple[str, str]]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers])


ANSWER_HEADERS = web.AppKey("answer_headers", AnswerHeaders)


def add_headers(application: web.Application, settings: Web) -> AnswerHeaders:
    """Have every answer of the application completed, also those that no view or middleware makes."""
    headers = application[ANSWER_HEADERS] = AnswerHeaders(settings)

    async def complete(request: web.Request, response: web.StreamResponse) -> None:
        headers.put_on(request, response)

    application.on_response_prepare.append(complete)
    return headers

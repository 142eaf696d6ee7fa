"""The contract's answers, as bytes that are made once where they can be."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

JSON = "application/json"

ERRORS: Mapping[int, str] = {
    400: "Invalid request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Version conflict",
    412: "Precondition failed",
    413: "Payload too large",
    422: "Order id reused",
    428: "Precondition required",
    429: "Rate limit",
    500: "Internal error",
    503: "Service unavailable",
}
INVALID_ITEM = "Invalid item"
MENU_CHANGED = "Menu changed"
CANNOT_CANCEL = "Cannot cancel"
FETCH_FAILED = "Fetch failed"

# What each status must say beside its body (RFC 9110).
_HEADERS: Mapping[int, Mapping[str, str]] = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}
BODIES: Mapping[int, bytes] = {status: orjson.dumps({"error": error}) for status, error in ERRORS.items()}


def answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON that is bytes already."""
    return web.Response(body=body, status=status, headers=headers, content_type=JSON)


def answer_json(value: Any, status: int = 200) -> web.Response:
    """A value as JSON."""
    return answer(orjson.dumps(value), status)


def refuse(status: int, detail: str = "", *, error: str = "", **more: Any) -> web.Response:
    """The contract's answer of this status; `detail` and `more` stand behind what the contract names."""
    headers = _HEADERS.get(status)
    if not (detail or error or more):
        return answer(BODIES[status], status, headers)
    told = {"detail": detail} if detail else {}
    return answer(orjson.dumps({"error": error or ERRORS[status], **told, **more}), status, headers)


def slow_down(seconds: int) -> web.Response:
    """429: the same again after so many s."""
    return answer(BODIES[429], 429, {"Retry-After": str(seconds)})


def not_ready() -> web.Response:
    """503, and the end of the connection: the next one reaches a worker that is ready."""
    response = refuse(503)
    response.force_close()
    return response

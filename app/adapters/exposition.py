"""The pages of a process for Prometheus and for health checks, each served by threads of its own."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import orjson
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.exposition import ThreadingWSGIServer

ANYWHERE = "0.0.0.0"  # noqa: S104 - Prometheus and load balancers are elsewhere
_LINES = {
    200: "200 OK",
    302: "302 Found",
    400: "400 Bad Request",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    503: "503 Service Unavailable",
}
# Of every answer that has none of its own; which releases are behind it is nobody's business.
_HEADERS = {
    "Server": "bistro92",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Answer:
    """What a path answers."""

    status: int
    kind: str  # Content-Type
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def _json(status: int, body: dict[str, str]) -> Answer:
    return Answer(status, "application/json", orjson.dumps(body))


class _Quiet(WSGIRequestHandler):
    timeout = 5  # s; a connection that says nothing holds a thread
    # To what is no HTTP.
    error_message_format = '{"error":"Invalid request"}'
    error_content_type = "application/json"

    def version_string(self) -> str:
        """What the library's own answers say of the server."""
        return _HEADERS["Server"]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """A line for each request would be all that the log holds."""


def serve_metrics(registry: CollectorRegistry, port: int) -> None:
    """Serve a process's metrics at `/metrics`, until it ends.

    Raises:
        OSError: the port is taken.
    """
    start_http_server(port, ANYWHERE, registry)


def serve_health(
    ready: Callable[[], str | None],
    live: Callable[[], str | None],
    port: int,
    pages: Mapping[str, Callable[[str], Answer]] | None = None,
) -> None:
    """Serve `/health/ready` and `/health/live`, until the process ends, where no other web server does.

    Both functions tell why not, None where it is. `pages` are further ones: path -> what it answers to a query.

    Raises:
        OSError: the port is taken.
    """

    def check(name: str, why_not: Callable[[], str | None]) -> Callable[[str], Answer]:
        def answer(_: str) -> Answer:
            reason = why_not()
            if reason is None:
                return _json(200, {"status": name})
            return _json(503, {"error": "Service unavailable", "detail": reason})

        return answer

    known = {**(pages or {}), "/health/ready": check("ready", ready), "/health/live": check("alive", live)}

    def respond(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        page = known.get(environ["PATH_INFO"])
        if page is None:
            answer = _json(404, {"error": "Not found"})
        elif environ["REQUEST_METHOD"] != "GET":
            answer = _json(405, {"error": "Method not allowed"})
        else:
            answer = page(environ.get("QUERY_STRING", ""))
        headers = _HEADERS | {"Content-Type": answer.kind} | dict(answer.headers)
        start_response(_LINES[answer.status], list(headers.items()))
        return [answer.body]

    server = make_server(ANYWHERE, port, respond, server_class=ThreadingWSGIServer, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()

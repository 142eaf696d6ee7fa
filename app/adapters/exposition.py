"""The pages of a process for Prometheus and for health checks, each served by threads of its own."""

import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import orjson
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.exposition import ThreadingWSGIServer

ANYWHERE = "0.0.0.0"  # noqa: S104 - Prometheus and load balancers are elsewhere
_LINES = {200: "200 OK", 404: "404 Not Found", 503: "503 Service Unavailable"}


class _Quiet(WSGIRequestHandler):
    timeout = 5  # s; a connection that says nothing holds a thread

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """A line for each request would be all that the log holds."""


def serve_metrics(registry: CollectorRegistry, port: int) -> None:
    """Serve a process's metrics at `/metrics`, until it ends.

    Raises:
        OSError: the port is taken.
    """
    start_http_server(port, ANYWHERE, registry)


def serve_health(ready: Callable[[], str | None], live: Callable[[], str | None], port: int) -> None:
    """Serve `/health/ready` and `/health/live`, until the process ends, where no other web server does.

    Both functions tell why not, None where it is.

    Raises:
        OSError: the port is taken.
    """
    checks = {"/health/ready": ("ready", ready), "/health/live": ("alive", live)}

    def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name, check = checks.get(environ["PATH_INFO"], ("", None))
        if check is None:
            status, body = 404, {"error": "Not found"}
        elif (reason := check()) is None:
            status, body = 200, {"status": name}
        else:
            status, body = 503, {"error": "Service unavailable", "detail": reason}
        start_response(_LINES[status], [("Content-Type", "application/json")])
        return [orjson.dumps(body)]

    server = make_server(ANYWHERE, port, page, server_class=ThreadingWSGIServer, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()

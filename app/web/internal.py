"""Views for the other workers: what this one's own rows say. One hop only, so nothing here asks on."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from aiohttp import web

from app.messages import OrderPlaced, TableState
from app.ports import UnavailableError
from app.web.access import bearer
from app.web.answers import refuse
from app.web.services import Tokens

_encode = msgspec.json.Encoder().encode

Handler = Callable[[web.Request], Awaitable[web.Response]]


class OwnRows(Protocol):
    """Reads from this worker's rows; each raises UnavailableError where another worker may own the table."""

    def table(self, table: str) -> TableState: ...
    async def order(self, table: str, order_id: str) -> OrderPlaced | None: ...
    async def order_of_any_table(self, order_id: str) -> OrderPlaced | None: ...
    async def orders_of_session(self, table: str, session: int, after: int) -> Sequence[OrderPlaced]: ...


def add_internal_routes(application: web.Application, own: OwnRows, tokens: Tokens) -> None:
    """Add the paths below /internal, open to workers' tokens only."""

    def guarded(handler: Handler) -> Handler:
        async def view(request: web.Request) -> web.Response:
            claims = tokens.verify(bearer(request))
            if claims is None or claims.role != "worker":
                return refuse(404)
            try:
                return await handler(request)
            except UnavailableError as error:
                return refuse(503, str(error))

        return view

    async def table(request: web.Request) -> web.Response:
        return web.Response(body=_encode(own.table(request.match_info["table"])))

    async def order_of_table(request: web.Request) -> web.Response:
        order = await own.order(request.match_info["table"], request.match_info["order_id"])
        return web.Response(body=_encode([order] if order else []))

    async def order_of_any_table(request: web.Request) -> web.Response:
        order = await own.order_of_any_table(request.match_info["order_id"])
        return web.Response(body=_encode([order] if order else []))

    async def orders_of_session(request: web.Request) -> web.Response:
        session, after = int(request.match_info["session"]), int(request.query.get("after", "0"))
        orders = await own.orders_of_session(request.match_info["table"], session, after)
        return web.Response(body=_encode(orders))

    for path, handler in {
        "/internal/tables/{table}": table,
        "/internal/tables/{table}/orders/{order_id}": order_of_table,
        "/internal/orders/{order_id}": order_of_any_table,
        r"/internal/tables/{table}/sessions/{session:\d+}/orders": orders_of_session,
    }.items():
        application.router.add_get(path, guarded(handler))

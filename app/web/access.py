"""Who may do what: a token opens what its role and table allow."""

import re

from aiohttp import hdrs, web

from app.domain.claims import MANAGERS, STAFF, Claims
from app.messages import TableState
from app.web.answers import refuse
from app.web.limits import limited_read, unauthorized
from app.web.services import Door, Services

_table_number = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def holder(services: Door, request: web.Request) -> Claims | None:
    """Who sends the request; None without a token that holds."""
    token = bearer(request)
    return services.tokens.verify(token) if token else None


def bearer(request: web.Request) -> str:
    """The token that the request was sent with; empty without one, or where more than one would have to be judged."""
    headers = request.headers.getall(hdrs.AUTHORIZATION, ())
    if len(headers) != 1 or headers[0][:7].lower() != "bearer ":
        return ""
    return headers[0][7:]


async def table_for_reading(services: Services, request: web.Request) -> TableState | web.Response:
    """The table in the path, as its owner knows it, or why the sender may not read it.

    Raises:
        UnavailableError: the table's owner cannot answer for certain.
    """
    claims = holder(services, request)
    if claims is None:
        return unauthorized(services, request)
    if (refusal := limited_read(services, request)) is not None:
        return refusal
    table = request.match_info["table_number"]
    if not _table_number.fullmatch(table):
        return refuse(404)
    if claims.role == "pad":
        if table != claims.table:
            return refuse(403)
        state = await services.owners.table(table)
        return state if is_current(claims, state) else refuse(401)
    if claims.role not in STAFF:
        return refuse(403)
    state = await services.owners.table(table)
    return state if state.session else refuse(404)  # a table is known from its first session on


def is_current(claims: Claims, state: TableState) -> bool:
    """Whether the session of a pad's token is the open one: a token ends with its session."""
    return state.is_open and state.session == claims.session


def manager(services: Services, request: web.Request) -> Claims | web.Response:
    """Who sends a request that managers and operators may send, or why the sender may not."""
    claims = holder(services, request)
    if claims is None:
        return unauthorized(services, request)
    return claims if claims.role in MANAGERS else refuse(403)


def table_for_session(services: Services, request: web.Request) -> str | web.Response:
    """The number of the table in the path, or why the sender may not open or close it."""
    claims = manager(services, request)
    if isinstance(claims, web.Response):
        return claims
    table = request.match_info["table_number"]
    return table if _table_number.fullmatch(table) else refuse(404)

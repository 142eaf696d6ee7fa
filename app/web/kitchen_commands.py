"""What displays send: changes of tickets, and that tickets were shown."""

import asyncio
from typing import Any

import orjson
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from app.domain.claims import STAFF, Claims
from app.domain.ids import is_order_id
from app.domain.tickets import OF_A_LINE, SEE, VOID
from app.messages import Answer, ChangeTicket
from app.ports import UnavailableError
from app.ticket_messages import split_ticket_id
from app.web.access import holder
from app.web.answers import answer, answer_json, refuse
from app.web.bodies import read_body
from app.web.kitchen_openapi import COMMAND_REUSED, NOT_POSSIBLE
from app.web.kitchen_services import KitchenServices
from app.web.kitchen_shapes import change_request, seen_request
from app.web.limits import unauthorized
from app.web.middleware import REQUEST_KEY
from app.web.shapes import describe

BODY_LIMIT = 64 * 1024  # bytes
KNOWN_SECONDS = 1.0  # that a ticket may come later to this worker than to the display that names it
_REPLAYED = {"Idempotency-Replayed": "true"}


class KitchenCommands:
    """`POST /kitchen/tickets/{ticket_id}` and `POST /kitchen/seen`."""

    def __init__(self, services: KitchenServices) -> None:
        self._services = services
        self._board = services.board

    async def change(self, request: web.Request) -> web.Response:
        """Change a ticket."""
        body = await self._body(request, change_request)
        if isinstance(body, web.Response):
            return body
        claims, wanted = body
        if (wrong := _missing(wanted)) is not None:
            return refuse(400, wrong)
        order_id, station = split_ticket_id(request.match_info["ticket_id"])
        table = await self._table_of(order_id)
        if table is None or not station:
            return refuse(404)
        told = await self._services.edge.ask(
            self._command(request, claims, table, order_id, station, wanted, wanted["command_id"])
        )
        return _answer(told)

    async def seen(self, request: web.Request) -> web.Response:
        """Note that tickets were shown."""
        body = await self._body(request, seen_request)
        if isinstance(body, web.Response):
            return body
        claims, wanted = body
        asked: list[tuple[str, ChangeTicket]] = []
        unknown: list[str] = []
        ticket_ids = list(dict.fromkeys(wanted["ticket_ids"]))
        # All at once: one after the other, 200 that are long forgotten would be waited for 200 times.
        tables = await asyncio.gather(*(self._table_of(split_ticket_id(ticket_id)[0]) for ticket_id in ticket_ids))
        for number, (ticket_id, table) in enumerate(zip(ticket_ids, tables, strict=True)):
            order_id, station = split_ticket_id(ticket_id)
            if table is None or not station:
                unknown.append(ticket_id)
                continue
            command_id = f"{self._services.edge.new_request_id()}-{number}"
            see = {"action": SEE, "version": 0}
            asked.append(
                (ticket_id, self._command(request, claims, table, order_id, station, see, command_id)),
            )
        told = await asyncio.gather(*(self._services.edge.ask(command) for _, command in asked))
        unknown += [id_ for (id_, _), one in zip(asked, told, strict=True) if one.outcome == "not_found"]
        return answer_json({"seen": len(asked) - sum(one.outcome == "not_found" for one in told), "unknown": unknown})

    async def _body(self, request: web.Request, shape: TypeAdapter[Any]) -> tuple[Claims, Any] | web.Response:
        """Who sends it and what, or why it is refused."""
        body = await read_body(request, BODY_LIMIT)
        if body is None:
            return refuse(413)
        claims = holder(self._services, request)
        if claims is None:
            return unauthorized(self._services, request)
        if claims.role not in STAFF:
            return refuse(403)
        try:
            return claims, shape.validate_json(body)
        except ValidationError as error:
            return refuse(400, describe(error))

    async def _table_of(self, order_id: str) -> str | None:
        """The table of an order, which may be just about to be known here.

        Raises:
            UnavailableError: this worker does not read the log, and cannot tell; the display would drop the ticket.
        """
        table = self._board.table_of(order_id)
        try:
            async with asyncio.timeout(KNOWN_SECONDS if is_order_id(order_id) else 0):
                while table is None:
                    await self._board.bell.wait()
                    table = self._board.table_of(order_id)
        except TimeoutError:
            if is_order_id(order_id) and (self._services.behind() or self._services.ready() is not None):
                raise UnavailableError("the order is not known here, where not all has been read") from None
            return None
        return table

    def _command(
        self,
        request: web.Request,
        claims: Claims,
        table: str,
        order_id: str,
        station: str,
        wanted: Any,
        command_id: str,
    ) -> ChangeTicket:
        edge = self._services.edge
        return ChangeTicket(
            request_id=edge.new_request_id(),
            reply_to=edge.address,
            table=table,
            order_id=order_id,
            station=station,
            action=wanted["action"],
            version=wanted["version"],
            command_id=command_id,
            line=wanted.get("line_id", ""),
            reason=wanted.get("reason", ""),
            by=claims.who,
            trace=request[REQUEST_KEY],
        )


def _missing(wanted: Any) -> str | None:
    """What an action needs and has not, or has and does not need."""
    action = wanted["action"]
    for field, needs in (("line_id", action in OF_A_LINE), ("reason", action == VOID)):
        if needs != (field in wanted):
            return f"{field}: {'needed' if needs else 'not allowed'} with {action}"
    return None


def _answer(told: Answer) -> web.Response:
    match told.outcome:
        case "changed" | "unchanged":
            return answer(told.ticket)
        case "changed_before":
            return answer(told.ticket, headers=_REPLAYED)
        case "version_conflict":
            return refuse(409, ticket=_json(told.ticket))
        case "not_possible":
            return refuse(409, told.detail, error=NOT_POSSIBLE, ticket=_json(told.ticket))
        case "id_reused":
            return refuse(422, error=COMMAND_REUSED)
        case "not_found":
            return refuse(404)
        case other:
            raise UnavailableError(f"the owner answered {other} to a change of a ticket")


def _json(ticket: bytes) -> Any:
    return orjson.Fragment(ticket)

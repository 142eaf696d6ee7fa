"""Placing an order."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

from aiohttp import hdrs, web
from pydantic import ValidationError

from app.domain.claims import Claims
from app.domain.ids import fingerprint, order_id
from app.messages import Answer, PlaceOrder
from app.ports import SAMPLED, UnavailableError
from app.web.access import bearer, holder
from app.web.answers import INVALID_ITEM, MENU_CHANGED, answer, not_ready, refuse, slow_down
from app.web.bodies import read_body
from app.web.fast_refusal import FastRefusal
from app.web.forms import amount, lines_read, order_read
from app.web.judging import Judged, judge
from app.web.limits import admit_order, unauthorized
from app.web.middleware import REQUEST_KEY, expect_within, fault
from app.web.services import Services
from app.web.shapes import describe, order_request

MISSED_SECONDS = 0.3  # a pad waits for its 409; it can read the orders itself
MAX_MISSED = 100  # orders; further behind, reading the table is the better way
NO_ANSWER = "no_answer"  # from the owner; the guest has a 503
_REPLAYED = {"Idempotency-Replayed": "true"}


class Asked(NamedTuple):
    """An order as it was read from its connection; `is_gone` tells whether nobody is there any more to be answered."""

    body: bytes
    token: str
    claims: Claims
    request_id: str
    is_gone: Callable[[], bool]


class PlacingOrders:
    """`POST /orders`: read, check, send to the table's owner, answer as it decided.

    Each request is counted once, by what it is answered: here, by the middleware, or before its body was sent.
    """

    def __init__(self, services: Services, door: FastRefusal) -> None:
        self._door = door
        self._services = services
        self._limits = services.settings.orders
        self._currency = services.settings.restaurant.currency
        self._shape = order_request(self._limits)
        self._watch = services.watch
        self._asked = 0

    async def expect(self, request: web.Request) -> web.Response | None:
        """Answer `Expect: 100-continue`: None where the body may come."""
        response = await expect_within(request, self._limits.body_limit)
        if response is not None:
            self._watch.answered("too_large" if response.status == 413 else "invalid_request", 0.0)
        return response

    async def place(self, request: web.Request) -> web.Response:
        """Place an order."""
        began = perf_counter()
        return await self._counted(self._read(request, began), began, partial(_is_gone, request))

    async def place_read(self, asked: Asked) -> web.Response | None:
        """Place an order whose head was judged already; None where the guest has gone."""
        began = perf_counter()
        try:
            return await self._counted(self._place(asked, began), began, asked.is_gone)
        except UnavailableError:
            return refuse(503)
        except Exception as error:  # noqa: BLE001 - as in the middleware: logged, nothing shown
            if isinstance(error, ConnectionResetError) and asked.is_gone():
                return None
            return fault(hdrs.METH_POST, "/orders", asked.request_id)

    async def _counted(
        self, work: Awaitable[tuple[str, web.Response]], began: float, is_gone: Callable[[], bool]
    ) -> web.Response:
        try:
            outcome, response = await work
        except Exception as error:
            if not (isinstance(error, ConnectionResetError) and is_gone()):
                self._watch.answered(_outcome_of(error), perf_counter() - began)
            raise
        self._watch.answered(outcome, perf_counter() - began)
        return response

    async def _read(self, request: web.Request, began: float) -> tuple[str, web.Response]:
        """The outcome's name and the answer."""
        body = await read_body(request, self._limits.body_limit)
        if body is None:
            return "too_large", refuse(413)
        if self._services.ready() is not None:
            return "unavailable", not_ready()
        claims = holder(self._services, request)
        if claims is None:
            refusal = unauthorized(self._services, request)
            return "unauthorized" if refusal.status == 401 else "rate_limited", refusal
        asked = Asked(body, bearer(request), claims, request[REQUEST_KEY], partial(_is_gone, request))
        return await self._place(asked, began)

    async def _place(self, asked: Asked, began: float) -> tuple[str, web.Response]:
        claims = asked.claims
        try:
            order = self._shape.validate_json(asked.body)
        except ValidationError as error:
            return "invalid_request", refuse(400, describe(error))
        if claims.role != "pad" or claims.table != order["table_number"]:
            return "forbidden", refuse(403)
        admission = await admit_order(self._services, asked.token, order, claims.session)
        if isinstance(admission, web.Response):
            return "rate_limited", admission
        if seconds := self._door.wait_of(asked.token, claims.table):
            admission.failed()
            return "rate_limited", slow_down(seconds)
        try:
            outcome, response = await self._decide(asked, order, began)
        except BaseException:
            admission.failed()
            raise
        admission.ended(outcome, response)
        return outcome, response

    async def _decide(self, asked: Asked, order: dict[str, Any], began: float) -> tuple[str, web.Response]:
        """Judge the items, and have the table's owner decide: the outcome's name and the answer."""
        if asked.is_gone():
            raise ConnectionResetError("the guest has gone, and would send the same again")
        if (shown := order.get("menu_revision")) is not None:
            await self._services.menu.catch_up(shown)
        judged = judge(order["items"], self._services, shown)
        command = self._command(order, judged, asked.claims.session, asked.request_id)
        self._asked += 1
        if self._asked % SAMPLED == 0:
            self._watch.took("edge", perf_counter() - began)
        outcome = await self._ask(command)
        if outcome.outcome == "invalid_item" and judged.is_changed:
            return "menu_changed", self._menu_changed(judged)
        return outcome.outcome, await self._answer(command, outcome)

    async def _ask(self, command: PlaceOrder) -> Answer:
        began, outcome, version = perf_counter(), NO_ANSWER, 0
        try:
            answer = await self._services.edge.ask(command)
            outcome, version = answer.outcome, answer.version
            return answer
        finally:
            self._services.journal.answered(command, outcome, version, perf_counter() - began)

    def _command(self, order: dict[str, Any], judged: Judged, session: int, trace: str) -> PlaceOrder:
        """The order as the menu judges it. Refused items travel without their lines: nobody will cook them."""
        lines, refusal = judged.lines, judged.refusal
        table, client_id, note = order["table_number"], order["order_id"], order.get("note", "")
        edge = self._services.edge
        return PlaceOrder(
            request_id=edge.new_request_id(),
            reply_to=edge.address,
            table=table,
            session=session,
            version=order["version"],
            client_order_id=client_id,
            order_id=order_id(table, session, client_id),
            fingerprint=fingerprint(lines, note),
            lines=() if refusal else tuple(lines),
            total=0 if refusal else judged.total,
            currency=self._currency,
            note="" if refusal else note,
            refusal=refusal,
            trace=trace,
        )

    async def _answer(self, command: PlaceOrder, outcome: Answer) -> web.Response:
        match outcome.outcome:
            case "accepted":
                return answer(_received(command, outcome), 201)
            case "replayed":
                return answer(_received(command, outcome), 201, _REPLAYED)
            case "version_conflict":
                missed = await self._missed(command, outcome.version)
                return refuse(409, current_version=outcome.version, **missed)
            case "invalid_item":
                return refuse(400, outcome.detail, error=INVALID_ITEM)
            case "id_reused":
                return refuse(422)
            case "session_closed":
                return refuse(401)
            case other:
                raise UnavailableError(f"the owner answered {other} to an order: its outcome is unknown")

    def _menu_changed(self, judged: Judged) -> web.Response:
        return refuse(
            409,
            error=MENU_CHANGED,
            menu_revision=self._services.menu.current().revision,
            items=lines_read(judged.lines, self._currency),
            total=amount(judged.total, self._currency),
        )

    async def _missed(self, command: PlaceOrder, current: int) -> dict[str, Any]:
        """The orders that the pad has not seen, left out where not all of them can be had at once."""
        behind = current - command.version
        if not 0 < behind <= MAX_MISSED:
            return {}
        try:
            async with asyncio.timeout(MISSED_SECONDS):
                found = await self._services.store.orders_of_session(command.table, command.session, command.version)
        except (UnavailableError, TimeoutError):
            return {}
        between = [kept for kept in found if kept.order.version <= current]
        if len(between) != behind:
            return {}
        return {"missed": [order_read(kept.order, is_cancelled=kept.is_cancelled) for kept in between]}


def _is_gone(request: web.Request) -> bool:
    return request.transport is None


def _outcome_of(error: Exception) -> str:
    """What a request is counted as whose answer the middleware makes."""
    if isinstance(error, UnavailableError):
        return "unavailable"
    return "invalid_request" if isinstance(error, web.HTTPClientError) else "fault"


def _received(command: PlaceOrder, outcome: Answer) -> bytes:
    return b'{"order_id":"%b","status":"received","version":%d}' % (command.order_id.encode(), outcome.version)

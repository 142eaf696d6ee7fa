"""Placing an order."""

import asyncio
from time import perf_counter
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from app.domain.ids import fingerprint, order_id
from app.messages import Answer, Line, PlaceOrder
from app.ports import SAMPLED, Menu, UnavailableError
from app.web.access import holder
from app.web.answers import INVALID_ITEM, answer, not_ready, refuse
from app.web.bodies import read_body
from app.web.forms import order_read
from app.web.middleware import expect_within
from app.web.services import Services
from app.web.shapes import describe, order_request

MISSED_SECONDS = 0.3  # a pad waits for its 409; it can read the orders itself
MAX_MISSED = 100  # orders; further behind, reading the table is the better way
_REPLAYED = {"Idempotency-Replayed": "true"}
# No quantity beyond it is ever accepted, so that all of them may look alike in a fingerprint.
_QUANTITY_LIMIT = 1_000_000


class PlacingOrders:
    """`POST /orders`: read, check, send to the table's owner, answer as it decided.

    Each request is counted once, by what it is answered: here, by the middleware, or before its body was sent.
    """

    def __init__(self, services: Services) -> None:
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
        try:
            outcome, response = await self._place(request, began)
        except Exception as error:
            if not isinstance(error, ConnectionResetError) or request.transport is not None:  # the client hung up
                self._watch.answered(_outcome_of(error), perf_counter() - began)
            raise
        self._watch.answered(outcome, perf_counter() - began)
        return response

    async def _place(self, request: web.Request, began: float) -> tuple[str, web.Response]:
        """The outcome's name and the answer."""
        body = await read_body(request, self._limits.body_limit)
        if body is None:
            return "too_large", refuse(413)
        if self._services.ready() is not None:
            return "unavailable", not_ready()
        claims = holder(self._services, request)
        if claims is None:
            return "unauthorized", refuse(401)
        try:
            order = self._shape.validate_json(body)
        except ValidationError as error:
            return "invalid_request", refuse(400, describe(error))
        if claims.role != "pad" or claims.table != order["table_number"]:
            return "forbidden", refuse(403)
        command = self._command(order, claims.session)
        self._asked += 1
        if self._asked % SAMPLED == 0:
            self._watch.took("edge", perf_counter() - began)
        outcome = await self._services.edge.ask(command)
        return outcome.outcome, await self._answer(command, outcome)

    def _command(self, order: dict[str, Any], session: int) -> PlaceOrder:
        """The order as the menu judges it. Refused items travel without their lines: nobody will cook them."""
        lines, refusal = judge(self._services.menu, order["items"], self._limits.max_quantity)
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
            total=0 if refusal else sum([line.price * line.quantity for line in lines]),
            currency=self._currency,
            note="" if refusal else note,
            refusal=refusal,
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

    async def _missed(self, command: PlaceOrder, current: int) -> dict[str, Any]:
        """The orders that the pad has not seen, left out where not all of them can be had at once."""
        behind = current - command.version
        if not 0 < behind <= MAX_MISSED:
            return {}
        try:
            async with asyncio.timeout(MISSED_SECONDS):
                orders = await self._services.store.orders_of_session(command.table, command.session, command.version)
        except (UnavailableError, TimeoutError):
            return {}
        between = [order for order in orders if order.version <= current]
        return {"missed": [order_read(order) for order in between]} if len(between) == behind else {}


def _outcome_of(error: Exception) -> str:
    """What a request is counted as whose answer the middleware makes."""
    if isinstance(error, UnavailableError):
        return "unavailable"
    return "invalid_request" if isinstance(error, web.HTTPClientError) else "fault"


def judge(menu: Menu, items: list[dict[str, Any]], max_quantity: int) -> tuple[list[Line], str]:
    """The lines with the menu's names and prices, and why the items are refused, empty where they are not.

    Raises:
        UnavailableError: there is no menu yet.
    """
    lines, refusal = [], ""
    for index, item in enumerate(items):
        item_id, quantity = item["menu_item_id"], item["quantity"]
        dish = menu.find(item_id)
        if not 1 <= quantity <= max_quantity:
            refusal = refusal or f"items[{index}].quantity: 1 to {max_quantity} are allowed"
            quantity = min(max(quantity, -1), _QUANTITY_LIMIT)
        if dish is None:
            refusal = refusal or f"items[{index}].menu_item_id: there is no dish {item_id!r} on the menu"
        elif not dish.available:
            refusal = refusal or f"items[{index}].menu_item_id: {dish.name} is sold out"
        name, price = (dish.name, dish.price) if dish else ("", 0)
        modifiers = item.get("modifiers")
        lines.append(Line(item_id, name, quantity, price, item.get("note", ""), tuple(modifiers) if modifiers else ()))
    return lines, refusal


def _received(command: PlaceOrder, outcome: Answer) -> bytes:
    return b'{"order_id":"%b","status":"received","version":%d}' % (command.order_id.encode(), outcome.version)

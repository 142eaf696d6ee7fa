"""Cancelling an order."""

from aiohttp import web

from app.domain.claims import STAFF, Claims
from app.domain.ids import is_order_id
from app.messages import CancelOrder, OrderPlaced
from app.ports import UnavailableError
from app.web.access import holder, is_current
from app.web.answers import CANNOT_CANCEL, answer, not_ready, refuse
from app.web.bodies import read_body
from app.web.finding import find_order, may_see
from app.web.limits import limited_write, unauthorized
from app.web.middleware import REQUEST_KEY
from app.web.services import Services


class Cancelling:
    """`DELETE /orders/{order_id}`: finds it, and asks the kitchen, which alone knows whether a cook has begun."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._limit = services.settings.orders.body_limit

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel the order; asked again, it is answered as before."""
        body = await read_body(request, self._limit)
        if body is None:
            return refuse(413)
        if self._services.ready() is not None:
            return not_ready()
        claims = holder(self._services, request)
        if claims is None:
            return unauthorized(self._services, request)
        if claims.role != "pad" and claims.role not in STAFF:
            return refuse(403)
        if body:
            return refuse(400, "no body is allowed here")
        return await limited_write(self._services, request, lambda: self._cancel(request, claims))

    async def _cancel(self, request: web.Request, claims: Claims) -> web.Response:
        services, order_id = self._services, request.match_info["order_id"]
        state = await services.owners.table(claims.table) if claims.role == "pad" else None
        if state is not None and not is_current(claims, state):
            return refuse(401)
        kept = await find_order(services, order_id, state) if is_order_id(order_id) else None
        if kept is None or not may_see(claims, kept.order):
            return refuse(404)
        return _cancelled(order_id) if kept.is_cancelled else await self._ask(kept.order, claims, request[REQUEST_KEY])

    async def _ask(self, order: OrderPlaced, claims: Claims, trace: str) -> web.Response:
        """The kitchen's answer.

        Raises:
            UnavailableError: it gives none, or does not know the order yet.
        """
        kitchen = self._services.kitchen
        command = CancelOrder(
            request_id=kitchen.new_request_id(),
            reply_to=kitchen.address,
            table=order.table,
            session=order.session,
            version=order.version,
            order_id=order.order_id,
            total=order.total,
            placed_at=order.placed_at,
            by=claims.who,
            trace=trace,
        )
        outcome = await kitchen.ask(command)
        match outcome.outcome:
            case "cancelled":
                return _cancelled(order.order_id)
            case "cannot_cancel":
                return refuse(409, outcome.detail, error=CANNOT_CANCEL)
            case other:  # the order stands, whatever the kitchen knows: the same again will tell
                raise UnavailableError(f"the kitchen answered {other} to a cancel: its outcome is unknown")


def _cancelled(order_id: str) -> web.Response:
    return answer(b'{"order_id":"%b","status":"cancelled"}' % order_id.encode())

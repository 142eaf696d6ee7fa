"""Reading orders and tables."""

from aiohttp import web

from app.domain.claims import STAFF
from app.domain.ids import is_order_id
from app.messages import OrderPlaced, TableState
from app.ports import UnavailableError
from app.web.access import holder, is_current, table_for_reading
from app.web.answers import answer_json, refuse
from app.web.finding import find_order, is_cancelled, may_see
from app.web.forms import order_read, table_read
from app.web.limits import limited_read, unauthorized
from app.web.services import Services


class Reads:
    """The views that change nothing."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._currency = services.settings.restaurant.currency

    async def order(self, request: web.Request) -> web.Response:
        """An order by the id that its 201 gave."""
        claims = holder(self._services, request)
        if claims is None:
            return unauthorized(self._services, request)
        if (refusal := limited_read(self._services, request)) is not None:
            return refusal
        if claims.role != "pad" and claims.role not in STAFF:
            return refuse(403)
        state = await self._services.owners.table(claims.table) if claims.role == "pad" else None
        if state is not None and not is_current(claims, state):
            return refuse(401)
        order_id = request.match_info["order_id"]
        if not is_order_id(order_id):
            return refuse(404)
        kept = await find_order(self._services, order_id, state)
        if kept is None or not may_see(claims, kept.order):
            return refuse(404)
        return answer_json(order_read(kept.order, is_cancelled=kept.is_cancelled))

    async def table(self, request: web.Request) -> web.Response:
        """A table's session, version and total."""
        state = await table_for_reading(self._services, request)
        return state if isinstance(state, web.Response) else answer_json(table_read(state, self._currency))

    async def orders_of_table(self, request: web.Request) -> web.Response:
        """The orders of a table's session, by version, each of them."""
        state = await table_for_reading(self._services, request)
        if isinstance(state, web.Response):
            return state
        orders = await self._orders_of(state)
        return answer_json([order_read(order, is_cancelled=is_cancelled(state, order)) for order in orders])

    async def _orders_of(self, state: TableState) -> list[OrderPlaced]:
        """The session's orders without a hole.

        Raises:
            UnavailableError: not all of them can be had.
        """
        try:
            found = await self._services.store.orders_of_session(state.table, state.session)
        except UnavailableError:
            found = []
        by_version = {kept.order.version: kept.order for kept in found}
        missing = [version for version in range(1, state.version + 1) if version not in by_version]
        if missing:
            late = await self._services.owners.orders_of_session(state.table, state.session, missing[0] - 1)
            by_version |= {order.version: order for order in late}
            if any(version not in by_version for version in missing):
                raise UnavailableError(f"{state.table}/{state.session} has orders that are found nowhere yet")
        # Orders may have come since the row was read: shown as far as they are without a hole.
        orders, version = [], 1
        while version in by_version:
            orders.append(by_version[version])
            version += 1
        return orders

"""Reading orders and tables."""

import re

from aiohttp import web

from app.domain.claims import STAFF, Claims
from app.messages import OrderPlaced, TableState
from app.ports import UnavailableError
from app.web.access import holder, is_current, table_for_reading
from app.web.answers import answer_json, refuse
from app.web.forms import order_read, table_read
from app.web.limits import limited_read, unauthorized
from app.web.services import Services

_server_order_id = re.compile(r"o[0-9a-f]{32}")


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
        if claims.role == "pad" and not is_current(claims, await self._services.owners.table(claims.table)):
            return refuse(401)
        order_id = request.match_info["order_id"]
        if not _server_order_id.fullmatch(order_id):
            return refuse(404)
        order = await self._find(order_id, claims.table or None)
        return refuse(404) if order is None or not _may_read(claims, order) else answer_json(order_read(order))

    async def _find(self, order_id: str, table: str | None) -> OrderPlaced | None:
        """The order; the owner knows those that Cassandra lacks yet, Cassandra those that the owner has forgotten.

        Raises:
            UnavailableError: where neither has it, but one of them could not be asked.
        """
        unavailable: UnavailableError | None = None
        try:
            order = await self._services.store.order(order_id)
        except UnavailableError as error:
            order, unavailable = None, error
        if order is None:
            order = await self._services.owners.order(table, order_id)
        if order is None and unavailable is not None:
            raise unavailable
        return order

    async def table(self, request: web.Request) -> web.Response:
        """A table's session, version and total."""
        state = await table_for_reading(self._services, request)
        return state if isinstance(state, web.Response) else answer_json(table_read(state, self._currency))

    async def orders_of_table(self, request: web.Request) -> web.Response:
        """The orders of a table's session, by version, each of them."""
        state = await table_for_reading(self._services, request)
        if isinstance(state, web.Response):
            return state
        return answer_json([order_read(order) for order in await self._orders_of(state)])

    async def _orders_of(self, state: TableState) -> list[OrderPlaced]:
        """The session's orders without a hole.

        Raises:
            UnavailableError: not all of them can be had.
        """
        try:
            found = await self._services.store.orders_of_session(state.table, state.session)
        except UnavailableError:
            found = []
        by_version = {order.version: order for order in found}
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


def _may_read(claims: Claims, order: OrderPlaced) -> bool:
    return claims.role in STAFF or (order.table, order.session) == (claims.table, claims.session)

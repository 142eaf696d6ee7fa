"""What Cassandra holds of an order."""

import logging

from app.adapters.cassandra import describe
from app.adapters.order_store import PLACED, POINTER, cancelled_at_of_row, order_of_row
from app.audit.log import AuditError
from app.audit.orders import Order, Place, of_event
from app.audit.store import FAILURES, LOOK_SECONDS, Store
from app.domain.ids import order_id
from app.messages import OrderPlaced
from app.settings import Settings

SESSIONS = 100  # of a table that are looked through for a pad's order id, newest first

_POINTER, _ORDER = POINTER.format("%s"), PLACED.format("%s")
_SESSIONS = "SELECT session FROM sessions WHERE table_number = %s LIMIT %s"


class TraceStore(Store):
    """A connection that looks for one order; close it."""

    def __init__(self, settings: Settings) -> None:
        """Connect.

        Raises:
            AuditError: Cassandra does not answer.
        """
        logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # what the driver says, with tracebacks, we say once
        super().__init__(settings, LOOK_SECONDS)

    def order(self, wanted: str) -> tuple[OrderPlaced, int] | None:
        """The order with this id and when it was cancelled (ms), 0: it was not.

        Raises:
            AuditError: Cassandra does not answer.
        """
        try:
            place = self._session.execute(_POINTER, (wanted,)).one()
            rows = [] if place is None or None in place else list(self._session.execute(_ORDER, tuple(place)))
        except FAILURES as error:
            raise AuditError(f"Cassandra: {describe(error)}") from error
        for row in rows:
            order = order_of_row(row)
            if order is not None and order.order_id == wanted:
                return order, cancelled_at_of_row(row)
        return None

    def order_ids(self, table: str, client_order_id: str) -> list[str]:
        """The server's ids of the orders that a table's pads called so, newest session first.

        Raises:
            AuditError: Cassandra does not answer.
        """
        try:
            sessions = [row[0] for row in self._session.execute(_SESSIONS, (table, SESSIONS))]
        except FAILURES as error:
            raise AuditError(f"Cassandra: {describe(error)}") from error
        ids = [order_id(table, session, client_order_id) for session in sessions]
        there = self.which(ids)
        return [one for one in ids if one in there]

    def tables(self, event: OrderPlaced) -> dict[str, bool]:
        """Each table that orders are written to, and whether the order stands there.

        Raises:
            AuditError: Cassandra does not answer.
        """
        place = Place(event.table, event.session, event.version)
        [held] = self.look_for([Order(place, of_event(event), event.placed_at)])
        return {table: told is not None for table, told in held.items()}

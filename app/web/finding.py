"""Finds an order wherever it is known: at the ledger's store, or at its table's owner."""

from app.domain.claims import STAFF, Claims
from app.messages import OrderPlaced, TableState
from app.ports import KeptOrder, UnavailableError
from app.web.services import Services


async def find_order(services: Services, order_id: str, state: TableState | None) -> KeptOrder | None:
    """The order; the owner knows those that the store lacks yet, the store those that the owner has forgotten.

    `state` is its table's, where that was asked for anyway.

    Raises:
        UnavailableError: where neither has it, but one of them could not be asked.
    """
    unavailable: UnavailableError | None = None
    try:
        kept = await services.store.order(order_id)
    except UnavailableError as error:
        kept, unavailable = None, error
    if kept is None:
        order = await services.owners.order(state.table if state else None, order_id)
        if order is None:
            if unavailable is not None:
                raise unavailable
            return None
        kept = KeptOrder(order)
        state = state or await services.owners.table(order.table)
    if state is not None and not kept.is_cancelled and is_cancelled(state, kept.order):
        return KeptOrder(kept.order, is_cancelled=True)
    return kept


def is_cancelled(state: TableState, order: OrderPlaced) -> bool:
    """Whether an order was cancelled, as its table's owner knows it: of the present session only."""
    return order.session == state.session and order.version in state.cancelled


def may_see(claims: Claims, order: OrderPlaced) -> bool:
    """Whether the holder may know of this order."""
    return claims.role in STAFF or (order.table, order.session) == (claims.table, claims.session)

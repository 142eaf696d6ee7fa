"""Who may do what: every route against everybody who may come.

The table is what the views are held against, route by route and holder by holder, and what docs/access.md shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Holder(Enum):
    """Who sends a request."""

    NOBODY = "no token, or one that does not hold"
    PAD = "the table's pad"
    OTHER_PAD = "another table's pad"
    FORMER_PAD = "a closed session's pad"
    KITCHEN = "kitchen"
    MANAGER = "manager"
    OPERATOR = "operator"
    WORKER = "worker"


YES = 200  # it is done, with whatever status below 400
Verdicts = Mapping[Holder, int]


def _verdicts(
    nobody: int, pad: int, other_pad: int, former_pad: int, kitchen: int, managers: int, worker: int
) -> Verdicts:
    """The status that each gets, `YES` who may."""
    return dict(
        zip(Holder, (nobody, pad, other_pad, former_pad, kitchen, managers, managers, worker), strict=True),
    )


PUBLIC = _verdicts(YES, YES, YES, YES, YES, YES, YES)
PLACING = _verdicts(401, YES, 403, 401, 403, 403, 403)
A_TABLE = _verdicts(401, YES, 403, 401, YES, YES, 403)
AN_ORDER = _verdicts(401, YES, 404, 401, YES, YES, 403)  # whether another table's order exists is not told
MANAGING = _verdicts(401, 403, 403, 403, 403, YES, 403)
COOKING = _verdicts(401, 403, 403, 403, YES, YES, 403)
INTERNAL = _verdicts(404, 404, 404, 404, 404, 404, YES)


@dataclass(frozen=True)
class Route:
    """A path of a service, and what each holder is answered there."""

    method: str
    path: str
    verdicts: Verdicts


ROUTES = (
    Route("POST", "/orders", PLACING),
    Route("GET", "/orders/{order_id}", AN_ORDER),
    Route("DELETE", "/orders/{order_id}", AN_ORDER),
    Route("GET", "/tables/{table_number}", A_TABLE),
    Route("GET", "/tables/{table_number}/orders", A_TABLE),
    Route("GET", "/tables/{table_number}/stream", A_TABLE),
    Route("POST", "/tables/{table_number}/open", MANAGING),
    Route("POST", "/tables/{table_number}/close", MANAGING),
    Route("GET", "/menu_items", PUBLIC),
    Route("GET", "/menu_items/stream", PUBLIC),
    Route("GET", "/menu_items/{item_id}", PUBLIC),
    Route("PUT", "/menu_items/{item_id}", MANAGING),
    Route("PATCH", "/menu_items/{item_id}", MANAGING),
    Route("DELETE", "/menu_items/{item_id}", MANAGING),
    Route("POST", "/menu_items/{item_id}/sold_out", MANAGING),
    Route("GET", "/health/ready", PUBLIC),
    Route("GET", "/health/live", PUBLIC),
    Route("GET", "/", PUBLIC),
    Route("GET", "/docs", PUBLIC),
    Route("GET", "/pad", PUBLIC),
    Route("GET", "/openapi.json", PUBLIC),
    Route("GET", "/static/{digest}/{name}", PUBLIC),
    Route("GET", "/internal/tables/{table}", INTERNAL),
    Route("GET", "/internal/tables/{table}/orders/{order_id}", INTERNAL),
    Route("GET", "/internal/orders/{order_id}", INTERNAL),
    Route("GET", "/internal/tables/{table}/sessions/{session}/orders", INTERNAL),
)

KITCHEN_ROUTES = (
    Route("GET", "/kitchen/stations", COOKING),
    Route("GET", "/kitchen/stations/{station}/stream", COOKING),
    Route("POST", "/kitchen/tickets/{ticket_id}", COOKING),
    Route("POST", "/kitchen/seen", COOKING),
    Route("GET", "/tables/{table_number}/stream", A_TABLE),
    Route("GET", "/kitchen", PUBLIC),
    Route("GET", "/health/ready", PUBLIC),
    Route("GET", "/health/live", PUBLIC),
    Route("GET", "/", PUBLIC),
    Route("GET", "/docs", PUBLIC),
    Route("GET", "/openapi.json", PUBLIC),
    Route("GET", "/static/{digest}/{name}", PUBLIC),
)

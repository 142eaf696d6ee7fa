"""Orders with lines at several stations, and the messages that the kitchen tells of them."""

import msgspec

from app.agents.kitchen import _ticket_line
from app.audit.lines import lines_of
from app.audit.orders import Order, Place, of_event
from app.audit.tickets import Part, of_ticket
from app.domain.ids import order_id
from app.domain.tickets import BUMP, Change, KitchenOrder, versions_of
from app.messages import Line, OrderPlaced
from app.ticket_messages import encode_ticket

AT = 1_700_000_000_123
LINES = (
    Line("m1", "Salmon", 2, 1899, note="no butter", station="grill", allergens=("fish",), choices=("Well done",)),
    Line("m2", "Stout", 1, 550, station="bar"),
    Line("m3", "Steak", 1, 2500, station="grill"),
)


def placed(place: Place, lines: tuple[Line, ...] = LINES) -> OrderPlaced:
    """The event of an order."""
    name = f"id-{place.version}"
    the_id = order_id(place.table, place.session, name)
    return OrderPlaced(the_id, name, *place, lines, 1100, "EUR", AT + place.version, 7)


def order(place: Place, lines: tuple[Line, ...] = LINES) -> Order:
    """The same as the audit reads it."""
    event = placed(place, lines)
    return Order(place, of_event(event), event.placed_at, lines_of(event))


def cooked(event: OrderPlaced, *bumped: str) -> KitchenOrder:
    """The order in the kitchen, after bumps at these stations."""
    made = KitchenOrder(
        event.order_id,
        event.table,
        event.session,
        event.version,
        lines=tuple(_ticket_line(number, line) for number, line in enumerate(event.lines, 1)),
        placed_at=event.placed_at,
        created=3,
    )
    changes = [Change(station, BUMP, AT + 60_000, 10 + number, by="anna") for number, station in enumerate(bumped)]
    return made.with_changes(*changes) if changes else made


def messages(event: OrderPlaced, *bumped: str) -> list[bytes]:
    """All that the kitchen tells of it, in its order."""
    return [encode_ticket(version) for version in versions_of(cooked(event, *bumped), {})]


def parts(place: Place, *bumped: str, lines: tuple[Line, ...] = LINES) -> list[Part]:
    """The same as the audit reads it."""
    return [of_ticket(place.table.encode(), message) for message in messages(placed(place, lines), *bumped)]


def changed(message: bytes, **fields: object) -> bytes:
    """A message with other fields."""
    return msgspec.json.encode({**msgspec.json.decode(message), **fields})

"""Tickets as displays are told of them: the public format of `kitchen-tickets` and of the streams (docs/kitchen.md)."""

from typing import Any

import orjson

from app.domain.moments import utc
from app.domain.tickets import PLACE, KitchenOrder, Ticket, state_of_order, tickets_of

SCHEMA = 1


def ticket_id(order_id: str, station: str) -> str:
    """The id of an order's ticket at a station."""
    return f"{order_id}.{station}"


def split_ticket_id(text: str) -> tuple[str, str]:
    """Order id and station; the station is empty where it is no ticket's id."""
    order_id, _, station = text.partition(".")
    return order_id, station


def ticket_read(ticket: Ticket) -> dict[str, Any]:
    """A ticket, for JSON."""
    order, last = ticket.order, ticket.last
    return {
        "schema": SCHEMA,
        "ticket_id": ticket_id(order.order_id, ticket.station),
        "version": ticket.version,
        "state": ticket.state,
        "order_id": order.order_id,
        "table_number": order.table,
        "session": order.session,
        "round": order.version,
        "station": ticket.station,
        "stations": order.stations,
        "lines": [
            {
                "line_id": line.line_id,
                "menu_item_id": line.menu_item_id,
                "name": line.name,
                "quantity": line.quantity,
                "note": line.note,
                "modifiers": line.modifiers,
                "allergens": line.allergens,
                "done": line.line_id in ticket.done,
            }
            for line in ticket.lines
        ],
        "note": order.note,
        "placed_at": utc(order.placed_at),
        "changed_at": utc(last.at if last else order.placed_at),
        "action": last.action if last else PLACE,
        "by": last.by if last else "",
        "reason": ticket.reason,
        "acknowledged": ticket.is_acknowledged,
    }


def encode_ticket(ticket: Ticket) -> bytes:
    """A ticket as JSON."""
    return orjson.dumps(ticket_read(ticket))


def encode_order_state(order: KitchenOrder) -> bytes:
    """How an order stands, as its guests see it; JSON."""
    tickets = tickets_of(order)
    return orjson.dumps(
        {
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "version": order.version,
            "state": state_of_order(tickets, is_cancelled=order.cancelled >= 0),
            "reason": next((ticket.reason for ticket in tickets.values() if ticket.reason), ""),
            "placed_at": utc(order.placed_at),
            "changed_at": utc(order.changed_at),
            "tickets": [{"station": ticket.station, "state": ticket.state} for ticket in tickets.values()],
        }
    )

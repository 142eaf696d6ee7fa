"""How things read outside: orders, tables and dishes as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from app.domain.menu import MenuItem
from app.domain.money import to_text
from app.messages import Line, OrderPlaced, TableState


def amount(minor: int, currency: str) -> orjson.Fragment:
    """An amount as the JSON number that is exactly it: no float comes between."""
    return orjson.Fragment(to_text(minor, currency).encode())


def order_read(order: OrderPlaced) -> dict[str, Any]:
    """An order as the contract shows it; a line's id is its place, from 1."""
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "table_number": order.table,
        "session": order.session,
        "version": order.version,
        "status": "received",
        "items": lines_read(order.lines, order.currency),
        "total": amount(order.total, order.currency),
        "currency": order.currency,
        "placed_at": utc(order.placed_at),
        "note": order.note,
    }


def lines_read(lines: Sequence[Line], currency: str) -> list[dict[str, Any]]:
    """An order's lines; the price is that of one piece with its modifiers."""
    return [
        {
            "line_id": str(index),
            "menu_item_id": line.menu_item_id,
            "name": line.name,
            "quantity": line.quantity,
            "price": amount(line.price, currency),
            "note": line.note,
            "modifiers": line.modifiers,
        }
        for index, line in enumerate(lines, 1)
    ]


def table_read(state: TableState, currency: str) -> dict[str, Any]:
    """A table as the contract shows it."""
    return {
        "table_number": state.table,
        "session": state.session,
        "open": state.is_open,
        "version": state.version,
        "total": amount(state.total, currency),
        "currency": currency,
    }


def menu_entry(item: MenuItem, currency: str) -> dict[str, Any]:
    """A dish as the contract shows it."""
    return {
        "id": item.id,
        "name": item.name,
        "price": amount(item.price, currency),
        "category": item.category,
        "station": item.station,
        "description": item.description,
        "allergens": item.allergens,
        "available": item.available,
    }


def utc(milliseconds: int) -> str:
    """A time of the log as ISO 8601 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

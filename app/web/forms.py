"""How things read outside: orders, tables and dishes as JSON."""

from collections.abc import Sequence
from typing import Any

import orjson

from app.dishes import write_group
from app.domain.house_clock import DAYS, Serving, wall_time
from app.domain.menu import MenuItem
from app.domain.moments import utc
from app.domain.money import to_text
from app.messages import Line, OrderPlaced, TableState


def amount(minor: int, currency: str) -> orjson.Fragment:
    """An amount as the JSON number that is exactly it: no float comes between."""
    return orjson.Fragment(to_text(minor, currency).encode())


def order_read(order: OrderPlaced, *, is_cancelled: bool = False) -> dict[str, Any]:
    """An order as the contract shows it; a line's id is its place, from 1."""
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "table_number": order.table,
        "session": order.session,
        "version": order.version,
        "status": "cancelled" if is_cancelled else "received",
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


def menu_entry(item: MenuItem, currency: str, available: bool, language: str = "", now: int = 0) -> dict[str, Any]:
    """A dish as the contract shows it, then what goes beyond.

    `available` tells whether it can be had at `now` (ms since 1970, UTC); texts are in the menu's own language where
    there are none in this one.
    """
    name, description = item.in_language(language)
    entry: dict[str, Any] = {
        "id": item.id,
        "name": name,
        "price": amount(item.price, currency),
        "category": item.category,
        "station": item.station,
        "description": description,
        "allergens": item.allergens,
        "available": available,
    }
    if item.sold_out_until > now:
        entry["sold_out_until"] = utc(item.sold_out_until)
    if item.served:
        entry["served"] = [_serving(serving) for serving in item.served]
    entry["modifier_groups"] = [write_group(group, lambda minor: amount(minor, currency)) for group in item.groups]
    if item.picture:
        entry["picture"] = item.picture
    return entry | {"tax_rate": percent(item.tax_rate), "revision": item.revision}


def percent(hundredths: int) -> orjson.Fragment:
    """Hundredths of a percent as the percents that they are: 1000 is `10`, 550 is `5.5`."""
    whole, part = divmod(hundredths, 100)
    return orjson.Fragment((f"{whole}.{part:02}".rstrip("0") if part else str(whole)).encode())


def _serving(serving: Serving) -> dict[str, Any]:
    days = serving.days or range(len(DAYS))
    return {"days": [DAYS[day] for day in days], "from": wall_time(serving.start), "to": wall_time(serving.end)}

"""The page that guests order on."""

import orjson

from app.domain.money import exponent
from app.settings import Settings
from app.web.pages import Page


def pad_page(settings: Settings) -> Page:
    """`GET /pad`. Everybody may read it; what it shows of a table, it asks for with the table's token."""
    house, limits = settings.restaurant, settings.orders
    told = {
        "name": house.name,
        "currency": house.currency,
        "digits": exponent(house.currency),
        "time_zone": house.time_zone,
        "max_lines": limits.max_lines,
        "max_quantity": limits.max_quantity,
        "max_note": limits.max_note,
    }
    return Page("/pad", "pad.html", pictures="https:", told=orjson.dumps(told).decode())

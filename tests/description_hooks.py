"""What the description cannot say: what fits its letter and is wrong all the same is not tried as a right request."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

from app.dishes import DishError, read_dish
from app.settings import Settings


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Whether this case is to be tried: a wrong one always, one that is meant to be right if it is."""
    del context
    if case.meta is not None and case.meta.generation.mode is GenerationMode.NEGATIVE:
        return True
    if {"if-match", "if-none-match"} <= {name.lower() for name in case.headers or {}}:
        return False
    body = case.body
    if isinstance(body, dict) and "until" in body and not _is_ahead(body):
        return False
    if case.method in {"PUT", "PATCH"} and isinstance(body, dict) and not _is_dish(body):
        return False
    return not _has_whole_floats(body)


def _is_dish(fields: dict[str, Any]) -> bool:
    """Fields of a dish hang together: ids stand once, a maximum is not below its minimum."""
    base = {"id": "m1", "name": "Tart", "price": "8.20", "category": "Desserts", "station": "pastry"}
    given = {
        name: value for name, value in json.loads(json.dumps(fields), parse_float=Decimal).items() if value is not None
    }
    try:
        read_dish(base | given, currency="EUR", stations=Settings().restaurant.stations)
    except DishError:
        return False
    return True


def _has_whole_floats(value: Any) -> bool:
    """JSON Schema takes 5.0 for an integer, we do not."""
    if isinstance(value, dict):
        return any(map(_has_whole_floats, value.values()))
    if isinstance(value, list):
        return any(map(_has_whole_floats, value))
    return isinstance(value, float) and value.is_integer()


def _is_ahead(body: dict[str, Any]) -> bool:
    """A dish is sold out until a time in the future; what comes back at once has no such time."""
    if body["until"] is None:
        return True
    try:
        until = datetime.fromisoformat(body["until"])
        return body.get("sold_out", True) is True and datetime.now(UTC) + timedelta(hours=1) < until < _LATEST
    except (TypeError, ValueError):
        return False


_LATEST = datetime(2099, 1, 1, tzinfo=UTC)

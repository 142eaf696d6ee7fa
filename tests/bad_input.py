"""Orders that are wrong, each with the answer it gets; the same list for the views alone and for a running stack.

Each is built from an order that is right for the table, so that nothing but the one thing is wrong.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Wrong:
    """What is wrong, the body made from a right order, and what the answer must name."""

    name: str
    body: Callable[[dict[str, Any]], bytes]
    detail: str
    status: int = 400
    error: str = "Invalid request"


def _with(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda order: json.dumps(order | changes).encode()


def _without(name: str) -> Callable[[dict[str, Any]], bytes]:
    return lambda order: json.dumps({key: value for key, value in order.items() if key != name}).encode()


def _line(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda order: json.dumps(order | {"items": [order["items"][0] | changes]}).encode()


def _raw(text: bytes) -> Callable[[dict[str, Any]], bytes]:
    return lambda _: text


def _quantity_text(text: str) -> Callable[[dict[str, Any]], bytes]:
    """A quantity that Python's own JSON writer would not write so."""
    return lambda order: _line(quantity="#")(order).replace(b'"#"', text.encode())


def _field_text(name: str, text: bytes) -> Callable[[dict[str, Any]], bytes]:
    return lambda order: json.dumps(order | {name: "#"}).encode().replace(b'"#"', text)


def _item(**changes: Any) -> dict[str, Any]:
    return {"error": "Invalid item", **changes}


NESTED = b"[" * 20_000 + b"]" * 20_000

WRONG = [
    Wrong("nothing", _raw(b""), "JSON"),
    Wrong("not JSON", _raw(b"two salmons, please"), "JSON"),
    Wrong("half of an order", lambda order: json.dumps(order).encode()[:-9], "JSON"),
    Wrong("an order and more", lambda order: json.dumps(order).encode() + b"{}", "JSON"),
    Wrong("not UTF-8", lambda order: json.dumps(order | {"note": "#"}).encode().replace(b"#", b"\xff\xfe"), "JSON"),
    Wrong("a number", _raw(b"5"), "object"),
    Wrong("null", _raw(b"null"), "object"),
    Wrong("a list of orders", lambda order: json.dumps([order]).encode(), "object"),
    Wrong("deep nesting", _raw(NESTED), ""),
    Wrong("deep nesting in a note", _field_text("note", NESTED), ""),
    Wrong("an extra field", _with(tip=5), "tip"),
    Wrong("an extra field of a line", _line(price=0.01), "items[0].price"),
    *[Wrong(f"no {name}", _without(name), name) for name in ("table_number", "items", "version", "order_id")],
    Wrong("an empty list of items", _with(items=[]), "items"),
    Wrong("items that are none", _with(items={"m1": 2}), "items"),
    Wrong("an item that is none", _with(items=["m1"]), "items[0]"),
    Wrong("101 lines", lambda order: json.dumps(order | {"items": order["items"] * 101}).encode(), "items"),
    Wrong("no quantity", lambda order: _with(items=[{"menu_item_id": "m1"}])(order), "items[0].quantity"),
    *[
        Wrong(f"quantity {text}", _quantity_text(text), "items[0].quantity")
        for text in ("1.5", "1.0", "1e0", "true", '"2"', "null", "[2]", "NaN", "Infinity")
    ],
    *[
        Wrong(f"quantity {text}", _quantity_text(text), "items[0].quantity", **_item())
        for text in ("0", "-1", "100", "1000", "9223372036854775808", "1" + "0" * 100)
    ],
    Wrong("a quantity of 5,000 digits", _quantity_text("9" * 5000), ""),
    Wrong("an unknown dish", _line(menu_item_id="no-such-dish"), "items[0].menu_item_id", **_item()),
    Wrong("an empty dish", _line(menu_item_id=""), "items[0].menu_item_id"),
    Wrong("a dish of 65 characters", _line(menu_item_id="m" * 65), "items[0].menu_item_id"),
    Wrong("a dish by number", _line(menu_item_id=1), "items[0].menu_item_id"),
    Wrong("NUL in a dish", _line(menu_item_id="m1\0"), "items[0].menu_item_id"),
    *[
        Wrong(f"{name} {value!r:.20}", _with(**{name: value}), name)
        for name in ("table_number", "order_id")
        for value in ("", "a" * 65, "a b", "a/b", "a\n", "ü", "a\0", 12, None, ["a"])
    ],
    *[
        Wrong(f"version {value!r}", _with(version=value), "version")
        for value in (-1, 2**63, 2**53, 10**40, 1.5, 5.0, True, "5", None)
    ],
    Wrong("NUL in a note", _with(note="a\0b"), "note"),
    Wrong("an escape sequence for a printer", _line(note="\x1b@"), "items[0].note"),
    Wrong("a lone surrogate in a note", _field_text("note", rb'"\ud800"'), "JSON"),
    Wrong("surrogates the wrong way round", _field_text("note", rb'"\udc00\ud800"'), "JSON"),
    Wrong(
        "a lone surrogate as a field's name", lambda order: json.dumps(order)[:-1].encode() + rb',"\ud800":1}', "JSON"
    ),
    Wrong("a note of 201 characters", _with(note="n" * 201), "note"),
    Wrong("a note that is none", _with(note=None), "note"),
    Wrong("21 modifiers", _line(modifiers=["a"] * 21), "items[0].modifiers"),
    Wrong("modifiers that are no list", _line(modifiers="rare"), "items[0].modifiers"),
    Wrong("a modifier that is no id", _line(modifiers=["no onion"]), "items[0].modifiers[0]"),
    Wrong("a menu revision that is none", _with(menu_revision="4"), "menu_revision"),
    Wrong(
        "10,000 lines",
        lambda order: json.dumps(order | {"items": order["items"] * 10_000}).encode(),
        "",
        413,
        "Payload too large",
    ),
    Wrong("2 MiB", lambda order: json.dumps(order | {"note": "n" * 2**21}).encode(), "", 413, "Payload too large"),
    Wrong("2 MiB of blanks", lambda order: b" " * 2**21 + json.dumps(order).encode(), "", 413, "Payload too large"),
]

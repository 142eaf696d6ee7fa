"""Changing the menu: who may, what is refused with which words, and that nobody overwrites what they have not seen."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from app.domain.claims import Claims
from app.ports import MenuTooLargeError
from app.web.shapes import MAX_DETAIL
from tests.house import Client, House, Reply, serving

TART = {"name": "Tarte Tatin", "price": "8.20", "category": "Desserts", "station": "pastry"}
SAUCES = [
    {
        "id": "sauce",
        "name": "Sauce",
        "minimum": 0,
        "maximum": 1,
        "modifiers": [
            {"id": "lemon", "name": "Lemon butter", "price": 1.5},
            {"id": "none", "name": "None", "price": 0},
        ],
    }
]


async def put(client: Client, item_id: str, body: Any, token: str = "manager", **headers: str) -> Reply:
    return await change(client, "PUT", item_id, body, token, **headers)


async def patch(client: Client, item_id: str, body: Any, token: str = "manager", **headers: str) -> Reply:
    return await change(client, "PATCH", item_id, body, token, **headers)


async def change(client: Client, method: str, item_id: str, body: Any, token: str = "manager", **headers: str) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.send(method, f"/menu_items/{item_id}", token, data=data, headers=named)


async def delete(client: Client, item_id: str, **headers: str) -> Reply:
    return await change(client, "DELETE", item_id, b"", **headers)


def soon(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).isoformat()


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_dish_is_read_as_the_list_shows_it() -> None:
    house = House()
    async with serving(house) as client:
        listed = (await client.get("/menu_items")).body[0]
        reply = await client.get("/menu_items/m1")
        assert (reply.status, reply.body) == (200, listed)
        assert (reply.headers["ETag"], reply.headers["Menu-Revision"]) == ('"1"', "1")
        assert (await client.get("/menu_items/m9")).status == 404
        assert (await client.send("HEAD", "/menu_items/m1")).body == ""
        house.menu.dishes = None
        assert (await client.get("/menu_items/m1")).status == 503


async def test_a_dish_is_read_in_the_language_of_the_guest() -> None:
    house = House()
    async with serving(house) as client:
        await patch(client, "m1", {"translations": {"fr": {"name": "Saumon grillé"}}}, If_Match="1")
        assert (await client.get("/menu_items/m1?lang=fr")).body["name"] == "Saumon grillé"
        assert (await client.get("/menu_items/m1?lang=xx")).body["name"] == "Grilled Salmon"


# ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("headers", [{}, {"If_None_Match": "*"}])
async def test_a_new_dish_is_put_at_the_menus_end(headers: dict[str, str]) -> None:
    house = House()
    async with serving(house) as client:
        reply = await put(client, "m9", TART, **headers)
        assert (reply.status, reply.body["price"], reply.body["revision"]) == (201, 8.2, 2)
        assert (reply.headers["ETag"], reply.headers["Menu-Revision"]) == ('"2"', "2")
        assert (await client.get("/menu_items/m9")).body == reply.body
    assert [dish.id for dish in house.menu.current().items] == ["m1", "m2", "m3", "m9"]
    [made] = house.editor.revisions
    assert (made.who, made.what) == ("manager", "PUT m9")


async def test_a_dish_that_was_seen_is_replaced_in_its_place() -> None:
    house = House()
    async with serving(house) as client:
        reply = await put(client, "m1", TART | {"id": "m1", "modifier_groups": SAUCES}, If_Match='"1"')
        assert (reply.status, reply.body["name"], reply.body["allergens"]) == (200, "Tarte Tatin", [])
        assert reply.body["modifier_groups"] == SAUCES
        assert (await client.get("/menu_items")).body[0] == reply.body


async def test_who_has_not_seen_a_dish_does_not_replace_it() -> None:
    house = House()
    async with serving(house) as client:
        reply = await put(client, "m1", TART)
        assert (reply.status, reply.body) == (428, {"error": "Precondition required"})
        reply = await put(client, "m1", TART, If_None_Match="*")
        assert (reply.status, reply.body["current"]["name"], reply.headers["ETag"]) == (412, "Grilled Salmon", '"1"')
        assert (await patch(client, "m1", {"price": 1})).status == 428
        assert (await delete(client, "m1")).status == 428
    assert house.editor.revisions == []


async def test_some_fields_are_changed_and_null_is_the_default() -> None:
    house = House()
    async with serving(house) as client:
        reply = await patch(client, "m2", {"price": 9, "allergens": None, "tax_rate": 5.5}, If_Match='"1"')
        assert (reply.status, reply.body["price"], reply.body["allergens"]) == (200, 9, [])
        assert (reply.body["tax_rate"], reply.body["name"], reply.body["station"]) == (5.5, "Onion Soup", "stove")
        reply = await patch(client, "m2", {"name": None}, If_Match='"2"')
        assert (reply.status, reply.body["detail"]) == (400, "name: Field required")
    assert house.editor.revisions[0].what == "price, allergens, tax_rate of m2"


async def test_a_change_that_changes_nothing_makes_no_revision() -> None:
    house = House()
    async with serving(house) as client:
        reply = await patch(client, "m1", {"price": "18.99"}, If_Match='"1"')
        assert (reply.status, reply.headers["Menu-Revision"]) == (200, "1")
    assert house.editor.revisions == []


async def test_a_dish_that_was_seen_is_taken_off() -> None:
    house = House()
    async with serving(house) as client:
        reply = await delete(client, "m1", If_Match='"1"')
        assert (reply.status, reply.headers["Menu-Revision"]) == (204, "2")
        assert (await client.get("/menu_items/m1")).status == 404
        assert (await delete(client, "m1", If_Match='"1"')).status == 404
        assert (await patch(client, "m1", {}, If_Match="*")).status == 404
        assert (await put(client, "m1", TART, If_Match='"1"')).status == 412  # not put back by who saw it before


# ── two managers ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_of_two_managers_at_once_one_changes_and_the_other_sees_what() -> None:
    house = House()
    async with serving(house) as client:
        prices = (17, 19)
        both = await asyncio.gather(*(patch(client, "m1", {"price": price}, If_Match='"1"') for price in prices))
    done, stale = sorted(both, key=lambda reply: reply.status)
    assert (done.status, stale.status, stale.body["error"]) == (200, 412, "Precondition failed")
    assert stale.body["current"] == done.body
    assert stale.headers["ETag"] == done.headers["ETag"] == '"2"'
    assert house.menu.current().items[0].price in {1700, 1900}


async def test_another_dishs_change_does_not_make_what_was_seen_old() -> None:
    async with serving(House()) as client:
        assert (await patch(client, "m2", {"price": 9}, If_Match='"1"')).status == 200
        assert (await patch(client, "m1", {"price": 9}, If_Match='"1"')).status == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_stale_change_is_answered_with_the_dish_as_it_is(method: str) -> None:
    house = House()
    async with serving(house) as client:
        await patch(client, "m1", {"price": 9}, If_Match='"1"')
        body = b"" if method == "DELETE" else TART
        reply = await change(client, method, "m1", body, If_Match='"1"')
        assert (reply.status, reply.body["current"]["price"], reply.headers["ETag"]) == (412, 9, '"2"')
    assert house.menu.current().revision == 2


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ('"2"', 200),
        ("2", 200),
        ('"2.ab12cd34"', 200),
        ('"2.ab12cd34-gz"', 200),
        ("*", 200),
        ('"1", "2"', 200),
        ('"1"', 412),
        ('W/"2"', 412),
        ('W/"2", "1"', 412),
        ('"3"', 412),  # no such revision was ever shown
        ('"999999999999999"', 412),
        ("", 400),
        ('"abc"', 400),
        ('"2', 400),
        ("-1", 400),
        ('"9999999999999999999"', 400),
        ('*, "2"', 400),
    ],
)
async def test_what_counts_as_having_seen_the_dish(tag: str, status: int) -> None:
    house = House()
    async with serving(house) as client:
        await patch(client, "m1", {"price": 9}, If_Match='"1"')
        reply = await patch(client, "m1", {"price": 10}, If_Match=tag)
    assert reply.status == status
    if status == 400:
        assert reply.body["detail"].startswith("If-Match: ")


async def test_a_put_is_either_for_a_new_dish_or_for_one_that_was_seen() -> None:
    async with serving(House()) as client:
        for headers in ({"If_None_Match": '"1"'}, {"If_None_Match": "*", "If_Match": '"1"'}):
            reply = await put(client, "m9", TART, **headers)
            assert (reply.status, reply.body["detail"]) == (
                400,
                "If-None-Match: * is allowed here, and then no If-Match",
            )


# ── sold out ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_dish_sells_out_and_comes_back() -> None:
    house = House()
    async with serving(house) as client:
        for body, available in ((b"", False), (b'{"sold_out":false}', True), (b"{}", False)):
            reply = await client.post("/menu_items/m1/sold_out", "operator", data=body)
            assert (reply.status, reply.body["available"]) == (200, available)
            assert (await client.get("/menu_items/m1")).body == reply.body
    assert [(made.who, made.what) for made in house.editor.revisions][:2] == [
        ("operator", "sold out m1"),
        ("operator", "back m1"),
    ]


async def test_a_dish_sells_out_until_a_time() -> None:
    house = House()
    async with serving(house) as client:
        until = soon(hours=1)
        reply = await client.post("/menu_items/m3/sold_out", "manager", json={"until": until})
        assert (reply.status, reply.body["available"]) == (200, False)
        assert datetime.fromisoformat(reply.body["sold_out_until"]) <= datetime.fromisoformat(until)
        dish = house.menu.find("m3")
        assert dish
        assert dish.available  # it was sold out until further notice
        reply = await client.post("/menu_items/m3/sold_out", "manager", json={"sold_out": False})
        assert (reply.body["available"], "sold_out_until" in reply.body) == (True, False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"until": "2020-01-01T00:00:00Z"}, "until: a time in the future"),
        ({"until": "9999-01-01T00:00:00Z"}, "until: a time in the future, up to 2100"),
        ({"until": "2099-01-01T00:00:00"}, "until: "),
        ({"until": "tonight"}, "until: "),
        ({"until": 4_000_000_000}, "until: "),
        ({"sold_out": False, "until": "2099-01-01T00:00:00Z"}, "until: what is not sold out"),
        ({"sold_out": "yes"}, "sold_out: "),
        ({"soldout": True}, "soldout: "),
        ([], ""),
    ],
)
async def test_a_dish_is_not_sold_out_by_a_body_that_says_something_else(body: Any, said: str) -> None:
    house = House()
    async with serving(house) as client:
        reply = await client.post("/menu_items/m1/sold_out", "manager", json=body)
        assert (reply.status, reply.body["error"]) == (400, "Invalid request")
        assert reply.body["detail"].startswith(said)
    assert house.editor.revisions == []


async def test_a_sell_out_may_depend_on_what_was_seen() -> None:
    async with serving(House()) as client:
        path = "/menu_items/m1/sold_out"
        assert (await client.post(path, "manager", headers={"If-Match": '"1"'})).status == 200
        stale = await client.post(path, "manager", headers={"If-Match": '"1"'})
        assert (stale.status, stale.body["current"]["available"]) == (412, False)
        assert (await client.post("/menu_items/m9/sold_out", "manager")).status == 404


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


def modifiers(minimum: int, maximum: int) -> list[dict[str, Any]]:
    return [SAUCES[0] | {"minimum": minimum, "maximum": maximum}]


WRONG = [
    ({"price": -1}, "price: negative"),
    ({"price": "-0.01"}, "price: negative"),
    ({"price": 10_000_000.01}, "price: too high: at most 10000000.00"),
    ({"price": 18.999}, "price: more digits after the point than 2"),
    ({"price": True}, "price: an amount like 18.99"),
    ({"station": "roof"}, "station: there is no station 'roof'; allowed are grill, fry"),
    ({"allergens": ["air"]}, "allergens[0]: Input should be 'celery'"),
    ({"allergens": ["fish", "fish"]}, "allergens: fish stands twice"),
    ({"modifier_groups": modifiers(2, 1)}, "modifier_groups[0]: minimum 2 to maximum 1 of 2"),
    ({"modifier_groups": modifiers(0, 3)}, "modifier_groups[0]: minimum 0 to maximum 3 of 2"),
    ({"picture": "javascript:alert(1)"}, "picture: an http or https URL"),
    ({"picture": "data:text/html,<script>"}, "picture: an http or https URL"),
    ({"picture": "file:///etc/passwd"}, "picture: an http or https URL"),
    ({"name": "So\u0000up"}, "name: no control characters"),
    ({"served": [{"from": "10:00", "to": "25:00"}]}, "served[0].to: a time"),
    ({"spicy": True}, "spicy: Extra inputs"),
    ({"spicy": None}, "spicy: Extra inputs"),
    ({"id": "m2"}, "id: the path's is allowed"),
]


@pytest.mark.parametrize(("fields", "said"), WRONG, ids=lambda value: ascii(value)[:50])
async def test_a_wrong_dish_is_refused_and_the_menu_stays(fields: dict[str, Any], said: str) -> None:
    house = House()
    before = house.menu.current()
    async with serving(house) as client:
        for reply in (
            await put(client, "m9", TART | fields),
            await put(client, "m1", TART | fields, If_Match='"1"'),
            await patch(client, "m1", fields, If_Match='"1"'),
        ):
            assert (reply.status, reply.body["error"]) == (400, "Invalid request")
            assert reply.body["detail"].startswith(said)
            assert len(reply.body["detail"]) <= MAX_DETAIL
    assert house.menu.current() is before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"m1"',
        b"[" * 20_000,
        b'{"price":NaN}',
        b'{"price":1e999999999}',
        b'{"name":"\\ud800"}',
    ],
)
async def test_what_is_no_dish_at_all_is_refused(body: bytes) -> None:
    house = House()
    async with serving(house) as client:
        for reply in (await put(client, "m9", body), await patch(client, "m1", body, If_Match='"1"')):
            assert (reply.status, reply.body["error"]) == (400, "Invalid request")
            assert reply.body["detail"]
        assert (await delete(client, "m1", If_Match='"1"')).status == 204
    assert [made.what for made in house.editor.revisions] == ["DELETE m1"]


async def test_every_mistake_is_told_at_once() -> None:
    async with serving(House()) as client:
        detail = (await put(client, "m9", TART | {"price": -1, "station": "roof", "picture": "x"})).body["detail"]
    assert [part.partition(":")[0] for part in detail.split("; ") if ": " in part] == ["price", "station", "picture"]


async def test_an_id_that_is_none_names_no_dish() -> None:
    house = House()
    async with serving(house) as client:
        for item_id in ("a%20b", "x" * 65, "%00"):
            assert (await put(client, item_id, TART)).status == 400
            assert (await patch(client, item_id, {"price": 1}, If_Match="*")).status == 404
            assert (await delete(client, item_id, If_Match="*")).status == 404
    assert house.editor.revisions == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_the_stream_of_the_menu_is_no_dish(method: str) -> None:
    house = House()
    async with serving(house) as client:
        headers = {"Authorization": "Bearer manager", "If-Match": "*"}
        async with client._session.request(method, f"{client.url}/menu_items/stream", headers=headers) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD,OPTIONS")
    assert house.editor.revisions == []


async def test_a_body_over_the_limit_is_refused_unread() -> None:
    house = House()
    async with serving(house) as client:
        assert (await put(client, "m9", b" " * 70_000)).status == 413
        assert (await put(client, "m9", TART, Expect="100-continue")).status == 201


async def test_html_is_text_that_is_shown_as_it_was_written() -> None:
    name, description = "<b>Soup</b> & more", "<script>alert(1)</script>"
    async with serving(House()) as client:
        assert (await put(client, "m9", TART | {"name": name, "description": description})).status == 201
        for shown in ((await client.get("/menu_items/m9")).body, (await client.get("/menu_items")).body[2]):
            assert (shown["name"], shown["description"]) == (name, description)
        reply = await client.get("/menu_items/m9")
        assert reply.headers["Content-Type"].startswith("application/json")


EDITS = [("PUT", "m9", TART), ("PATCH", "m1", {"price": 1}), ("DELETE", "m1", b""), ("POST", "m1/sold_out", {})]


@pytest.mark.parametrize(("method", "item_id", "body"), EDITS)
async def test_only_managers_and_operators_change_the_menu(method: str, item_id: str, body: Any) -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        headers = {} if method == "PUT" else {"If_Match": "*"}
        for token, status in ((pad, 403), ("kitchen", 403), ("worker", 403), ("", 401), ("forged", 401)):
            assert (await change(client, method, item_id, body, token, **headers)).status == status
        assert house.editor.revisions == []
        assert (await change(client, method, item_id, body, "operator", **headers)).status < 300
    assert house.editor.revisions[0].who == "operator"


async def test_the_history_names_the_manager_whom_the_token_names() -> None:
    house = House()
    anna = Claims("manager", 2**40, name="anna")
    house.services = replace(house.services, tokens=SimpleNamespace(verify=lambda token: anna))
    async with serving(house) as client:
        for method, item_id, body in (*EDITS[:2], EDITS[3], EDITS[2]):
            headers = {} if method == "PUT" else {"If_Match": "*"}
            assert (await change(client, method, item_id, body, **headers)).status < 300
    assert {made.who for made in house.editor.revisions} == {"manager anna"}
    assert len(house.editor.revisions) == 4


async def test_a_menu_that_has_grown_too_large_is_said_to_be() -> None:
    house = House()

    async def too_large(edit: Any, who: str, what: str) -> Any:
        raise MenuTooLargeError("the menu takes 9000000 bytes, at most 8388608 are allowed")

    house.editor.apply = too_large  # type: ignore[method-assign]
    async with serving(house) as client:
        reply = await put(client, "m9", TART)
    assert (reply.status, reply.body["error"]) == (413, "Payload too large")
    assert "at most 8388608" in reply.body["detail"]


@pytest.mark.parametrize(("method", "item_id", "body"), EDITS)
async def test_while_the_store_is_away_nothing_is_changed_and_the_menu_is_read(
    method: str, item_id: str, body: Any
) -> None:
    house = House()
    house.editor.away = True
    async with serving(house) as client:
        headers = {} if method == "PUT" else {"If_Match": "*"}
        reply = await change(client, method, item_id, body, **headers)
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        assert (await client.get("/menu_items/m1")).status == 200


async def test_hours_tell_whether_a_dish_can_be_had() -> None:
    house = House(restaurant={"time_zone": "UTC"})
    hour = time.gmtime().tm_hour
    away = [{"from": f"{(hour + 6) % 24:02}:00", "to": f"{(hour + 8) % 24:02}:00"}]
    async with serving(house) as client:
        reply = await patch(client, "m1", {"served": away}, If_Match='"1"')
    assert (reply.status, reply.body["available"]) == (200, False)
    assert reply.body["served"][0]["from"] == away[0]["from"]

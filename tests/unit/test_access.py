"""Who may do what: the whole table, each route asked as everybody, and the page that shows it."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from app.__main__ import main
from app.web.kitchen_openapi import OPERATIONS as KITCHEN_OPERATIONS
from app.web.openapi import OPERATIONS, Operation
from app.web.permissions import KITCHEN_ROUTES, ROUTES, YES, Holder, Route
from tests.house import Client, House, order, serving, views_of
from tests.kitchen import fake_kitchen
from tests.kitchen_pass import Pass, cooking, kitchen_views_of
from tests.stack import ROOT

TART = {"name": "Tarte Tatin", "price": "8.20", "category": "Desserts", "station": "pastry"}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/orders"): order(1, "id-2"),
    ("PUT", "/menu_items/{item_id}"): TART,
    ("PATCH", "/menu_items/{item_id}"): {"price": "9"},
    ("POST", "/kitchen/tickets/{ticket_id}"): {"action": "bump", "version": 1, "command_id": "c1"},
    ("POST", "/kitchen/seen"): {"ticket_ids": ["x.grill"]},
}
SEEN = {"If-Match": "*"}
TOKENS = {
    Holder.NOBODY: ("", "forged", "Manager", "*"),
    Holder.PAD: ("pad/T1/2",),
    Holder.OTHER_PAD: ("pad/T2/1",),
    Holder.FORMER_PAD: ("pad/T1/1",),
    Holder.KITCHEN: ("kitchen",),
    Holder.MANAGER: ("manager",),
    Holder.OPERATOR: ("operator",),
    Holder.WORKER: ("worker",),
}


async def seated(house: House, client: Client) -> str:
    """Have a party sit at T1, where another one was before, beside T2; the id of its order."""
    await house.seat("T2")
    await house.seat("T1")
    assert (await client.post("/tables/T1/close", "manager")).status == 200
    placed = await client.order(order(), await house.seat("T1"))
    return str(placed.body["order_id"])


async def ask(client: Client, route: Route, token: str, order_id: str) -> int:
    """The status alone: the stream of the menu has no end."""
    names = {
        "order_id": order_id,
        "ticket_id": f"{order_id}.grill",
        "station": "grill",
        "table": "T1",
        "table_number": "T1",
        "item_id": "m2",
        "session": "2",
        "digest": "0",
        "name": "docs.js",
    }
    body = BODIES.get((route.method, route.path))
    async with client._session.request(
        route.method,
        client.url + route.path.format_map(names),
        data=None if body is None else json.dumps(body),
        headers=(SEEN if "item_id" in route.path else {}) | ({"Authorization": f"Bearer {token}"} if token else {}),
        allow_redirects=False,
    ) as answer:
        return answer.status


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_each_route_answers_everybody_as_the_table_says(route: Route) -> None:
    for holder in Holder:
        async with fake_kitchen() as kitchen, serving(house := House(kitchen={"url": kitchen.url})) as client:
            order_id = await seated(house, client)
            before = state(house)
            for token in TOKENS[holder]:
                status = await ask(client, route, token, order_id)
                assert (YES if status < 400 else status) == route.verdicts[holder], f"{holder}: {token}"
        if route.verdicts[holder] != YES:
            assert state(house) == before, f"{holder} changed something"


def state(house: House) -> tuple[Any, ...]:
    return {**house.owner.rows}, [*house.owner.events], [*house.editor.revisions]


@pytest.mark.parametrize("route", KITCHEN_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_each_route_of_the_kitchen_answers_everybody_as_the_table_says(route: Route) -> None:
    for holder in Holder:
        for token in TOKENS[holder]:
            kitchen = Pass()
            async with cooking(kitchen) as client:
                await kitchen.seat("T1", 2)
                order_id = await kitchen.order(1, "T1", 2)
                before = len(kitchen.log)
                status = await ask(client, route, token, order_id)
                assert (YES if status < 400 else status) == route.verdicts[holder], f"{holder}: {token}"
                if route.verdicts[holder] != YES:
                    assert len(kitchen.log) == before, f"{holder} changed something"


@pytest.mark.parametrize(
    ("application", "routes"), [(views_of(House()), ROUTES), (kitchen_views_of(Pass()), KITCHEN_ROUTES)]
)
async def test_every_route_of_the_router_is_in_the_table(application: web.Application, routes: Sequence[Route]) -> None:
    routed = [
        (route.method, re.sub(r":[^}]+(?=})", "", route.resource.canonical))
        for route in application.router.routes()
        if route.method != "HEAD" and route.resource is not None
    ]
    assert sorted(routed) == sorted((route.method, route.path) for route in routes)


@pytest.mark.parametrize(("operations", "routes"), [(OPERATIONS, ROUTES), (KITCHEN_OPERATIONS, KITCHEN_ROUTES)])
def test_the_description_names_the_roles_of_the_table(operations: Sequence[Operation], routes: Sequence[Route]) -> None:
    roles = {"pad": Holder.PAD, "kitchen": Holder.KITCHEN, "manager": Holder.MANAGER, "operator": Holder.OPERATOR}
    table = {(route.method.lower(), route.path): route for route in routes}
    for operation in operations:
        verdicts = table[operation.method, operation.path].verdicts
        may = {role for role, holder in roles.items() if verdicts[holder] == YES}
        assert may == set(operation.roles or roles), operation.path
        assert (verdicts[Holder.NOBODY] == YES) == (not operation.roles)
        refused = {verdict for verdict in verdicts.values() if verdict != YES}
        assert refused <= set(operation.refusals), operation.path


def test_the_page_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(main, ["access"])
    assert printed.exit_code == 0
    page = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
    assert page == printed.output, "python -m app access > docs/access.md"
    for route in {(route.method, route.path) for route in (*ROUTES, *KITCHEN_ROUTES)}:
        assert f"| `{route[0]} {route[1]}` |" in page

"""The pad on the whole house: from the link that a command prints to what the kitchen does."""

import json
import urllib.request
import uuid
from typing import Any

import pytest

from tests.browser.conftest import NewBrowser
from tests.browser.pad import Pad
from tests.stack import Stack

pytestmark = pytest.mark.stack


def ask(url: str, token: str, method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {token}"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture
def pad(stack: Stack, browser: NewBrowser) -> Pad:
    """A pad that was opened by the link that staff is shown."""
    table = f"B-{uuid.uuid4().hex[:8]}"
    link = stack.command("token", table, "--link").split()[1]
    url, _, token = link.partition("/pad#token=")
    return Pad(browser(1024, 600, touch=True), url, table, token).open()


@pytest.fixture(scope="module")
def cook(stack: Stack) -> str:
    """The token of a display."""
    return stack.command("token", "--role", "kitchen").strip()


def tickets(pad: Pad) -> list[str]:
    """The tickets of the table's newest order, once the kitchen has them."""
    orders = ask(f"{pad.url}/tables/{pad.table}/orders", pad.token)
    stations = {entry["id"]: entry["station"] for entry in ask(f"{pad.url}/menu_items", "")}
    return sorted({f"{orders[-1]['order_id']}.{stations[line['menu_item_id']]}" for line in orders[-1]["items"]})


def see(pad: Pad, stack: Stack, cook: str) -> str:
    """A display shows the one ticket of the table's newest order; its id."""
    [ticket] = tickets(pad)
    url = f"{stack.settings.kitchen_url}/kitchen/seen"
    pad.page.wait(lambda: ask(url, cook, "POST", {"ticket_ids": [ticket]})["seen"], "the kitchen never had it")
    pad.says("#placed .state", "The kitchen has seen it")
    return ticket


def bump(stack: Stack, cook: str, ticket_id: str, version: int) -> None:
    body = {"action": "bump", "version": version, "command_id": uuid.uuid4().hex}
    ask(f"{stack.settings.kitchen_url}/kitchen/tickets/{ticket_id}", cook, "POST", body)


def order(pad: Pad, dish: str) -> None:
    pad.add(dish)
    pad.send()
    pad.page.wait(lambda: not pad.text("#lines .line") and not pad.text("#outbox"), "it was never answered")


def test_a_guest_follows_an_order_through_the_kitchen(pad: Pad, stack: Stack, cook: str) -> None:
    order(pad, "m1")
    pad.says("#placed .state", "Received by the house")
    ticket = see(pad, stack, cook)
    for version, words in ((2, "Being prepared"), (3, "Ready"), (4, "Served")):
        bump(stack, cook, ticket, version)
        pad.says("#placed .state", words)
    assert not pad.page.find_all("#placed .order > div button"), "what was served is not cancelled"


def test_an_order_is_cancelled_until_a_cook_has_begun(pad: Pad, stack: Stack, cook: str) -> None:
    order(pad, "m1")
    pad.tap("#placed button", "Cancel this order")
    pad.says("#ask", "Cancel this order?", "Grilled Salmon")
    pad.tap("#ask-yes")
    pad.says("#placed .state", "Cancelled")
    pad.says("#tab", "€0.00")
    order(pad, "m5")
    ticket = see(pad, stack, cook)
    pad.tap("#placed button", "Cancel this order")
    bump(stack, cook, ticket, 2)  # while the guest is asked
    pad.tap("#ask-yes")
    pad.says("#placed", "It cannot be cancelled any more: the kitchen has begun (grill)")


def test_what_a_second_pad_orders_is_shown_by_the_first(pad: Pad, browser: NewBrowser) -> None:
    other = Pad(browser(390, 844, touch=True), pad.url, pad.table, pad.token).open()
    order(other, "m5")
    pad.says("#news", "has just ordered", "Grilled Chicken Breast")
    order(pad, "m1")
    other.says("#placed", "Grilled Salmon")
    orders = ask(f"{pad.url}/tables/{pad.table}/orders", pad.token)
    assert [order["version"] for order in orders] == [1, 2]


def test_a_dish_that_the_manager_sells_out_is_marked_in_the_basket(pad: Pad, stack: Stack) -> None:
    pad.add("m7")
    pad.tap("#to-basket")
    stack.command("menu", "sold-out", "m7")
    try:
        pad.says("#lines", "Not available any more")
        pad.tap("#take-out")
        pad.page.wait(lambda: not pad.page.find_all("#lines .line"))
    finally:
        stack.command("menu", "sold-out", "m7", "--back")

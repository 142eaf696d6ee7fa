"""A guest and two cooks on the whole house, each before a page of their own, while it fails around them."""

import signal
import uuid

import pytest

from tests.browser.conftest import NewBrowser
from tests.browser.kitchen import Screen
from tests.browser.pad import Pad
from tests.chromium import Browser
from tests.stack import Stack

pytestmark = pytest.mark.stack

STALE = '[data-banner="stale"]'


def display(page: Browser, link: str) -> Screen:
    """A display of the grill, opened by the link that staff is shown."""
    url, _, token = link.partition("/kitchen#token=")
    return Screen(page, url, "grill", token)


def order(pad: Pad, dish: str) -> str:
    """What a guest does; the id of the grill's ticket."""
    before = len(pad.orders())
    pad.add(dish)
    pad.send()
    pad.page.wait(lambda: len(pad.orders()) > before, "the order is not shown")
    return f"{pad.orders()[0][0]}.grill"


def of_table(screen: Screen, ticket_ids: list[str]) -> list[tuple[str, str, str]]:
    """These tickets as a display shows them; other tests have their own in the same kitchen."""
    return sorted(card for card in screen.shown() if card[0] in ticket_ids)


def test_a_guest_and_two_cooks_see_the_same_whatever_happens(stack: Stack, browser: NewBrowser) -> None:
    table = f"E-{uuid.uuid4().hex[:8]}"
    url, _, token = stack.command("token", table, "--link").split()[1].partition("/pad#token=")
    pad = Pad(browser(1280, 800), url, table, token).open()
    link = stack.command("token", "--role", "kitchen", "--name", "anna", "--link").strip()
    here, there = browser(1024, 600), browser(1280, 720)
    one, other = display(here, link), display(there, link)

    # A guest orders, the cooks see it, and the guest sees what becomes of it.
    salmon = order(pad, "m1")
    one.find(salmon)
    other.find(salmon)
    pad.says("#placed .state", "The kitchen has seen it")
    one.tap(salmon)
    other.find(salmon, "cooking")
    pad.says("#placed .state", "Being prepared")
    other.tap(salmon)
    one.find(salmon, "ready")
    pad.says("#placed .state", "Ready")
    one.tap(salmon, ".back", "ready")
    other.find(salmon, "cooking")
    pad.says("#placed .state", "Being prepared")

    # A kitchen worker dies: what was ordered meanwhile is on both screens, once.
    pids = {name: stack.kill(name, signal.SIGKILL) for name in ("kitchen-1",)}
    second = order(pad, "m1")
    for screen in (one, other):
        assert "round 2" in screen.find(second).text
    for name, pid in pids.items():
        stack.wait_ready(name, other_than=pid)

    # A display is cut off, says so, and is as the other one once it is back.
    with here.offline():
        here.wait_for_text(STALE, "Stale since")
        other.tap(salmon)
        third = order(pad, "m1")
        other.find(third)
    one.find(third)
    one.gone(STALE)
    tickets = [salmon, second, third]
    here.wait(lambda: of_table(one, tickets) == of_table(other, tickets), "the displays differ")
    assert {ticket for ticket, _, _ in of_table(one, tickets)} == set(tickets)

    # The guest cancels what no cook has begun; the cooks are told until one has heard it.
    pad.tap(f'[data-order="{third.partition(".")[0]}"] button', "Cancel this order")
    pad.tap("#ask-yes")
    pad.page.wait(lambda: (third.partition(".")[0], "cancelled") in pad.orders(), "it is not cancelled")
    for screen in (one, other):
        screen.find(third, "voided")
    other.tap(third, ".bump", "voided")
    one.has_left(third)

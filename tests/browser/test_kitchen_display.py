"""The kitchen display in a real browser: what a cook sees, taps and presses, and what happens when something fails."""

import time
from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from app.messages import Line
from tests.browser.conftest import NewBrowser
from tests.browser.kitchen import FRIES, Kitchen, Screen, eventually, of, open_kitchen
from tests.chromium import Browser

pytestmark = pytest.mark.pages

WATCH = """
window.kept = [...document.querySelectorAll(".card")];
window.changed = new Set();
new MutationObserver((list) => {
  for (const { target } of list) {
    const node = target.closest ? target : target.parentElement;
    if (node?.closest("article") && !node.closest(".age")) changed.add(node.closest(".card").dataset.ticket);
  }
}).observe(document.getElementById("board"), { subtree: true, childList: true, characterData: true });
"""
LINK = "python -m app token --role kitchen --link"


@pytest.fixture
def kitchen() -> Iterator[Kitchen]:
    with open_kitchen() as kitchen:
        yield kitchen


@pytest.fixture
def page(browser: NewBrowser) -> Browser:
    return browser(1024, 600)


# ── what a cook sees ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_card_shows_what_is_to_be_cooked_and_the_kitchen_is_told_that_it_does(
    page: Browser, kitchen: Kitchen
) -> None:
    ticket = kitchen.order("T12")
    screen = Screen(page, kitchen.url)
    text = screen.find(ticket).text
    for part in ("T12", "2", "Grilled Salmon", "Well done", "no butter", "FISH", "Fries"):
        assert part in text, part
    eventually(lambda: kitchen.state(ticket) == "seen")
    later = kitchen.order("T13")
    assert "NEW" in screen.find(later).text
    eventually(lambda: kitchen.state(later) == "seen")


def test_the_token_is_in_the_address_no_more_and_holds_over_a_reload(page: Browser, kitchen: Kitchen) -> None:
    Screen(page, kitchen.url)
    page.wait_for_text("#empty", "Nothing to cook")
    assert page.driver.current_url == f"{kitchen.url}/kitchen?station=grill"
    page.driver.refresh()
    page.wait_for_text("#empty", "Nothing to cook")


@pytest.mark.parametrize("token", ["", "forged", "pad/T1/1"])
def test_without_a_token_that_holds_the_page_says_what_to_do(page: Browser, kitchen: Kitchen, token: str) -> None:
    Screen(page, kitchen.url, token=token)
    page.wait_for_text("main", LINK)


def test_a_station_is_chosen_kept_in_the_address_and_changed(page: Browser, kitchen: Kitchen) -> None:
    ticket = kitchen.order()
    screen = Screen(page, kitchen.url, station="")
    page.click('.stations button[value="grill"]')
    screen.find(ticket)
    assert page.driver.current_url.endswith("?station=grill")
    page.click('#station option[value="bar"]')
    screen.has_left(ticket)
    assert page.driver.current_url.endswith("?station=bar")
    page.click('#station option[value="all"]')
    assert "Grill" in screen.find(ticket).text


def test_a_later_round_is_marked_while_the_earlier_is_cooked_and_each_line_stands_once(
    page: Browser, kitchen: Kitchen
) -> None:
    first = kitchen.order("T1", age=60)
    screen = Screen(page, kitchen.url)
    screen.find(first)
    second = kitchen.order("T1", FRIES)
    page.wait_for_text(f"{of(second)} .addition", "+ round 2")
    assert page.texts(".card .name") == ["Grilled Salmon", "Fries", "Fries"]
    page.click(".allDay")
    page.wait(lambda: page.texts("#all-day .quantity") == ["2", "2"], "the counts are others")
    screen.tap(first)
    screen.tap(first, state="cooking")
    screen.gone(f"{of(second)} .addition")
    page.wait(lambda: page.texts("#all-day .quantity") == ["1"], "what is ready is still counted")


def test_cards_take_colour_with_age_and_one_that_becomes_late_is_told(page: Browser, kitchen: Kitchen) -> None:
    late, warn, fresh = (kitchen.order(f"T{n}", age=age) for n, age in ((1, 890), (2, 600), (3, 5)))
    Screen(page, kitchen.url)
    for ticket, band in ((warn, "warn"), (fresh, "fresh"), (late, "late")):
        page.find(f'{of(ticket)}[data-age="{band}"]')
    page.wait_for_text(".counts", "1 late")


def test_a_filter_shows_what_fits_and_hides_no_new_ticket_in_silence(page: Browser, kitchen: Kitchen) -> None:
    one, other = kitchen.order("T1", FRIES), kitchen.order("T2")
    screen = Screen(page, kitchen.url)
    screen.find(one)
    eventually(lambda: kitchen.state(other) == "seen")
    screen.press("f", "salmon")
    screen.has_left(one)
    third = kitchen.order("T3", FRIES)
    page.wait_for_text("#filter", "2 hidden, 1 new")
    time.sleep(1)
    assert kitchen.state(third) == "new", "nobody has seen it"
    screen.press(Keys.ESCAPE)
    screen.find(third)
    eventually(lambda: kitchen.state(third) == "seen")


# ── what a cook does ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.short
def test_a_cook_starts_makes_ready_serves_undoes_and_recalls_by_tap(page: Browser, kitchen: Kitchen) -> None:
    ticket = kitchen.order()
    screen = Screen(page, kitchen.url)
    for before, after in (("seen", "cooking"), ("cooking", "ready"), ("ready", "served")):
        screen.tap(ticket, state=before)
        eventually(lambda after=after: kitchen.state(ticket) == after)
    screen.has_left(ticket)
    page.click(".undo")
    screen.find(ticket, "ready")
    eventually(lambda: kitchen.state(ticket) == "ready")
    screen.tap(ticket, ".back")
    screen.find(ticket, "cooking")
    eventually(lambda: kitchen.state(ticket) == "cooking")
    screen.tap(ticket, state="cooking")
    screen.tap(ticket, state="ready")
    screen.has_left(ticket)
    eventually(lambda: kitchen.state(ticket) == "served")
    page.click("#bar .recall")
    page.click("dialog.recall li button")
    screen.find(ticket, "cooking")
    eventually(lambda: kitchen.state(ticket) == "cooking")


def test_a_cook_does_the_same_by_keys_alone(page: Browser, kitchen: Kitchen) -> None:
    first, second = kitchen.order("T1", age=60), kitchen.order("T2")
    screen = Screen(page, kitchen.url)
    screen.find(second, "seen")
    for keys, ticket, state in (
        (("2", Keys.ENTER), second, "cooking"),
        ((Keys.SPACE,), second, "ready"),
        (("2", Keys.ENTER), second, "served"),  # it stands behind the cards now, second again
        (("u",), second, "ready"),
        (("2", Keys.ENTER), second, "served"),
        (("r", "1"), second, "cooking"),
        ((Keys.HOME, Keys.ENTER), first, "cooking"),
        ((Keys.DOWN, Keys.ENTER), second, "ready"),
    ):
        screen.press(*keys)
        eventually(lambda ticket=ticket, state=state: kitchen.state(ticket) == state, f"{state} after {keys}")
    screen.press("?")
    page.wait_for_text("dialog.help", "selects a card")


def test_lines_are_struck_by_tap_and_by_key_and_taken_back(page: Browser, kitchen: Kitchen) -> None:
    ticket = kitchen.order()

    def done() -> list[bool]:
        return [line["done"] for line in kitchen.ticket(ticket)["lines"]]

    screen = Screen(page, kitchen.url)
    screen.tap(ticket, ".line", "seen")
    eventually(lambda: done() == [True, False])
    assert kitchen.state(ticket) == "cooking"
    screen.press("1", "l", "2")
    eventually(lambda: done() == [True, True])
    page.wait_for_text(f"{of(ticket)} .bump", "All done")
    screen.press("1")
    eventually(lambda: done() == [False, True])
    screen.press("l", "u")
    eventually(lambda: done() == [True, True])


def test_a_stuck_finger_bumps_once_and_no_neighbour(page: Browser, kitchen: Kitchen) -> None:
    first, second = kitchen.order("T1", age=60), kitchen.order("T2")
    screen = Screen(page, kitchen.url)
    screen.tap(first, state="seen")
    screen.find(first, "cooking")
    time.sleep(1)
    tap = "document.elementFromPoint({x}, {y}).dispatchEvent(new MouseEvent('click', {{bubbles: true, detail: 1}}));"
    box = screen.find(first, part=".bump").rect
    spot = tap.format(x=box["x"] + 20, y=box["y"] + 20)
    page.run(3 * spot)
    screen.find(first, "ready")
    page.run(spot)  # the neighbour may have come under the finger
    eventually(lambda: kitchen.state(first) == "ready")
    time.sleep(0.5)
    assert (kitchen.state(first), kitchen.state(second)) == ("ready", "seen")


def test_staff_voids_with_a_reason_and_not_by_one_slip(page: Browser, kitchen: Kitchen) -> None:
    ticket = kitchen.order("T1")
    screen = Screen(page, kitchen.url)
    screen.find(ticket, "seen")
    screen.press("1", "x")
    assert not page.find(".void-do").is_enabled()
    page.click("dialog label")
    page.click(".void-do")
    screen.find(ticket, "voided")
    eventually(lambda: kitchen.ticket(ticket)["reason"] == "Sold out")


# ── voids ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.short
def test_a_void_shouts_until_somebody_acknowledges_it(page: Browser, kitchen: Kitchen) -> None:
    ticket, other = kitchen.order("T1"), kitchen.order("T2", age=60)
    screen = Screen(page, kitchen.url)
    screen.tap(ticket, state="seen")
    eventually(lambda: kitchen.state(ticket) == "cooking")
    kitchen.other_cook(ticket, "void", by="manager eva", reason="Guest has left")
    text = screen.find(ticket, "voided").text
    assert "VOID" in text
    assert "Do not cook: Guest has left" in text
    assert screen.shown()[0][0] == ticket, "it stands before older ones"
    screen.is_told("Void, do not cook: table T1")
    page.run("window.shouting = getComputedStyle(document.querySelector('.loud header')).animationName")
    assert page.run("return window.shouting") == "shout"
    screen.press("v")
    screen.has_left(ticket)
    eventually(lambda: kitchen.ticket(ticket)["acknowledged"])
    assert kitchen.state(other) == "seen"


def test_what_a_guest_cancels_shouts_too(page: Browser, kitchen: Kitchen) -> None:
    ticket = kitchen.order("T1")
    screen = Screen(page, kitchen.url)
    screen.find(ticket, "seen")
    kitchen.guest_cancels(ticket)
    screen.tap(ticket, state="voided")
    screen.has_left(ticket)
    eventually(lambda: kitchen.ticket(ticket)["acknowledged"])


# ── several displays ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_displays_stay_equal(browser: NewBrowser, kitchen: Kitchen) -> None:
    tickets = [kitchen.order(f"T{n}", age=100 - n) for n in range(1, 6)]
    one, other = Screen(browser(1024, 600), kitchen.url), Screen(browser(390, 844, touch=True), kitchen.url)
    one.tap(tickets[0], state="seen")
    other.tap(tickets[1], state="seen")
    one.tap(tickets[2], ".line", "seen")
    tickets.append(kitchen.order("T9"))
    other.tap(tickets[0], state="cooking")
    kitchen.other_cook(tickets[3], "void", reason="Sold out")
    eventually(lambda: kitchen.state(tickets[0]) == "ready" and kitchen.state(tickets[5]) == "seen")
    eventually(lambda: kitchen.state(tickets[1]) == kitchen.state(tickets[2]) == "cooking")
    grill = {id_: ticket for id_, ticket in kitchen.tickets().items() if ticket["station"] == "grill"}
    expected = {(id_, ticket["state"], str(ticket["version"])) for id_, ticket in grill.items()}
    for screen in (one, other):
        screen.page.wait(lambda screen=screen: {*screen.shown()} == expected, "a display shows something else")
    assert one.shown() == other.shown()


def test_who_was_second_is_told_who_was_first_and_sees_the_ticket_as_it_is(page: Browser, kitchen: Kitchen) -> None:
    ticket = kitchen.order("T1")
    screen = Screen(page, kitchen.url)
    screen.find(ticket, "seen")
    kitchen.decides_nothing()
    screen.tap(ticket)
    screen.find(ticket, "cooking")
    kitchen.decides_nothing(False)
    kitchen.other_cook(ticket, "line_done", line="1")
    page.wait_for_text(".toast", "T1: ben was first. It is cooking now.")
    page.find(f'{of(ticket, "cooking")} [data-line="1"].done')
    screen.gone(f"{of(ticket)}.pending")


def test_all_dead_stations_take_one_line_and_a_further_one_is_said(page: Browser) -> None:
    with open_kitchen(kitchen={"unseen_after": 1.0}) as kitchen:
        Screen(page, kitchen.url, station="bar")
        page.wait_for_text("#empty", "Nothing to cook")
        kitchen.order("T1")
        page.wait_for_text('[data-banner="unseen-grill"]', "Grill has not seen 1 ticket for")
        kitchen.order("T2", Line("m2", "Soup", 1, 850, station="pan"))
        page.wait_for_text('[data-banner="unseen-grill-pan"]', "Pan has not seen 1 ticket for")
        page.wait_for_text("#banners > :only-child", "Grill has not seen 1 ticket for")


def test_a_display_tells_that_another_stations_is_dead(page: Browser) -> None:
    with open_kitchen(kitchen={"unseen_after": 1.0}) as kitchen:
        Screen(page, kitchen.url, station="bar")
        page.wait_for_text("#empty", "Nothing to cook")
        kitchen.order("T1")
        kitchen.order("T2")
        page.wait_for_text('[data-banner="unseen-grill"]', "Grill has not seen 2 tickets for")


# ── what fails ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.short
@pytest.mark.parametrize("failure", ["offline", "silence"])
def test_without_a_network_the_cards_stay_and_what_is_tapped_is_done_once_after(
    page: Browser, kitchen: Kitchen, failure: str
) -> None:
    first, second = kitchen.order("T1", age=60), kitchen.order("T2")
    screen = Screen(page, kitchen.url)
    screen.find(first, "seen")
    screen.find(second, "seen")
    with getattr(page, failure)():
        screen.tap(first, state="seen")
        screen.tap(first, state="cooking")
        screen.find(first, "ready")
        page.wait_for_text('[data-banner="stale"]', "Stale since")
        page.wait_for_text('[data-banner="stale"]', "2 changes wait")
        screen.find(second, "seen")
        late = kitchen.order("T3")
        assert kitchen.state(first) == "seen"
    screen.gone('[data-banner="stale"]')
    screen.find(late)
    eventually(lambda: kitchen.state(first) == "ready")
    screen.gone(".pending")
    screen.find(first, "ready")
    sent = {one.command_id: (one.action, one.version) for one in kitchen.commands()}
    assert [*sent.values()] == [("bump", 2), ("bump", 3)]


def test_what_was_tapped_is_done_once_also_over_a_reload(page: Browser, kitchen: Kitchen) -> None:
    ticket = kitchen.order("T1")
    screen = Screen(page, kitchen.url)
    screen.find(ticket, "seen")
    kitchen.decides_nothing()
    screen.tap(ticket)
    screen.find(ticket, "cooking")
    page.driver.refresh()
    kitchen.decides_nothing(False)
    eventually(lambda: kitchen.state(ticket) == "cooking")
    screen.find(ticket, "cooking")
    screen.gone(".pending")
    assert len({one.command_id for one in kitchen.commands()}) == 1


def test_a_server_that_cannot_read_says_so_itself(page: Browser, kitchen: Kitchen) -> None:
    screen = Screen(page, kitchen.url)
    page.wait_for_text("#empty", "Nothing to cook")
    kitchen.falls_behind(14.0)
    page.wait_for_text('[data-banner="behind"]', "Behind by 1")
    kitchen.falls_behind(0.0)
    screen.gone('[data-banner="behind"]')


# ── for everybody ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.short
@pytest.mark.parametrize(("width", "height"), [(1024, 600), (1920, 1080), (390, 844)], ids=["small", "large", "phone"])
def test_everybody_can_use_it(
    browser: NewBrowser, kitchen: Kitchen, axe: Callable[[Browser], list[str]], width: int, height: int
) -> None:
    first, second, *_ = (kitchen.order(f"T{n}", age=age) for n, age in enumerate((1000, 600, 300, 200, 100, 5), 1))
    page = browser(width, height, touch=width < 500)
    page.prefer(reduced_motion="reduce")  # a colour on its way is no colour to measure
    screen = Screen(page, kitchen.url)
    screen.tap(first, state="seen")
    screen.tap(second, state="seen")
    screen.tap(second, state="cooking")
    kitchen.other_cook(first, "void", reason="Sold out")
    screen.find(first, "voided")
    assert axe(page) == []
    screen.press("a", "f")
    assert axe(page) == []
    screen.press(Keys.ESCAPE)
    for key in ("r", "?", "x"):
        screen.press("2", key)
        page.find("dialog")
        assert axe(page) == [], key
        screen.press(Keys.ESCAPE)
    assert page.run("return document.documentElement.scrollWidth") <= width, "something stands out to the right"


def test_two_hundred_tickets_are_shown_and_change_without_a_jerk(page: Browser, kitchen: Kitchen) -> None:
    tickets = [kitchen.order(f"T{n}", age=400 - n) for n in range(200)]
    screen = Screen(page, kitchen.url)
    eventually(lambda: [state for _, state, _ in screen.shown()] == 200 * ["seen"])
    page.run(WATCH)
    kitchen.other_cook(tickets[7], "bump")
    screen.find(tickets[7], "cooking")
    assert page.run("return [...changed]") == [tickets[7]], "one card is drawn anew where one ticket changes"
    assert page.run("return kept.every((card) => card.isConnected)")

"""The pad in a browser: what guests touch and read, while the house answers, refuses, or is not to be reached."""

import time
from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import NewBrowser
from tests.browser.pad import Pad, Restaurant, new_table, open_restaurant
from tests.chromium import Browser

pytestmark = pytest.mark.pages

Axe = Callable[[Browser], list[str]]


@pytest.fixture(scope="module")
def restaurant() -> Iterator[Restaurant]:
    with open_restaurant() as restaurant:
        yield restaurant


@pytest.fixture
def house(restaurant: Restaurant) -> Iterator[Restaurant]:
    """The house in its usual state."""
    yield restaurant
    restaurant.is_deaf = False
    restaurant.refusals.clear()
    restaurant.reset_menu()


@pytest.fixture
def page(browser: NewBrowser) -> Browser:
    return browser(1024, 600, touch=True)


@pytest.fixture
def pad(house: Restaurant, page: Browser) -> Pad:
    """An open pad at a table of its own."""
    table = new_table()
    return Pad(page, house.url, table, house.seat(table)).open()


def beside(pad: Pad, browser: NewBrowser) -> Pad:
    """Another pad of the same table."""
    return Pad(browser(390, 844, touch=True), pad.url, pad.table, pad.token).open()


def test_a_guest_orders_and_sees_how_far_it_is(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    pad.add("m1")
    pad.add("m2")
    pad.says("#dish", "Ribeye", "please choose one")
    pad.tap("#dish-done")
    pad.says("#dish-wrong", "Please choose: Cooking")
    pad.tap(".option", "Well done")
    pad.tap(".option", "Pepper sauce")
    pad.tap("#dish-done", "€34.50")
    pad.says("#send", "€72.48")
    pad.send()
    pad.says("#notice", "Your order has arrived")
    [order] = house.orders(pad.table)
    assert [(line.menu_item_id, line.quantity, line.modifiers) for line in order.lines] == [
        ("m1", 2, ()),
        ("m2", 1, ("done", "pepper")),
    ]
    for state, words in (("seen", "The kitchen has seen it"), ("cooking", "Being prepared"), ("ready", "on its way")):
        house.kitchen_says(order.order_id, state)
        pad.says("#placed .state", words)
        assert pad.orders() == [(order.order_id, state)]
    pad.says("#placed .order", "Well done, Pepper sauce")
    pad.says("#tab", "€72.48")


def test_what_the_kitchen_does_not_see_is_said(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    pad.send()
    order = house.wait_for_orders(pad.table)[0]
    house.kitchen_says(order.order_id, "received")
    pad.says("#placed", "The kitchen has not seen it yet")
    house.kitchen_says(order.order_id, "seen")
    pad.says_no_more("#placed", "has not seen it")


def test_the_basket_outlives_a_reload(pad: Pad) -> None:
    pad.add("m1")
    pad.tap("#order-note-text")
    ActionChains(pad.page.driver).send_keys("all together").perform()
    pad.page.wait(lambda: pad.kept()["basket"]["note"])
    before = pad.kept()["basket"]
    pad.reload()
    pad.says("#lines", "Grilled Salmon")
    assert pad.page.find("#order-note-text").get_property("value") == "all together"
    assert pad.kept()["basket"] == before, "its id too"


def test_an_order_is_kept_before_it_goes_out(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    order_id = pad.kept()["basket"]["order_id"]
    with pad.page.offline():
        pad.send()
        pad.says("#outbox", "your order is being sent")
        assert pad.kept()["outbox"]["basket"]["order_id"] == order_id
    assert house.wait_for_orders(pad.table)[0].client_order_id == order_id


@pytest.mark.short
def test_a_network_that_is_cut_while_sending_makes_one_order(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    pad.listen()
    house.is_deaf = True
    pad.send()
    pad.says("#outbox", "No connection: your order is being sent")
    with pad.page.offline():
        pad.says("#banner", "No connection for")
        assert len(house.orders(pad.table)) == 1, "its answer was lost"
        house.is_deaf = False
    pad.says("#placed", "Grilled Salmon")
    pad.says_no_more("#outbox")
    pad.says_no_more("#banner")
    assert len(house.orders(pad.table)) == 1
    assert len(pad.sent()) > 1
    assert len(set(pad.sent())) == 1, "each time the same words"


def test_a_reload_while_sending_makes_one_order(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    house.is_deaf = True
    pad.send()
    pad.says("#outbox", "your order is being sent")
    pad.reload()
    pad.says("#outbox", "your order is being sent")
    house.is_deaf = False
    pad.says("#placed", "Grilled Salmon")
    pad.says_no_more("#outbox")
    assert len(house.orders(pad.table)) == 1
    assert pad.kept()["outbox"] is None


def test_a_503_is_answered_by_the_same_again(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    pad.listen()
    house.refuse_next(503, "Service unavailable", {"Retry-After": "1"})
    pad.send()
    pad.says("#placed", "Grilled Salmon")
    first, second = pad.sent()
    assert first == second


def test_what_was_given_up_and_had_arrived_leaves_the_basket(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    house.is_deaf = True
    pad.send()
    pad.tap("#outbox button", "Do not send it")
    pad.says("#lines", "Grilled Salmon")
    house.is_deaf = False
    pad.says("#notice", "had arrived after all")
    pad.says("#lines", "Nothing chosen yet")
    assert len(house.orders(pad.table)) == 1


def test_two_pads_of_a_table_see_each_others_orders(pad: Pad, house: Restaurant, browser: NewBrowser) -> None:
    other = beside(pad, browser)
    other.add("m3")
    other.send()
    order = house.wait_for_orders(pad.table)[0]
    house.kitchen_says(order.order_id, "received")
    pad.says("#news", "has just ordered", "Onion Soup")
    pad.tap("#news button")
    pad.says("#placed", "Onion Soup")
    pad.add("m1")
    pad.send()
    house.wait_for_orders(pad.table, 2)  # it was seen: no conflict


@pytest.mark.short
def test_two_pads_that_order_at_once_lose_nothing(pad: Pad, house: Restaurant, browser: NewBrowser) -> None:
    other = beside(pad, browser)
    pad.add("m1")
    other.add("m3")
    other.send()
    house.wait_for_orders(pad.table)
    pad.send()
    pad.says("#decide", "Someone at your table ordered too", "Onion Soup", "Grilled Salmon")
    order_id = pad.kept()["outbox"]["basket"]["order_id"]
    pad.tap("#decide button", "Send mine as well, €18.99")
    house.wait_for_orders(pad.table, 2)
    assert house.orders(pad.table)[1].client_order_id == order_id


def test_a_dish_that_sells_out_in_the_basket_is_marked_and_taken_out_by_one_touch(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    pad.add("m3")
    pad.tap("#to-basket")
    house.change("m3", available=False)
    pad.says('#lines [data-dish="m3"]', "Not available any more")
    assert not pad.page.find("#send").is_enabled()
    pad.says('li.dish[data-dish="m3"]', "Sold out")
    pad.tap("#take-out")
    pad.send()
    [order] = house.wait_for_orders(pad.table)
    assert [line.menu_item_id for line in order.lines] == ["m1"]


def test_a_dish_that_sells_out_in_the_same_moment_is_named(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    pad.add("m3")
    house.change("m3", in_silence=True, available=False)
    pad.send()
    pad.says("#decide", "Onion Soup cannot be ordered", "It has just sold out")
    pad.tap("#decide button", "Take it out and send the rest, €18.99")
    [order] = house.wait_for_orders(pad.table)
    assert [line.menu_item_id for line in order.lines] == ["m1"]


def test_a_price_that_changed_in_the_same_moment_is_shown_before_it_is_paid(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    house.change("m1", in_silence=True, price=1950)
    pad.send()
    pad.says("#decide", "Prices have changed", "€19.50", "was €18.99")
    assert house.orders(pad.table) == []
    pad.tap("#decide button", "Send at the new price, €19.50")
    assert house.wait_for_orders(pad.table)[0].total == 1950


@pytest.mark.short
def test_after_a_429_the_seconds_are_counted_and_one_touch_sends(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    house.refuse_next(429, "Rate limit", {"Retry-After": "3"})
    pad.send()
    pad.says("#decide", "A short break, please", "You can send it in")
    pad.tap("#decide button", "Send it then by itself")
    pad.says("#wait", "It is sent by itself in")
    began = time.monotonic()
    house.wait_for_orders(pad.table)
    assert time.monotonic() - began > 1, "not before it may"


def test_a_429_that_nobody_touched_waits_for_the_guest(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    house.refuse_next(429, "Rate limit", {"Retry-After": "1"})
    pad.send()
    pad.says("#wait", "You can send it now")
    assert house.orders(pad.table) == []
    pad.tap("#decide button", "Send now, €18.99")
    house.wait_for_orders(pad.table)


def test_the_pad_locks_when_the_session_ends(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    house.close(pad.table)
    pad.says("#locked", "session has ended")
    assert not pad.page.find("#main").is_displayed()
    pad.page.driver.refresh()
    pad.says("#locked", "session has ended")
    house.seat(pad.table)
    pad.token = house.tokens.sign("pad", pad.table, 2)
    pad.open()
    assert "Nothing chosen yet" in pad.text("#lines"), "what the party before chose is gone"
    assert len([name for name in pad.page.run("return Object.keys(localStorage)") if "pad/" in name]) <= 1


def test_a_link_that_is_opened_in_a_locked_pad_unlocks_it(pad: Pad, house: Restaurant) -> None:
    house.close(pad.table)
    pad.says("#locked", "session has ended")
    table = new_table()
    pad.page.run("location.hash = arguments[0]", f"token={house.seat(table)}")
    pad.says("#table", table)
    pad.page.find("li.dish")
    assert pad.page.driver.current_url == f"{house.url}/pad", "no token is left to be seen"


@pytest.mark.parametrize(("link", "words"), [("", "does not know its table"), ("#token=nonsense", "does not open")])
def test_without_a_tables_link_it_is_said_what_to_do(house: Restaurant, page: Browser, link: str, words: str) -> None:
    page.open(f"{house.url}/pad{link}")
    page.wait_for_text("#locked", words)
    page.wait_for_text("#locked", "ask our staff")


def test_the_pad_speaks_french_and_so_does_the_menu(pad: Pad, house: Restaurant) -> None:
    pad.add("m1")
    pad.tap("#languages button", "Français")
    pad.says('li.dish[data-dish="m2"]', "Entrecôte")
    pad.says("#send", "Envoyer la commande", "18,99")
    assert pad.page.run("return document.documentElement.lang") == "fr"
    pad.reload()
    pad.says("#basket-title", "Votre commande")
    pad.send()
    house.wait_for_orders(pad.table)
    pad.says("#notice", "Merci")


def test_everything_can_be_done_by_keyboard(pad: Pad, house: Restaurant) -> None:
    def press(*keys: str) -> str:
        ActionChains(pad.page.driver).send_keys(*keys).perform()
        script = "const a = document.activeElement; return a.getAttribute('aria-label') || a.textContent"
        return str(pad.page.run(script))

    def until(begin: str, key: str = Keys.TAB) -> None:
        assert any(press(key).startswith(begin) for _ in range(60)), f"the keys never came to {begin!r}"

    until("Add: Grilled Salmon")
    assert press(Keys.ENTER).startswith("Add: Grilled Salmon"), "the focus stays"
    until("Choose: Ribeye")
    press(Keys.ENTER)
    until("Add to your order")
    press(Keys.ENTER)
    press(Keys.SPACE)
    until("Add to your order")
    assert press(Keys.ENTER).startswith("Choose: Ribeye"), "and comes back"
    until("Send order")
    press(Keys.ENTER)
    assert len(house.wait_for_orders(pad.table)[0].lines) == 2


def test_nothing_that_is_told_becomes_markup(pad: Pad, house: Restaurant) -> None:
    bad = '<img src=x onerror="document.title=1"><b>Soup</b>'
    house.change("m3", name=bad, description=bad, category=bad)
    pad.says("li.dish", bad)
    pad.add("m3")
    pad.says("#lines", bad)
    pad.send()
    pad.says("#placed", bad)
    assert pad.page.find_all("#main b, #main [onerror]") == []


@pytest.mark.short
@pytest.mark.parametrize("size", [(1024, 600), (1280, 800), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_in_the_way_of_who_sees_or_hears_less(
    pad: Pad, house: Restaurant, axe: Axe, size: tuple[int, int], scheme: str
) -> None:
    page = pad.page
    page.resize(*size, touch=True)
    page.prefer(color_scheme=scheme)
    assert axe(page) == []
    pad.add("m2")
    pad.says("#dish", "Ribeye")
    assert axe(page) == []
    pad.tap(".option", "Rare")
    pad.tap("#dish-done")
    pad.add("m1")
    pad.tap("#to-basket")
    house.change("m1", available=False)
    pad.says("#lines", "Not available any more")
    assert axe(page) == []
    pad.tap("#take-out")
    house.refuse_next(429, "Rate limit", {"Retry-After": "60"})
    pad.send()
    pad.says("#decide", "A short break")
    assert axe(page) == []
    pad.tap("#decide button", "Change my order")
    pad.send()
    order = house.wait_for_orders(pad.table)[0]
    house.kitchen_says(order.order_id, "received")
    pad.says("#placed", "has not seen it yet")
    assert axe(page) == []
    assert page.run("return document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"

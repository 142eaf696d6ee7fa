"""The menu as it is sent: what a dish shows, which dishes, and when a page is made anew."""

import gzip
from dataclasses import replace
from typing import Any

import orjson
import pytest

from app.domain.house_clock import Serving
from app.domain.menu import Menu, MenuItem, Modifier, ModifierGroup, Translation
from app.ports import UnavailableError
from app.settings import Settings
from app.web.forms import menu_entry
from app.web.menu_pages import MenuPages
from tests.board import MENU, SALMON, SOUP, Board

NOON = 1_700_046_000_000  # 2023-11-14, a Tuesday, 12:00 in Paris (11:00 UTC)
HOUR = 3_600_000
SAUCES = ModifierGroup("sauce", "Sauce", 0, 1, (Modifier("bearnaise", "Béarnaise", 150), Modifier("none", "Without")))


def entry(item: MenuItem, currency: str = "EUR", available: bool = True, language: str = "") -> Any:
    return orjson.loads(orjson.dumps(menu_entry(item, currency, available, language, NOON)))


def pages(board: Board, now: list[int] | None = None) -> MenuPages:
    moments = now or [NOON]
    return MenuPages(board, Settings(), lambda: moments[-1])


def ids(body: bytes) -> list[str]:
    return [dish["id"] for dish in orjson.loads(body)]


def test_a_dish_shows_the_contract_first_and_nothing_that_it_does_not_have() -> None:
    shown = entry(SALMON)
    assert shown == {
        "id": "m1",
        "name": "Grilled Salmon",
        "price": 18.99,
        "category": "Mains",
        "station": "grill",
        "description": "With lemon",
        "allergens": ["fish"],
        "available": True,
        "modifier_groups": [],
        "tax_rate": 10,
        "revision": 3,
    }
    assert list(shown)[:3] == ["id", "name", "price"]


def test_a_dish_shows_its_modifiers_hours_and_picture() -> None:
    served = (Serving(11 * 60 + 30, 14 * 60 + 30, (0, 1)), Serving(18 * 60, 0))
    shown = entry(replace(SALMON, groups=(SAUCES,), served=served, picture="https://bistro/m1.jpg"))
    assert shown["modifier_groups"] == [
        {
            "id": "sauce",
            "name": "Sauce",
            "minimum": 0,
            "maximum": 1,
            "modifiers": [
                {"id": "bearnaise", "name": "Béarnaise", "price": 1.5},
                {"id": "none", "name": "Without", "price": 0},
            ],
        }
    ]
    assert shown["served"] == [
        {"days": ["mon", "tue"], "from": "11:30", "to": "14:30"},
        {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "18:00", "to": "00:00"},
    ]
    assert shown["picture"] == "https://bistro/m1.jpg"


def test_a_dish_tells_until_when_it_is_sold_out_while_that_is_to_come() -> None:
    assert entry(replace(SALMON, sold_out_until=NOON + HOUR))["sold_out_until"] == "2023-11-15T12:00:00.000Z"
    assert "sold_out_until" not in entry(replace(SALMON, sold_out_until=NOON))


@pytest.mark.parametrize(("rate", "text"), [(0, b"0"), (1000, b"10"), (550, b"5.5"), (2125, b"21.25"), (5, b"0.05")])
def test_a_tax_rate_is_exactly_its_percents(rate: int, text: bytes) -> None:
    assert b'"tax_rate":' + text + b"," in orjson.dumps(menu_entry(replace(SALMON, tax_rate=rate), "EUR", True))


def test_yen_have_no_digits_after_the_point() -> None:
    shown = entry(replace(SALMON, groups=(SAUCES,)), "JPY")
    assert (shown["price"], shown["modifier_groups"][0]["modifiers"][0]["price"]) == (1899, 150)


def test_a_dish_is_shown_in_the_language_asked_for_as_far_as_it_is_translated() -> None:
    dish = replace(SALMON, translations={"fr": Translation(name="Saumon grillé")})
    menu = pages(Board(replace(MENU, items=(dish, SOUP))))
    assert [dish["name"] for dish in orjson.loads(menu.page(language="fr").body)] == ["Saumon grillé", "Onion Soup"]
    assert menu.page(language="tlh") is menu.page()


def test_dishes_that_cannot_be_had_stand_last() -> None:
    body = pages(Board(replace(MENU, items=(replace(SALMON, available=False), SOUP)))).page().body
    assert [(dish["id"], dish["available"]) for dish in orjson.loads(body)] == [("m2", True), ("m1", False)]


def test_a_category_shows_its_dishes_and_an_unknown_one_none() -> None:
    menu = pages(Board())
    assert ids(menu.page("Starters").body) == ["m2"]
    assert menu.page("Fish & chips").body == b"[]"


def test_what_guests_make_up_does_not_fill_the_memory() -> None:
    menu = pages(Board())
    assert menu.page("no such", "xx") is menu.page("nor this", "yy")


def test_a_page_is_made_once_for_a_menu() -> None:
    board = Board()
    menu = pages(board)
    first = menu.page()
    assert menu.page() is first
    board.menu = Menu(8, 0, (SOUP,))
    assert ids(menu.page().body) == ["m2"]


def test_a_dish_is_shown_as_available_from_the_moment_on() -> None:
    now = [NOON]
    menu = pages(Board(replace(MENU, items=(replace(SALMON, sold_out_until=NOON + HOUR), SOUP))), now)
    first = menu.page()
    assert ids(first.body) == ["m2", "m1"]
    now.append(NOON + HOUR - 1)
    assert menu.page() is first
    now.append(NOON + HOUR)
    assert ids(menu.page().body) == ["m1", "m2"]
    assert menu.page().etag != first.etag


def test_the_tag_tells_revision_and_body_and_encoding() -> None:
    page = pages(Board()).page()
    assert page.etag.startswith('"7.')
    assert page.gzip_etag == page.etag.removesuffix('"') + '-gz"'
    assert gzip.decompress(page.gzipped) == page.body
    assert page == pages(Board()).page(), "two workers show the same under the same tag"


def test_without_a_menu_there_is_no_page() -> None:
    with pytest.raises(UnavailableError):
        pages(Board(None)).page()

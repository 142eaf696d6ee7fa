"""The menu as the house writes it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.adapters.menu_file import FILE, MenuFileError, read_menu


def write(folder: Path, *changes: dict[str, Any], **top: Any) -> Path:
    dish = {
        "id": "m1",
        "name": "Soup",
        "price": "4.50",
        "category": "Starters",
        "station": "pan",
        "allergens": [],
        "description": "",
    }
    dishes = [{**dish, **change} for change in changes or ({},)]
    path = folder / "menu.yaml"
    path.write_text(yaml.safe_dump({"stations": ["pan", "bar"], "dishes": dishes, **top}), encoding="utf-8")
    return path


def test_the_houses_own_menu_is_in_order() -> None:
    items = read_menu(FILE, "EUR")
    assert len(items) >= 40
    assert (items[0].id, items[0].name, items[0].price) == ("m1", "Grilled Salmon", 1899)
    assert all(item.available and item.price > 0 and item.description for item in items)
    assert {"grill", "fry", "cold", "pastry", "bar"} <= {item.station for item in items}


@pytest.mark.parametrize(
    ("price", "currency", "minor"), [("18.99", "EUR", 1899), ("5", "EUR", 500), ("1899", "JPY", 1899), ("0", "EUR", 0)]
)
def test_a_price_is_read_to_the_last_digit(tmp_path: Path, price: str, currency: str, minor: int) -> None:
    assert read_menu(write(tmp_path, {"price": price}), currency)[0].price == minor


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"price": 18.99}, "dishes.0.price: Input should be a valid string"),
        ({"price": "18.999"}, "no amount in EUR"),
        ({"price": "-1"}, "is no price"),
        ({"price": "1e20"}, "is no price"),
        ({"price": "NaN"}, "no amount in EUR"),
        ({"price": "free"}, "no amount in EUR"),
        ({"station": "roof"}, "there is no station 'roof'"),
        ({"allergens": ["air"]}, "dishes.0.allergens.0"),
        ({"allergens": ["fish", "fish"]}, "stands twice"),
        ({"id": "m 1"}, "dishes.0.id"),
        ({"name": ""}, "dishes.0.name"),
        ({"available": "yes"}, "dishes.0.available"),
        ({"spicy": True}, "dishes.0.spicy"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_loaded(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(MenuFileError, match=said):
        read_menu(write(tmp_path, change), "EUR")


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(MenuFileError) as caught:
        read_menu(write(tmp_path, {"price": "x"}, {"station": "roof"}), "EUR")
    for said in ("no amount", "'roof'", "m1: the id stands twice"):
        assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "dishes: [", "- soup", "stations: [bar]\ndishes: []\n"])
def test_what_is_no_menu_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "menu.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MenuFileError):
        read_menu(path, "EUR")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MenuFileError, match=r"none\.yaml"):
        read_menu(tmp_path / "none.yaml", "EUR")

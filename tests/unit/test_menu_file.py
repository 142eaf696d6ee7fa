"""The menu as the house writes it."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.menu_file import FILE, SHOWN, MenuFileError, read_menu, write_menu
from app.domain.menu import MenuItem, Modifier, ModifierGroup
from app.settings import Restaurant

STATIONS = ("pan", "bar")
SOUP = {"id": "m1", "name": "Soup", "price": "4.50", "category": "Starters", "station": "pan"}


def write(folder: Path, *changes: dict[str, Any], suffix: str = "yaml") -> Path:
    path = folder / f"menu.{suffix}"
    menu = {"dishes": [SOUP | change for change in changes or ({},)]}
    path.write_text(json.dumps(menu) if suffix == "json" else yaml.safe_dump(menu), encoding="utf-8")
    return path


def read(path: Path, currency: str = "EUR") -> list[MenuItem]:
    return read_menu(path, currency, STATIONS)


def mistakes(folder: Path, text: str, suffix: str = "yaml") -> list[str]:
    """What is said of a menu with this text, without the file's name."""
    path = folder / f"menu.{suffix}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MenuFileError) as caught:
        read(path)
    return str(caught.value).replace(f"{path}:", "").split("\n")


def test_the_houses_own_menu_is_in_order() -> None:
    items = read_menu(FILE, "EUR", Restaurant().stations)
    assert len(items) >= 40
    assert (items[0].id, items[0].name, items[0].price, items[0].groups) == ("m1", "Grilled Salmon", 1899, ())
    assert all(item.available and item.price > 0 and item.description for item in items)
    assert {"grill", "fry", "cold", "pastry", "bar"} <= {item.station for item in items}


def test_loads_can_order_the_first_dishes_as_they_are_at_any_hour() -> None:
    first = read_menu(FILE, "EUR", Restaurant().stations)[:12]
    assert [item.id for item in first] == [f"m{number}" for number in range(1, 13)]
    assert not any(item.wrong_choice(()) or item.served for item in first)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize(
    ("price", "currency", "minor"), [("18.99", "EUR", 1899), ("5", "EUR", 500), ("1899", "JPY", 1899), ("0", "EUR", 0)]
)
def test_a_price_is_read_to_the_last_digit(tmp_path: Path, price: str, currency: str, minor: int, suffix: str) -> None:
    assert read(write(tmp_path, {"price": price}, suffix=suffix), currency)[0].price == minor


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_price_without_quotes_is_no_float(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"menu.{suffix}"
    path.write_text(json.dumps([SOUP | {"price": "P"}]).replace('"P"', "100000.07"), encoding="utf-8")
    assert read(path)[0].price == 10_000_007


def test_words_that_other_readers_take_for_something_else_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "menu.yaml"
    path.write_text(
        "- {id: 1e5, name: No, price: 4.50, category: On, station: pan, sold_out_until: 2026-05-01T18:00:00Z,"
        " served: [{from: 07:30, to: 11:00}]}",
        encoding="utf-8",
    )
    item = read(path)[0]
    assert (item.id, item.name, item.category, item.served[0].start) == ("1e5", "No", "On", 450)
    assert item.sold_out_until == 1_777_658_400_000


MISTAKEN = """\
dishes:
  - id: m1
    name: Soup
    price: "1.999"
    category: Starters
    station: roof
    available: yes
    spicy: true
    modifier_groups:
      - id: size
        name: Size
        minimum: 0
        maximum: 1
        modifiers:
          - {id: large, name: Large, price: much}
  - {id: m2, name: Bread, price: "3", category: Sides, station: pan, name: Rolls}
  - {id: m1, name: Water, price: "2", category: Drinks, station: bar}
  - bread
"""


def test_every_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    said = mistakes(tmp_path, MISTAKEN)
    expected = [
        "4: m1: price: more digits after the point than 2",
        "6: m1: station: there is no station 'roof'; allowed are pan, bar",
        "7: m1: available: ",
        "8: m1: spicy: ",
        "15: m1: modifier_groups[0].modifiers[0].price: an amount like",
        "16: 'name' stands twice, first in line 16",
        "17: m1: the id stands twice, first in line 2",
        "18: dish 4: fields like `id: m1` were expected",
    ]
    assert len(said) == len(expected)
    for line, beginning in zip(said, expected, strict=True):
        assert line.startswith(beginning)


def test_the_lines_of_json_are_told_as_well(tmp_path: Path) -> None:
    text = json.dumps(
        {"dishes": [SOUP | {"price": "x"}, SOUP | {"id": "m2", "served": [{"from": "8"}]}, SOUP]}, indent=1
    )
    said = mistakes(tmp_path, text, "json")
    lines = text.split("\n")
    assert [line.partition(":")[0] for line in said] == ["6", "17", "18", "23"]
    assert '"price": "x"' in lines[5]
    assert '"id": "m1"' in lines[22]
    assert said[0].startswith("6: m1: price: ")
    assert said[3] == "23: m1: the id stands twice, first in line 4"


def test_one_mistake_in_ten_thousand_dishes_is_the_one_that_is_named(tmp_path: Path) -> None:
    dishes = [SOUP | {"id": f"m{number}"} for number in range(10_000)]
    dishes[7_123]["price"] = "-4.50"
    text = "dishes:\n" + "\n".join(f"  - {json.dumps(dish)}" for dish in dishes)
    assert mistakes(tmp_path, text) == ["7125: m7123: price: negative; 0 or more is allowed"]


def test_a_hundred_mistakes_are_told_and_the_others_counted(tmp_path: Path) -> None:
    dishes = [SOUP | {"id": f"m{number}", "station": "roof"} for number in range(SHOWN + 7)]
    said = mistakes(tmp_path, json.dumps(dishes), "json")
    assert (len(said), said[-1]) == (SHOWN + 1, "… and 7 more")


# Each line holds nine of the one before.
REPEATED = "- &a [x]\n" + "".join(
    f"- &{name} [{', '.join(9 * [f'*{before}'])}]\n" for before, name in pairwise("abcdefgh")
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: a list of dishes was expected"),
        ("dishes: []\n", "1: there are no dishes in it"),
        ("# none\ndishes:\n  m1: soup\n", "2: a list of dishes was expected"),
        ("dishes: [\n", "2: no YAML: "),
        ("- soup\n", "1: dish 1: fields like"),
        ("stations: [bar]\ndishes: []\n", "1: stations: only `dishes` stands here"),
        ("a: 1\n---\nb: 1\n", "2: no menu: a second document begins"),
        ("- &a [*a]", "1: no YAML: nothing before it is named &a"),
        ("- !soup {}", "1: no tags"),
        ("[" * 100_000, "1: no menu: it is nested too deeply"),
        ("- " * 100_000, "1: no menu: it is nested too deeply"),
        (REPEATED, "8: no menu: it is nested too deeply, or repeats itself too often"),
        ("- soup\n- so\x01up\n", "2: no YAML: "),
    ],
)
def test_what_is_no_menu_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert mistakes(tmp_path, text)[0].startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: no JSON: "),
        ('{"dishes": [\n{},\n]}', "3: no JSON: no comma is allowed before ']'"),
        ("[NaN]", "1: no JSON: NaN is no number"),
        ("[01]", "1: no JSON: "),
        ("[{}]\n[]", "2: no JSON: nothing was expected any more"),
        ('{"dishes": [],\n "dishes": []}', "2: 'dishes' stands twice, first in line 1"),
        ("[" * 100_000, "1: no menu: it is nested too deeply"),
        ('"\\ud800', "1: no JSON: "),
    ],
)
def test_what_is_no_json_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert mistakes(tmp_path, text, "json")[0].startswith(said)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("none.yaml", None, "No such file"),
        ("menu.txt", b"", "its name ends in"),
        ("m.yaml", b"a\n\xff", ":2: no UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, data: bytes | None, said: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(MenuFileError, match=said) as caught:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda text: text == text.strip()
)
# What YAML's readers are known to take for something else.
TRICKY = "no On null ~ 1e5 1_000 0x1F 12:30:45 2026-05-01 #x *a &a !a << .5 = -"
tricky = st.sampled_from([*TRICKY.split(), "- a", "a: b", "a #b"])
dishes = st.builds(
    MenuItem,
    id=st.just(""),
    name=words | tricky,
    price=st.integers(0, 10**9),
    category=words | tricky,
    station=words | tricky,
    description=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300)
    | st.sampled_from(["a\n b\t\n", "\x85\u2028\ufeff \x9f"]),
    allergens=st.lists(st.sampled_from(["fish", "milk"]), unique=True).map(tuple),
    available=st.booleans(),
    sold_out_until=st.integers(0, 4_102_444_800_000),
    groups=st.builds(
        lambda name, price: (ModifierGroup("g", name, 0, 1, (Modifier("no", name, price),)),),
        words | tricky,
        st.integers(0, 99),
    ),
    tax_rate=st.integers(0, 10_000),
)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(menu=st.lists(dishes, min_size=1, max_size=4), currency=st.sampled_from(["EUR", "JPY", "KWD"]))
def test_an_exported_menu_is_imported_as_it_was(
    menu: list[MenuItem], currency: str, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    menu = [replace(item, id=f"m{place}") for place, item in enumerate(menu)]
    path = tmp_path_factory.getbasetemp() / f"exported.{suffix}"
    path.write_text(write_menu(menu, currency, as_json=suffix == "json"), encoding="utf-8")
    assert read_menu(path, currency, None) == menu

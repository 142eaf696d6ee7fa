"""A dish as people write it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dishes import RESERVED, DishError, loads_exact, read_dish, write_dish
from app.domain.house_clock import Serving
from app.domain.menu import MAX_PRICE, MenuItem, Modifier, ModifierGroup, Translation, without_history

STATIONS = ("pan", "bar")
SOUP = {"id": "m1", "name": "Soup", "price": "4.50", "category": "Starters", "station": "pan"}


def read(currency: str = "EUR", **changes: Any) -> MenuItem:
    return read_dish(SOUP | changes, currency=currency, stations=STATIONS)


def group(minimum: int, maximum: int, *prices: Any) -> dict[str, Any]:
    modifiers = [{"id": f"s{number}", "name": "Sauce", "price": price} for number, price in enumerate(prices)]
    return {"id": "sauce", "name": "Sauce", "minimum": minimum, "maximum": maximum, "modifiers": modifiers}


def hours(start: Any, end: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"from": start, "to": end, **more}]


def test_what_is_left_out_is_as_it_is_by_default() -> None:
    assert read() == MenuItem("m1", "Soup", 450, "Starters", "pan", "")


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [
        ("18.99", "EUR", 1899),
        (Decimal("18.99"), "EUR", 1899),
        (Decimal("18.9900"), "EUR", 1899),
        (Decimal("1.8E+1"), "EUR", 1800),
        (5, "EUR", 500),
        ("5", "EUR", 500),
        ("1899", "JPY", 1899),
        ("1.899", "KWD", 1899),
        ("0", "EUR", 0),
        (Decimal("0E+999999"), "EUR", 0),
        ("10000000", "EUR", MAX_PRICE),
    ],
)
def test_a_price_is_read_to_the_last_digit(price: Any, currency: str, minor: int) -> None:
    assert read(currency, price=price).price == minor


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (18.99, "price: a float is not exact"),
        ("18.999", "price: more digits after the point than 2"),
        (Decimal("18.999"), "price: more digits after the point than 2"),
        (Decimal("18.99" + "0" * 5000 + "1"), "price: more digits"),
        (Decimal("1E-999999999"), "price: more digits"),
        ("-0.01", "price: negative"),
        (-1, "price: negative"),
        ("10000000.01", "price: too high: at most 10000000.00"),
        (10**4000, "price: too high"),
        (Decimal("1E+999999999"), "price: too high"),
        (Decimal("NaN"), "price: an amount like 18.99"),
        (Decimal("Infinity"), "price: an amount"),
        (True, "price: an amount"),
        (None, "price: an amount"),
        ("free", "price: an amount"),
        (" 5", "price: an amount"),
        ("1e2", "price: an amount"),
        ("1_000", "price: an amount"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_price_is_refused_with_what_is_allowed(price: Any, said: str) -> None:
    with pytest.raises(DishError) as caught:
        read(price=price)
    [mistake] = caught.value.mistakes
    assert mistake.startswith(said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"station": "roof"}, "station: there is no station 'roof'; allowed are pan, bar"),
        ({"allergens": ["air"]}, "allergens[0]: Input should be 'celery'"),
        ({"allergens": ["fish", "fish"]}, "allergens: fish stands twice"),
        ({"allergens": "fish"}, "allergens: Input should be a valid list"),
        ({"id": "m 1"}, "id: String should match"),
        ({"id": "m1\n"}, "id: String should match"),
        *(({"id": name}, f"id: {name!r} is no dish's id") for name in sorted(RESERVED)),
        ({"name": ""}, "name: String should have at least 1 character"),
        ({"name": "n" * 101}, "name: String should have at most 100"),
        ({"name": " Soup"}, "name: no control characters and no spaces"),
        ({"name": "So\x1bup"}, "name: no control characters"),
        ({"name": "\ud800"}, "name: Input should be a valid string"),
        ({"description": "\x00"}, "description: no control characters"),
        ({"description": "d" * 501}, "description: String should have at most 500"),
        ({"available": "yes"}, "available: Input should be a valid boolean"),
        ({"spicy": True}, "spicy: Extra inputs"),
        ({"sold_out_until": "2026-05-01T18:00:00"}, "sold_out_until: a time with its zone"),
        ({"sold_out_until": "tonight"}, "sold_out_until: a time with its zone"),
        ({"sold_out_until": 1777658400}, "sold_out_until: a time with its zone"),
        ({"sold_out_until": "9999-12-31T23:59:59Z"}, "sold_out_until: a time from 1970 to 2100"),
        ({"served": hours("24:00", "01:00")}, "served[0].from: hours begin"),
        ({"served": hours("10:00", "24:01")}, "served[0].to: a time from"),
        ({"served": hours(630, "12:00")}, "served[0].from: a time from"),
        ({"served": hours("10:00", "12:00", days=[])}, "served[0].days: List should have at least 1"),
        ({"served": hours("10:00", "12:00", days=["monday"])}, "served[0].days[0]: Input should be 'mon'"),
        ({"served": hours("10:00", "12:00", days=["mon", "mon"])}, "served[0].days: mon stands twice"),
        ({"modifier_groups": [group(2, 1, 0, 0)]}, "modifier_groups[0]: minimum 2 to maximum 1 of 2"),
        ({"modifier_groups": [group(0, 3, 0, 0)]}, "modifier_groups[0]: minimum 0 to maximum 3 of 2"),
        ({"modifier_groups": [group(-1, 1, 0)]}, "modifier_groups[0].minimum: Input should be greater"),
        ({"modifier_groups": [group(0, 0, 0)]}, "modifier_groups[0].maximum: Input should be greater"),
        ({"modifier_groups": [group(0, True, 0)]}, "modifier_groups[0].maximum: Input should be a valid integer"),
        ({"modifier_groups": [group(0, 1)]}, "modifier_groups[0].modifiers: List should have at least 1"),
        ({"modifier_groups": [group(0, 1, 0), group(0, 1, 0)]}, "modifier_groups: sauce stands twice"),
        (
            {"modifier_groups": [group(0, 1, 0), {**group(0, 1, 0), "id": "dip"}]},
            "modifier_groups: s0 stands twice",
        ),
        ({"modifier_groups": [group(0, 2, "-4.00", "-1.00")]}, "modifier_groups: the cheapest choice"),
        ({"modifier_groups": [group(0, 1, "0.001")]}, "modifier_groups[0].modifiers[0].price: more digits"),
        *(
            ({"picture": url}, "picture: an http or https URL with a host is allowed")
            for url in ("javascript:alert(1)", "data:image/png;base64,AA", "file:///etc/passwd", "//host/a.png")
        ),
        *(
            ({"picture": url}, "picture: an http")
            for url in ("", "http://", "https:///a.png", "https://[::1", "https://a b/", "https://a/\n", "a.png")
        ),
        ({"picture": "https://a/" + "p" * 500}, "picture: String should have at most 500"),
        ({"tax_rate": "100.01"}, "tax_rate: a percentage from 0 to 100"),
        ({"tax_rate": -1}, "tax_rate: a percentage from 0 to 100"),
        ({"tax_rate": "5.555"}, "tax_rate: more digits after the point than 2"),
        ({"translations": {"french": {}}}, "translations.french.[key]: String should match"),
        ({"translations": {"fr": {"title": "Soupe"}}}, "translations.fr.title: Extra inputs"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_mistake_is_named_with_its_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DishError) as caught:
        read(**change)
    [mistake] = caught.value.mistakes
    assert mistake.startswith(said)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(DishError) as caught:
        read(price="-1", station="roof", picture="file:///", modifier_groups=[group(2, 1, 0)], spicy=True)
    fields = [mistake.partition(":")[0] for mistake in caught.value.mistakes]
    assert fields == ["price", "station", "modifier_groups[0]", "picture", "spicy"]


def test_a_discount_may_take_all_of_the_price_but_no_more() -> None:
    assert read(modifier_groups=[group(0, 1, "-4.50", "-4.00")]).groups[0].modifiers[0].price == -450
    with pytest.raises(DishError):
        read(modifier_groups=[group(2, 2, "-6.00", "1.00")])
    assert read(modifier_groups=[group(2, 2, "-6.00", "1.50")]).groups


def test_hours_may_end_at_midnight_or_on_the_next_day() -> None:
    assert read(served=hours("18:00", "24:00")).served == (Serving(1080, 1440),)
    assert read(served=hours("18:00", "02:00", days=["sat", "fri"])).served == (Serving(1080, 120, (5, 4)),)


def test_html_is_text_like_any_other() -> None:
    assert read(name="<b>Soup</b>", description="<script>").name == "<b>Soup</b>"


def test_json_is_read_with_every_digit() -> None:
    assert loads_exact(b'{"price":18.990,"count":3}') == {"price": Decimal("18.990"), "count": 3}
    assert str(loads_exact(b"0.1000000000000000055511151231257827")) == "0.1000000000000000055511151231257827"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{}{}",
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"\xff",
        b'"\xff"',
        b'"\\ud800"',
        b'{"\\ud800A":1}',
        b"[" * 20_000 + b"]" * 20_000,
        b"1" * 10_000,
        b"1e99999999999999999999",
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        loads_exact(text)


ids = st.from_regex(r"[A-Za-z0-9._:-]{1,8}", fullmatch=True).filter(lambda name: name not in RESERVED)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda name: name == name.strip()
)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@st.composite
def groups(draw: st.DrawFn) -> tuple[ModifierGroup, ...]:
    taken = iter(draw(st.lists(ids, unique=True, min_size=9, max_size=9)))
    made = []
    for _ in range(draw(st.integers(0, 3))):
        prices = draw(st.lists(st.integers(-10, 10_000), min_size=1, max_size=3))
        modifiers = tuple(Modifier(next(taken), draw(names), price) for price in prices)
        maximum = draw(st.integers(1, len(modifiers)))
        made.append(ModifierGroup(f"g{len(made)}", draw(names), draw(st.integers(0, maximum)), maximum, modifiers))
    return tuple(made)


servings = st.builds(
    Serving,
    st.integers(0, 1439),
    st.integers(0, 1440),
    st.lists(st.integers(0, 6), unique=True, max_size=7).map(tuple),
)
dishes = st.builds(
    MenuItem,
    id=ids,
    name=names,
    price=st.integers(100, MAX_PRICE),
    category=names,
    station=names,
    description=texts,
    allergens=st.lists(st.sampled_from(["fish", "milk", "nuts"]), unique=True).map(tuple),
    available=st.booleans(),
    sold_out_until=st.integers(0, 4_102_444_800_000),
    served=st.lists(servings, max_size=3).map(tuple),
    groups=groups(),
    picture=st.sampled_from(["", "https://bistro.example/soup.png?a=1", "HTTP://[::1]:80/x"]),
    tax_rate=st.integers(0, 10_000),
    translations=st.dictionaries(
        st.from_regex(r"[a-z]{2}(-[A-Z]{2})?", fullmatch=True),
        st.builds(Translation, st.just("") | names, texts),
        max_size=3,
    ),
    revision=st.integers(0, 9),
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(dish=dishes, currency=st.sampled_from(["EUR", "JPY", "KWD"]))
def test_a_dish_that_was_written_is_read_as_it_was(dish: MenuItem, currency: str) -> None:
    written = write_dish(dish, currency)
    assert read_dish(written, currency=currency, stations=None) == without_history(dish)
    assert loads_exact(json.dumps(written).encode()) == written

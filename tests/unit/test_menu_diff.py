"""What is different between two menus."""

from dataclasses import replace

from app.domain.menu import Menu
from app.domain.menu_diff import changed_fields, compare
from app.domain.menu_edits import NoSuchDish, alter_each, remove_each
from tests.house import DISHES

SALMON, SOUP, OYSTERS = DISHES
MENU = Menu(1, 0, DISHES)


def test_dishes_come_change_and_go() -> None:
    dearer, bread = replace(SALMON, price=1999), replace(SOUP, id="m4")
    found = compare(DISHES, [dearer, OYSTERS, bread])
    assert (found.new, found.changed, found.removed) == ((bread,), ((SALMON, dearer),), (SOUP,))
    assert (found.same, found.is_reordered) == (1, False)


def test_dishes_that_change_places_are_the_same_in_another_order() -> None:
    found = compare(DISHES, [SOUP, SALMON, OYSTERS])
    assert (found.changed, found.same, found.is_reordered) == ((), 3, True)


def test_a_dish_that_was_changed_and_changed_back_is_no_difference() -> None:
    assert not compare(DISHES, [replace(dish, revision=7) for dish in DISHES])


def test_fields_are_told_before_and_after() -> None:
    before, after = {"id": "m1", "price": "1", "picture": "x"}, {"id": "m1", "price": "2", "tax_rate": "10"}
    assert changed_fields(before, after) == {"price": ("1", "2"), "picture": ("x", None), "tax_rate": (None, "10")}


def test_several_dishes_change_or_go_at_once_or_none_does() -> None:
    for edit in (alter_each(["m1", "m9"], lambda item: replace(item, price=1)), remove_each(["m1", "m9"])):
        assert edit(MENU) == NoSuchDish("m9")
    edited = remove_each(["m1", "m3"])(MENU)
    assert not isinstance(edited, NoSuchDish)

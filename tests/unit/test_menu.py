"""The menu's own rules: choices, prices then and now, and what is news to whoever saw an older one."""

from dataclasses import replace

from app.domain.house_clock import HouseClock, Serving
from app.domain.menu import KEPT_PRICES, Menu, MenuItem, Modifier, ModifierGroup
from app.domain.menu_edits import Edited, alter, replace_all, revised
from app.domain.menu_edits import Seen as SeenAt

CLOCK = HouseClock("UTC")
SAUCES = ModifierGroup("sauce", "Sauce", 0, 2, (Modifier("bbq", "Barbecue"), Modifier("aioli", "Aioli", 50)))
DONE = ModifierGroup("done", "Doneness", 1, 1, (Modifier("rare", "Rare"), Modifier("well", "Well done")))
STEAK = MenuItem("m2", "Steak", 3250, "Mains", "grill", "", groups=(DONE, SAUCES))
SALMON = MenuItem("m1", "Salmon", 1899, "Mains", "grill", "")


def menu_of(*items: MenuItem) -> Menu:
    return revised(Menu(), items).menu


def priced(menu: Menu, price: int, item_id: str = "m1") -> Menu:
    edited = alter(item_id, SeenAt(), lambda item: replace(item, price=price))(menu)
    assert isinstance(edited, Edited)
    return edited.menu


def salmon_of(menu: Menu) -> MenuItem:
    found = menu.find("m1")
    assert found is not None
    return found


def test_a_choice_that_must_be_made_is_asked_for() -> None:
    assert STEAK.wrong_choice([]) == "Steak: 1 of 'Doneness' (rare, well) must be chosen, not 0"


def test_two_of_a_kind_where_one_goes_are_too_many() -> None:
    assert "must be chosen, not 2" in STEAK.wrong_choice(["rare", "well"])


def test_a_modifier_of_another_dish_is_refused() -> None:
    assert STEAK.wrong_choice(["rare", "ketchup"]) == "Steak: there is no modifier 'ketchup'"
    assert SALMON.wrong_choice(["rare"]) == "Salmon: there is no modifier 'rare'"


def test_the_same_modifier_twice_is_refused() -> None:
    assert STEAK.wrong_choice(["rare", "bbq", "bbq"]) == "Steak: 'bbq' is chosen twice"


def test_modifiers_are_priced() -> None:
    assert STEAK.wrong_choice(["well", "aioli", "bbq"]) == ""
    assert STEAK.price_with(["well", "aioli", "bbq"]) == 3300


def test_modifiers_have_names_for_the_cook() -> None:
    assert STEAK.names_of(["aioli", "rare"]) == ("Aioli", "Rare")
    assert STEAK.names_of([]) == ()
    assert SALMON.names_of(["rare"]) == ()


def test_a_price_is_told_as_it_was_shown() -> None:
    menu = priced(priced(menu_of(SALMON), 2000), 1899)
    salmon = salmon_of(menu)
    assert [salmon.price_at(revision, ()) for revision in (1, 2, 3, 4)] == [1899, 2000, 1899, 1899]


def test_a_price_before_the_dish_came_is_not_known() -> None:
    menu = revised(menu_of(STEAK), (STEAK, SALMON)).menu
    assert salmon_of(menu).price_at(1, ()) is None
    assert salmon_of(menu).price_at(2, ()) == 1899


def test_a_price_of_a_dish_that_went_and_came_back_is_not_known() -> None:
    menu = menu_of(SALMON)
    menu = revised(revised(menu, ()).menu, (replace(SALMON, price=9),)).menu
    assert salmon_of(menu).price_at(1, ()) is None


def test_prices_are_forgotten_in_the_end() -> None:
    menu = menu_of(SALMON)
    for price in range(1, KEPT_PRICES + 1):
        menu = priced(menu, price)
    assert salmon_of(menu).price_at(2, ()) is not None
    menu = priced(menu, 5000)
    assert salmon_of(menu).price_at(1, ()) is None


def test_a_modifiers_new_price_is_news_only_to_whoever_chose_it() -> None:
    dearer = replace(SAUCES, modifiers=(SAUCES.modifiers[0], Modifier("aioli", "Aioli", 80)))
    menu = revised(menu_of(STEAK), (replace(STEAK, groups=(DONE, dearer)),)).menu
    steak = menu.items[0]
    assert steak.price_at(1, ["rare", "bbq"]) == steak.price_with(["rare", "bbq"])
    assert steak.price_at(1, ["rare", "aioli"]) == 3300 != steak.price_with(["rare", "aioli"])


def test_a_description_that_changed_is_no_new_price() -> None:
    edited = alter("m1", SeenAt(), lambda item: replace(item, description="fresh"))(menu_of(SALMON))
    assert isinstance(edited, Edited)
    assert salmon_of(edited.menu).price_at(1, ()) == 1899


def test_news_are_what_changed_since() -> None:
    menu = priced(menu_of(SALMON, STEAK), 2000)
    news = menu.since(1, 0, 0, CLOCK)
    assert news is not None
    assert [item.id for item in news.changed] == ["m1"]
    assert not menu.since(2, 0, 0, CLOCK)


def test_news_tell_what_is_gone() -> None:
    menu = revised(menu_of(SALMON, STEAK), (STEAK,)).menu
    news = menu.since(1, 0, 0, CLOCK)
    assert news is not None
    assert news.removed == ("m1",)


def test_a_new_order_of_dishes_is_shown_as_a_whole() -> None:
    old = menu_of(SALMON, STEAK)
    edited = replace_all((STEAK, SALMON))(old)
    assert isinstance(edited, Edited)
    assert edited.menu.revision == 2
    assert edited.menu.since(1, 0, 0, CLOCK) is None


def test_a_revision_that_is_not_known_here_is_answered_with_the_whole_menu() -> None:
    assert menu_of(SALMON).since(7, 0, 0, CLOCK) is None


def test_lunch_that_ended_is_news_without_any_change() -> None:
    lunch = replace(SALMON, served=(Serving(11 * 60, 14 * 60),))
    menu = menu_of(lunch, STEAK)
    noon, evening = 12 * 3_600_000, 18 * 3_600_000
    news = menu.since(1, noon, evening, CLOCK)
    assert news is not None
    assert [item.id for item in news.changed] == ["m1"]
    assert menu.next_turn(noon, CLOCK) == 14 * 3_600_000
    assert [item.id for item, _ in menu.in_order(evening, CLOCK)] == ["m2", "m1"]


def test_a_dish_that_is_sold_out_for_a_while_comes_back_by_itself() -> None:
    menu = menu_of(replace(SALMON, sold_out_until=5000))
    assert not menu.items[0].can_be_ordered(4999, CLOCK)
    assert menu.items[0].can_be_ordered(5000, CLOCK)
    assert menu.next_turn(0, CLOCK) == 5000
    assert menu.next_turn(5000, CLOCK) is None

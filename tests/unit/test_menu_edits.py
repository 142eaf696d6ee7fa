"""What becomes of the menu when managers change it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.domain.house_clock import HouseClock
from app.domain.menu import Menu, MenuItem, by_id, without_history
from app.domain.menu_edits import (
    KEPT_REMOVALS,
    AlreadyThere,
    CannotUndo,
    ChangedSince,
    Edited,
    NoSuchDish,
    Seen,
    alter,
    create,
    remove,
    replace_all,
    revised,
    undo,
)

CLOCK = HouseClock("UTC")


def dish(item_id: str, price: int = 1000) -> MenuItem:
    return MenuItem(item_id, item_id.upper(), price, "Mains", "grill", "")


HOUSE = revised(Menu(), [dish("m1"), dish("m2"), dish("m3")]).menu


def done(result: object) -> Menu:
    assert isinstance(result, Edited)
    return result.menu


def dearer(item: MenuItem) -> MenuItem:
    return replace(item, price=item.price + 100)


def test_a_change_makes_one_revision_and_touches_one_dish() -> None:
    menu = done(alter("m2", Seen(1), dearer)(HOUSE))
    assert menu.revision == 2
    assert [item.revision for item in menu.items] == [1, 2, 1]


def test_an_edit_that_changes_nothing_makes_no_revision() -> None:
    assert done(alter("m2", Seen(1), lambda item: item)(HOUSE)) is HOUSE
    assert done(replace_all([without_history(item) for item in HOUSE.items])(HOUSE)) is HOUSE


def test_of_two_managers_at_once_the_second_is_told() -> None:
    menu = done(alter("m2", Seen(1), dearer)(HOUSE))
    refused = alter("m2", Seen(1), dearer)(menu)
    assert refused == ChangedSince(menu.items[1])


def test_a_change_of_another_dish_is_no_conflict() -> None:
    menu = done(alter("m2", Seen(1), dearer)(HOUSE))
    assert done(alter("m1", Seen(1), dearer)(menu)).revision == 3


def test_a_revision_from_the_future_was_never_seen() -> None:
    assert isinstance(alter("m2", Seen(9), dearer)(HOUSE), ChangedSince)


def test_a_dish_is_made_once() -> None:
    assert create(dish("m1"))(HOUSE) == AlreadyThere(HOUSE.items[0])
    assert [item.id for item in done(create(dish("m4"))(HOUSE)).items] == ["m1", "m2", "m3", "m4"]


def test_what_is_not_there_cannot_be_changed_or_removed() -> None:
    assert alter("m9", Seen(), dearer)(HOUSE) == NoSuchDish("m9")
    assert remove("m9", Seen())(HOUSE) == NoSuchDish("m9")


def test_undo_puts_a_removed_dish_back_in_its_place() -> None:
    after = done(remove("m2", Seen())(HOUSE))
    menu = done(undo(HOUSE, after)(after))
    assert [item.id for item in menu.items] == ["m1", "m2", "m3"]
    assert menu.revision == 3


def test_undo_takes_a_new_dish_away() -> None:
    after = done(create(dish("m4"))(HOUSE))
    assert [item.id for item in done(undo(HOUSE, after)(after)).items] == ["m1", "m2", "m3"]


def test_undo_leaves_later_changes_of_other_dishes_alone() -> None:
    after = done(alter("m1", Seen(), dearer)(HOUSE))
    later = done(alter("m3", Seen(), dearer)(after))
    assert [item.price for item in done(undo(HOUSE, after)(later)).items] == [1000, 1000, 1100]


def test_undo_does_not_overwrite_a_later_change() -> None:
    after = done(alter("m1", Seen(), dearer)(HOUSE))
    later = done(alter("m1", Seen(), dearer)(after))
    assert undo(HOUSE, after)(later) == CannotUndo("m1 has changed again since revision 2")


def test_removals_are_forgotten_in_the_end() -> None:
    many = [dish(f"d{number}") for number in range(KEPT_REMOVALS + 1)]
    menu = done(replace_all([])(done(replace_all(many)(Menu()))))
    assert len(menu.removed) == KEPT_REMOVALS
    assert menu.since(1, 0, 0, CLOCK) is None


menus = st.lists(st.sampled_from("abcdef"), unique=True).flatmap(
    lambda ids: st.tuples(*(st.integers(1, 3).map(lambda price, i=i: dish(i, price)) for i in ids))
)


@given(st.lists(menus, min_size=1, max_size=6), st.data())
def test_whoever_follows_the_news_shows_the_menu(steps: list[tuple[MenuItem, ...]], data: st.DataObject) -> None:
    """From any revision on: what was shown then, with the news laid over it, is the menu."""
    history = [Menu()]
    for items in steps:
        history.append(done(replace_all(items)(history[-1])))
    then, now = data.draw(st.sampled_from(history)), history[-1]
    news = now.since(then.revision, 0, 0, CLOCK)
    if news is None:
        return
    shown = by_id(then.items)
    for gone in news.removed:
        shown.pop(gone, None)
    shown |= by_id(news.changed)
    assert list(shown.values()) == list(now.items)


@given(menus, menus)
def test_an_undone_change_leaves_no_trace_but_its_revision(
    first: tuple[MenuItem, ...], then: tuple[MenuItem, ...]
) -> None:
    before = done(replace_all(first)(Menu()))
    after = done(replace_all(then)(before))
    undone = undo(before, after)(after)
    if isinstance(undone, CannotUndo):
        assert by_id(map(without_history, before.items)) == by_id(map(without_history, after.items))
        return
    assert by_id(map(without_history, done(undone).items)) == by_id(map(without_history, before.items))

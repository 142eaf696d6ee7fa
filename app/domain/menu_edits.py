"""What becomes of the menu when a manager changes it: decided from the menu at hand alone.

An edit whose expectation does not hold is refused; one that changes nothing makes no revision.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from app.domain.menu import KEPT_PRICES, Menu, MenuItem, PastPrice, by_id, without_history

KEPT_REMOVALS = 1000


@dataclass(frozen=True, slots=True)
class Edited:
    """The menu after the edit; `changed` are the ids of dishes that came, changed or went. The same menu: no change."""

    menu: Menu
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoSuchDish:
    """There is no dish with this id."""

    item_id: str


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """A dish that was to be new is on the menu."""

    current: MenuItem


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """The dish is no longer as the manager saw it; `current` is None where it is gone."""

    current: MenuItem | None


@dataclass(frozen=True, slots=True)
class CannotUndo:
    """What a revision did cannot be taken back; `reason` says why."""

    reason: str


Refused = NoSuchDish | AlreadyThere | ChangedSince | CannotUndo
Edit = Callable[[Menu], Edited | Refused]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the manager has seen: the dish has not changed since this revision of the menu; None: whatever it is now."""

    revision: int | None = None

    def holds(self, menu: Menu, item: MenuItem) -> bool:
        """Whether the dish is still as it was seen."""
        return self.revision is None or item.revision <= self.revision <= menu.revision


def create(item: MenuItem) -> Edit:
    """Put a new dish at the menu's end."""

    def edit(menu: Menu) -> Edited | Refused:
        current = menu.find(item.id)
        return AlreadyThere(current) if current is not None else revised(menu, (*menu.items, item))

    return edit


def alter(item_id: str, seen: Seen, change: Callable[[MenuItem], MenuItem]) -> Edit:
    """Change a dish, which stays in its place."""

    def edit(menu: Menu) -> Edited | Refused:
        current = menu.find(item_id)
        if current is None:
            return NoSuchDish(item_id)
        if not seen.holds(menu, current):
            return ChangedSince(current)
        return revised(menu, [change(item) if item is current else item for item in menu.items])

    return edit


def remove(item_id: str, seen: Seen) -> Edit:
    """Take a dish off the menu."""

    def edit(menu: Menu) -> Edited | Refused:
        current = menu.find(item_id)
        if current is None:
            return NoSuchDish(item_id)
        if not seen.holds(menu, current):
            return ChangedSince(current)
        return revised(menu, [item for item in menu.items if item is not current])

    return edit


def alter_each(item_ids: Collection[str], change: Callable[[MenuItem], MenuItem]) -> Edit:
    """Change several dishes at once, or none where one of them is missing."""

    def edit(menu: Menu) -> Edited | Refused:
        missing = _missing(menu, item_ids)
        return missing or revised(menu, [change(item) if item.id in item_ids else item for item in menu.items])

    return edit


def remove_each(item_ids: Collection[str]) -> Edit:
    """Take several dishes off the menu at once, or none where one of them is missing."""

    def edit(menu: Menu) -> Edited | Refused:
        return _missing(menu, item_ids) or revised(menu, [item for item in menu.items if item.id not in item_ids])

    return edit


def _missing(menu: Menu, item_ids: Collection[str]) -> NoSuchDish | None:
    there = by_id(menu.items)
    return next((NoSuchDish(item_id) for item_id in item_ids if item_id not in there), None)


def replace_all(items: Sequence[MenuItem]) -> Edit:
    """Make these the menu: what they do not name is removed."""
    return lambda menu: revised(menu, items)


def undo(before: Menu, after: Menu) -> Edit:
    """Take back what turned `before` into `after`, where the dishes have not changed since."""

    def edit(menu: Menu) -> Edited | Refused:
        old, new, now = by_id(before.items), by_id(after.items), by_id(menu.items)
        changed = {item.id for item in after.items if item.revision == after.revision} | (old.keys() - new.keys())
        for item_id in sorted(changed):
            made, current = new.get(item_id), now.get(item_id)
            if (made is None) != (current is None) or (made and current and made.revision != current.revision):
                return CannotUndo(f"{item_id} has changed again since revision {after.revision}")
        if not changed:
            return CannotUndo(f"revision {after.revision} changed no dish")
        kept = [old.get(item.id, item) if item.id in changed else item for item in menu.items]
        kept = [item for item in kept if item.id not in changed or item.id in old]
        for place, item in enumerate(before.items):
            if item.id in changed and item.id not in now:
                kept.insert(min(place, len(kept)), item)
        return revised(menu, kept)

    return edit


def revised(menu: Menu, items: Sequence[MenuItem]) -> Edited:
    """The menu's next revision with these dishes in this order; the same menu where nothing is different."""
    revision, old = menu.revision + 1, by_id(menu.items)
    after = tuple(_next(old.get(item.id), item, revision) for item in items)
    new = by_id(after)
    gone = [item.id for item in menu.items if item.id not in new]
    changed = [item.id for item in after if item.revision == revision]
    is_moved = [i for i in old if i in new] != [i for i in new if i in old]
    if not (gone or changed or is_moved):
        return Edited(menu)
    removed = {i: at for i, at in menu.removed.items() if i not in new} | dict.fromkeys(gone, revision)
    dropped = list(removed.items())[:-KEPT_REMOVALS]
    return Edited(
        Menu(
            revision=revision,
            items=after,
            removed=dict(list(removed.items())[-KEPT_REMOVALS:]),
            forgotten=max([menu.forgotten, *(at for _, at in dropped)]),
            reordered=revision if is_moved or _is_elsewhere(menu, after) else menu.reordered,
        ),
        (*changed, *gone),
    )


def _is_elsewhere(menu: Menu, after: Sequence[MenuItem]) -> bool:
    """Whether a dish that came does not stand where it would for whoever follows the changes.

    That is at the end; and where it was before, for whoever has not heard that it was gone.
    """
    known = {item.id for item in menu.items}
    is_known = [item.id in known for item in after]
    is_back = any(item.id in menu.removed for item in after)
    return is_back or is_known != sorted(is_known, reverse=True)


def _next(before: MenuItem | None, item: MenuItem, revision: int) -> MenuItem:
    if before is None:
        return replace(item, since=revision, revision=revision, past_prices=())
    if without_history(before) == without_history(item):
        return before
    past = before.past_prices
    if (before.price, before.modifier_prices) != (item.price, item.modifier_prices):
        past = (*past, PastPrice(revision, before.price, before.modifier_prices))[-KEPT_PRICES:]
    return replace(item, since=before.since, revision=revision, past_prices=past)

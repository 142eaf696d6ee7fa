"""What becomes of the menu when a manager changes it: decided from the menu at hand alone.

An edit whose expectation does not hold is refused; one that changes nothing makes no revision.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from app.domain.menu import KEPT_PRICES, Menu, MenuItem, PastPrice, by_id
from app.domain.menu_diff import compare

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


WHATEVER = Seen()


def create(item: MenuItem) -> Edit:
    """Put a new dish at the menu's end."""

    def edit(menu: Menu) -> Edited | Refused:
        current = menu.find(item.id)
        return AlreadyThere(current) if current is not None else revised(menu, (*menu.items, item))

    return edit


def alter(item_id: str, seen: Seen, change: Callable[[MenuItem], MenuItem]) -> Edit:
    """Change a dish, which stays in its place."""
    return alter_each((item_id,), change, seen)


def remove(item_id: str, seen: Seen) -> Edit:
    """Take a dish off the menu."""
    return remove_each((item_id,), seen)


def alter_each(item_ids: Collection[str], change: Callable[[MenuItem], MenuItem], seen: Seen = WHATEVER) -> Edit:
    """Change several dishes at once, or none where one of them is missing or not as it was seen."""

    def edit(menu: Menu) -> Edited | Refused:
        altered = (change(item) if item.id in item_ids else item for item in menu.items)
        return _refusal(menu, item_ids, seen) or revised(menu, list(altered))

    return edit


def remove_each(item_ids: Collection[str], seen: Seen = WHATEVER) -> Edit:
    """Take several dishes off the menu at once, or none where one of them is missing or not as it was seen."""

    def edit(menu: Menu) -> Edited | Refused:
        kept = [item for item in menu.items if item.id not in item_ids]
        return _refusal(menu, item_ids, seen) or revised(menu, kept)

    return edit


def _refusal(menu: Menu, item_ids: Collection[str], seen: Seen) -> NoSuchDish | ChangedSince | None:
    there = by_id(menu.items)
    for item_id in item_ids:
        if item_id not in there:
            return NoSuchDish(item_id)
        if not seen.holds(menu, there[item_id]):
            return ChangedSince(there[item_id])
    return None


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
    found = compare(menu.items, items)
    if not found:
        return Edited(menu)
    revision, next_ones = menu.revision + 1, by_id(menu.items)
    next_ones |= {item.id: replace(item, since=revision, revision=revision, past_prices=()) for item in found.new}
    next_ones |= {item.id: _next(before, item, revision) for before, item in found.changed}
    after = tuple(next_ones[item.id] for item in items)
    changed = [item.id for item in after if item.revision == revision]
    gone = [item.id for item in found.removed]
    back = {item.id for item in found.new}
    removed = {i: at for i, at in menu.removed.items() if i not in back} | dict.fromkeys(gone, revision)
    dropped = list(removed.items())[:-KEPT_REMOVALS]
    return Edited(
        Menu(
            revision=revision,
            items=after,
            removed=dict(list(removed.items())[-KEPT_REMOVALS:]),
            forgotten=max([menu.forgotten, *(at for _, at in dropped)]),
            reordered=revision if found.is_reordered or _is_elsewhere(menu, after) else menu.reordered,
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


def _next(before: MenuItem, item: MenuItem, revision: int) -> MenuItem:
    past = before.past_prices
    if (before.price, before.modifier_prices) != (item.price, item.modifier_prices):
        past = (*past, PastPrice(revision, before.price, before.modifier_prices))[-KEPT_PRICES:]
    return replace(item, since=before.since, revision=revision, past_prices=past)

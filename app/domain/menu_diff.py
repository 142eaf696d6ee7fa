"""What is different between two menus."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.menu import MenuItem, by_id, without_history


@dataclass(frozen=True, slots=True)
class MenuDiff:
    """Dishes that came, went, became another (`changed`: before and after) and are `same`, in the menus' order.

    `is_reordered` tells whether those that stayed changed places.
    """

    new: tuple[MenuItem, ...]
    changed: tuple[tuple[MenuItem, MenuItem], ...]
    removed: tuple[MenuItem, ...]
    same: int
    is_reordered: bool

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.removed or self.is_reordered)


def compare(before: Iterable[MenuItem], after: Iterable[MenuItem]) -> MenuDiff:
    """What became of one menu's dishes in the other, whatever the revisions at which it did."""
    old, new = by_id(before), by_id(after)
    both = [(old[item_id], item) for item_id, item in new.items() if item_id in old]
    changed = tuple((was, item) for was, item in both if without_history(was) != without_history(item))
    return MenuDiff(
        new=tuple(item for item_id, item in new.items() if item_id not in old),
        changed=changed,
        removed=tuple(item for item_id, item in old.items() if item_id not in new),
        same=len(both) - len(changed),
        is_reordered=[i for i in old if i in new] != [i for i in new if i in old],
    )


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields of a dish, as people write it, that are different: before and after; None: left out."""
    names = dict.fromkeys([*before, *after])
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}

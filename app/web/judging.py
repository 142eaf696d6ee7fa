"""What a view has to say of an order's items, by the menu and the time at hand.

All that depends on the menu or a clock is judged here, before the log: the owner only hears the verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.clock import wall_clock
from app.domain.menu import MenuItem
from app.messages import Line
from app.web.services import Services

# No quantity beyond it is ever accepted, so that all of them may look alike in a fingerprint.
_QUANTITY_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Judged:
    """The lines with the menu's names and prices, and why the items are refused, empty where they are not.

    `is_changed`: they are refused only because a price is no longer the one that the guest was shown.
    """

    lines: Sequence[Line]
    refusal: str
    is_changed: bool = False

    @property
    def total(self) -> int:
        """Their sum, in minor units."""
        return sum([line.price * line.quantity for line in self.lines])


def judge(items: list[dict[str, Any]], services: Services, shown: int | None) -> Judged:
    """Judge items; `shown` is the revision of the menu that the guest saw, None where the pad does not say.

    Raises:
        UnavailableError: there is no menu yet.
    """
    find, most = services.menu.find, services.settings.orders.max_quantity
    lines, dishes, refusal = [], [], ""
    for index, item in enumerate(items):
        item_id, quantity = item["menu_item_id"], item["quantity"]
        modifiers = tuple(item.get("modifiers") or ())
        dish = find(item_id)
        if not 1 <= quantity <= most:
            refusal = refusal or f"items[{index}].quantity: 1 to {most} are allowed"
            quantity = min(max(quantity, -1), _QUANTITY_LIMIT)
        if dish is None:
            refusal = refusal or f"items[{index}].menu_item_id: there is no dish {item_id!r} on the menu"
            line = Line(item_id, "", quantity, 0, item.get("note", ""), modifiers)
        else:
            refusal = refusal or _wrong(index, dish, modifiers, services)
            line = Line(
                item_id,
                dish.name,
                quantity,
                dish.price_with(modifiers),
                item.get("note", ""),
                modifiers,
                dish.station,
                dish.allergens,
                dish.names_of(modifiers) if modifiers else (),
            )
        lines.append(line)
        dishes.append(dish)
    if shown is None or refusal:
        return Judged(lines, refusal)
    news = _changed(dishes, lines, services.menu.current().revision, shown)
    return Judged(lines, news, is_changed=bool(news))


def _wrong(index: int, dish: MenuItem, modifiers: Sequence[str], services: Services) -> str:
    is_simple = not (dish.sold_out_until or dish.served)  # nearly all of them: no look at the clock
    if not (dish.available if is_simple else dish.can_be_ordered(wall_clock(), services.clock)):
        why = "not served at this hour" if dish.available and dish.served else "sold out"
        return f"items[{index}].menu_item_id: {dish.name} is {why}"
    if dish.groups or modifiers:
        wrong = dish.wrong_choice(modifiers)
        return f"items[{index}].modifiers: {wrong}" if wrong else ""
    return ""


def _changed(dishes: Sequence[MenuItem | None], lines: Sequence[Line], revision: int, shown: int) -> str:
    """Which price is no longer the one shown; empty where all are."""
    if shown > revision:
        return f"menu_revision: {shown} is not known here, the menu's is {revision}"
    for dish, line in zip(dishes, lines, strict=True):
        if dish is not None and dish.price_at(shown, line.modifiers) != line.price:
            return f"the price of {dish.name} has changed since revision {shown} of the menu"
    return ""

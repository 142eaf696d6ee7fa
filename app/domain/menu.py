"""The menu: what can be ordered, when, with what, and for how much."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.domain.house_clock import HouseClock, Serving

MAX_PRICE = 10**9  # minor units; a slip of the finger, not a price
# A pad that has shown a price for longer than so many of its changes shows the menu anew.
KEPT_PRICES = 20


@dataclass(frozen=True, slots=True)
class Modifier:
    """A choice with a dish; `price` is added to the dish's, in minor units."""

    id: str
    name: str
    price: int = 0


@dataclass(frozen=True, slots=True)
class ModifierGroup:
    """Choices of one kind, of which a guest takes `minimum` to `maximum`, each at most once."""

    id: str
    name: str
    minimum: int
    maximum: int
    modifiers: tuple[Modifier, ...]


@dataclass(frozen=True, slots=True)
class Translation:
    """A dish in another language; what is empty is shown in the menu's own."""

    name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class PastPrice:
    """What a dish and its modifiers cost until, not including, this revision of the menu."""

    until: int
    price: int
    modifiers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A dish.

    `price` is in minor units of the restaurant's currency with `tax_rate` (hundredths of a percent) in it, `allergens`
    go by their usual English names, `picture` is a URL. It can be ordered while it is `available`, from
    `sold_out_until` on (ms since 1970, UTC; 0: at once) and in its hours `served`, none meaning always.
    `since` and `revision` are the menu's when the dish came and when it last changed; `past_prices` are its last ones,
    newest last.
    """

    id: str
    name: str
    price: int
    category: str
    station: str
    description: str
    allergens: tuple[str, ...] = ()
    available: bool = True
    sold_out_until: int = 0
    served: tuple[Serving, ...] = ()
    groups: tuple[ModifierGroup, ...] = ()
    picture: str = ""
    tax_rate: int = 0
    translations: Mapping[str, Translation] = field(default_factory=dict)
    since: int = 0
    revision: int = 0
    past_prices: tuple[PastPrice, ...] = ()

    def can_be_ordered(self, at: int, clock: HouseClock) -> bool:
        """Whether a guest can have it at this time (ms since 1970, UTC)."""
        return self.available and at >= self.sold_out_until and (not self.served or clock.is_within(self.served, at))

    def in_language(self, language: str) -> tuple[str, str]:
        """Name and description in this language, as far as there are any; else in the menu's own."""
        translated = self.translations.get(language)
        if translated is None:
            return self.name, self.description
        return translated.name or self.name, translated.description or self.description

    @property
    def modifier_prices(self) -> dict[str, int]:
        """What each modifier adds."""
        return {modifier.id: modifier.price for group in self.groups for modifier in group.modifiers}

    def price_with(self, modifiers: Sequence[str]) -> int:
        """The price of one piece with these modifiers, which `wrong_choice` has nothing against."""
        if not modifiers:
            return self.price
        prices = self.modifier_prices
        return self.price + sum([prices.get(modifier, 0) for modifier in modifiers])

    def names_of(self, modifiers: Sequence[str]) -> tuple[str, ...]:
        """The names of these modifiers in the menu's own language; one that there is not is left out."""
        if not modifiers:
            return ()
        names = {modifier.id: modifier.name for group in self.groups for modifier in group.modifiers}
        return tuple(names[modifier] for modifier in modifiers if modifier in names)

    def wrong_choice(self, modifiers: Sequence[str]) -> str:
        """Why one cannot have the dish with these modifiers; empty where one can."""
        if not (self.groups or modifiers):
            return ""
        left = list(modifiers)
        for group in self.groups:
            chosen = [modifier.id for modifier in group.modifiers if modifier.id in left]
            if not group.minimum <= len(chosen) <= group.maximum:
                names = ", ".join(modifier.id for modifier in group.modifiers)
                return f"{self.name}: {_count(group)} of {group.name!r} ({names}) must be chosen, not {len(chosen)}"
            for modifier in chosen:
                left.remove(modifier)
        if not left:
            return ""
        twice = left[0] in self.modifier_prices
        return (
            f"{self.name}: {left[0]!r} is chosen twice" if twice else f"{self.name}: there is no modifier {left[0]!r}"
        )

    def price_at(self, revision: int, modifiers: Sequence[str]) -> int | None:
        """What one piece with these modifiers cost at a revision of the menu; None where that is not known."""
        if revision >= self.revision:
            return self.price_with(modifiers)
        past = next((past for past in self.past_prices if revision < past.until), None)
        if revision < self.since or (len(self.past_prices) == KEPT_PRICES and past is self.past_prices[0]):
            return None
        if past is None:
            return self.price_with(modifiers)
        if any(modifier not in past.modifiers for modifier in modifiers):
            return None
        return past.price + sum(past.modifiers[modifier] for modifier in modifiers)


def _count(group: ModifierGroup) -> str:
    return str(group.minimum) if group.minimum == group.maximum else f"{group.minimum} to {group.maximum}"


@dataclass(frozen=True, slots=True)
class Menu:
    """The menu at one revision, in its order; each change raises the revision by one. 0: there was none yet.

    `removed` tells at which revision a dish that is gone went, as far as `forgotten` (no removal before it is known);
    `reordered` is the last revision at which dishes changed places. `at` is when it was made (ms since 1970, UTC).
    """

    revision: int = 0
    at: int = 0
    items: tuple[MenuItem, ...] = ()
    removed: Mapping[str, int] = field(default_factory=dict)
    forgotten: int = 0
    reordered: int = 0

    def find(self, item_id: str) -> MenuItem | None:
        """The dish with this id."""
        return next((item for item in self.items if item.id == item_id), None)

    def since(self, revision: int, then: int, now: int, clock: HouseClock) -> "News | None":
        """What changed since this revision was shown at the time `then`; None: show the whole menu.

        A dish whose hours began or ended in between counts as changed.
        """
        if not max(self.forgotten, self.reordered) <= revision <= self.revision:
            return None
        changed = [
            item
            for item in self.items
            if item.revision > revision or item.can_be_ordered(then, clock) != item.can_be_ordered(now, clock)
        ]
        return News(tuple(changed), tuple(gone for gone, at in self.removed.items() if at > revision))

    def next_turn(self, now: int, clock: HouseClock) -> int | None:
        """When, after `now`, some dish begins or ends to be on by itself; None: never (ms since 1970, UTC)."""
        times = {item.sold_out_until for item in self.items if item.sold_out_until > now}
        times |= {clock.next_turn(served, now) for served in {item.served for item in self.items if item.served}}
        return min(times, default=None)

    def in_order(self, now: int, clock: HouseClock) -> list[tuple[MenuItem, bool]]:
        """The dishes with whether each can be ordered now; those that can come first."""
        judged = [(item, item.can_be_ordered(now, clock)) for item in self.items]
        return [entry for entry in judged if entry[1]] + [entry for entry in judged if not entry[1]]


@dataclass(frozen=True, slots=True)
class News:
    """What is to be shown anew: dishes, and ids of those that are gone."""

    changed: tuple[MenuItem, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)


def without_history(item: MenuItem) -> MenuItem:
    """The dish as a manager writes it: without what the menu keeps of it."""
    return replace(item, since=0, revision=0, past_prices=())


def by_id(items: Iterable[MenuItem]) -> dict[str, MenuItem]:
    """The dishes by their ids."""
    return {item.id: item for item in items}

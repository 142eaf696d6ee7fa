"""The menu as the views judge orders by it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A dish: `price` in minor units of the restaurant's currency, `allergens` by their usual English names."""

    id: str
    name: str
    price: int
    category: str
    station: str
    description: str
    allergens: tuple[str, ...] = ()
    available: bool = True

"""The menu as the house writes it: config/menu.yaml, judged strictly before anything is changed."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.domain.menu import MenuItem
from app.domain.money import BadAmountError, to_minor

FILE = Path(__file__).parents[2] / "config" / "menu.yaml"

MAX_PRICE = 10**9  # minor units; a slip of the finger, not a price

# The fourteen that European law wants named.
Allergen = Literal[
    "celery",
    "crustaceans",
    "egg",
    "fish",
    "gluten",
    "lupin",
    "milk",
    "molluscs",
    "mustard",
    "nuts",
    "peanuts",
    "sesame",
    "soy",
    "sulphites",
]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]


class MenuFileError(Exception):
    """The file is no menu; the text names each mistake."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Dish(_Strict):
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
    name: Name
    price: str
    category: Name
    station: str
    allergens: list[Allergen]
    description: Annotated[str, Field(max_length=500)]
    available: bool = True


class _File(_Strict):
    stations: Annotated[list[Name], Field(min_length=1)]
    dishes: Annotated[list[_Dish], Field(min_length=1)]


def read_menu(path: Path, currency: str) -> list[MenuItem]:
    """The dishes of the file, in its order; prices in minor units of `currency`.

    Raises:
        MenuFileError: with every mistake that was found.
    """
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MenuFileError(f"{path}: {error}") from error
    except ValidationError as error:
        mistakes = (f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}" for item in error.errors())
        raise MenuFileError(f"{path}:\n" + "\n".join(f"  {mistake}" for mistake in mistakes)) from error
    mistakes_found: list[str] = []
    items = [_item(dish, file, currency, mistakes_found) for dish in file.dishes]
    ids = [item.id for item in items]
    mistakes_found += [f"{twice}: the id stands twice" for twice in sorted({i for i in ids if ids.count(i) > 1})]
    if mistakes_found:
        raise MenuFileError(f"{path}:\n" + "\n".join(f"  {mistake}" for mistake in mistakes_found))
    return items


def _item(dish: _Dish, file: _File, currency: str, mistakes: list[str]) -> MenuItem:
    price = 0
    try:
        price = to_minor(Decimal(dish.price), currency)
        if not 0 <= price <= MAX_PRICE:
            mistakes.append(f"{dish.id}: {dish.price} is no price")
    except (InvalidOperation, BadAmountError):
        mistakes.append(f'{dish.id}: price {dish.price!r} is no amount in {currency}; write it like "18.99"')
    if dish.station not in file.stations:
        mistakes.append(f"{dish.id}: there is no station {dish.station!r} among {', '.join(file.stations)}")
    if len(set(dish.allergens)) < len(dish.allergens):
        mistakes.append(f"{dish.id}: an allergen stands twice")
    return MenuItem(
        id=dish.id,
        name=dish.name,
        price=price,
        category=dish.category,
        station=dish.station,
        description=dish.description,
        allergens=tuple(dish.allergens),
        available=dish.available,
    )

"""A dish as people write it, in a file or in a request: read strictly, and written back in the same form.

`true` is no number, an unknown field is a mistake, and a number with a point must come as a `Decimal`: a float is not
the price that somebody wrote.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.domain.house_clock import DAY_MINUTES, DAYS, Serving, wall_time
from app.domain.menu import MAX_PRICE, MenuItem, Modifier, ModifierGroup, Translation
from app.domain.moments import LAST_MOMENT, to_milliseconds, utc
from app.domain.money import exponent, to_text

ID = r"^[A-Za-z0-9._:-]{1,64}$"
RESERVED = frozenset({"stream", ".", ".."})  # paths of their own below /menu_items, which a dish must not hide
MAX_HOURS = MAX_GROUPS = MAX_MODIFIERS = 50
_TAX_DIGITS = 2
_MAX_FIGURES = 15  # before the point: beyond, making the number may take as long as whoever wrote it likes
_TOO_MUCH = 10**18

_written_amount = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_written_time = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_controls = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_unprintable = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # a text may have tabs and line ends
_url = re.compile(r"https?://[!-~]+", re.IGNORECASE)

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


class DishError(Exception):
    """This is no dish; `mistakes` has all of them, each as "field: what is wrong and what is allowed"."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class _House:
    """What a dish is judged by beside its form; `stations` None: any."""

    currency: str
    stations: Collection[str] | None


def read_dish(value: Mapping[str, Any], *, currency: str, stations: Collection[str] | None) -> MenuItem:
    """The dish that this describes, without a history; `stations` are those that the house has, None: any.

    Raises:
        DishError: with every mistake in it.
    """
    try:
        form = DishForm.model_validate(dict(value), context=_House(currency, stations))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise DishError([f"{_path(mistake['loc'])}: {mistake['msg']}" for mistake in found]) from error
    return form.dish()


def write_dish(item: MenuItem, currency: str) -> dict[str, Any]:
    """The form that `read_dish` reads as this dish; what is as it is by default is left out."""

    def price(minor: int) -> str:
        return to_text(minor, currency)

    form = {
        "id": item.id,
        "name": item.name,
        "price": price(item.price),
        "category": item.category,
        "station": item.station,
        "description": item.description,
        "allergens": list(item.allergens),
        "available": item.available,
        "sold_out_until": utc(item.sold_out_until) if item.sold_out_until else "",
        "served": [_write_hours(serving) for serving in item.served],
        "modifier_groups": [write_group(group, price) for group in item.groups],
        "picture": item.picture,
        "tax_rate": f"{item.tax_rate // 100}.{item.tax_rate % 100:02}" if item.tax_rate else "",
        "translations": {language: _write_translation(text) for language, text in item.translations.items()},
    }
    if item.available:
        del form["available"]
    return {name: value for name, value in form.items() if value not in ("", [], {})}


def loads_exact(data: bytes) -> Any:
    """JSON with its numbers as they were written: `int` or `Decimal`; of a name that stands twice the last counts.

    Raises:
        ValueError: it is no JSON in UTF-8, is nested too deeply, or holds a number that is none.
    """
    try:
        return _json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not JSON: {error}") from error
    except InvalidOperation as error:
        raise ValueError("not JSON: a number is out of range") from error
    except RecursionError as error:
        raise ValueError("not JSON as it is read here: it is nested too deeply") from error


_json = msgspec.json.Decoder(float_hook=Decimal)


def _mistake(text: str) -> PydanticCustomError:
    return PydanticCustomError("dish", "{text}", {"text": text})


def _path(parts: Iterable[int | str]) -> str:
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part[:64]}" if path else part[:64]
    return path or "the dish"


def _scaled(value: object, digits: int, example: str) -> int:
    """An amount that somebody wrote, in units of `digits` after the point; one that is absurd is `_TOO_MUCH`."""
    if isinstance(value, float):
        raise _mistake(f'a float is not exact; write it in quotes, like "{example}"')
    if isinstance(value, str) and _written_amount.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        raise _mistake(f"an amount like {example} is allowed")
    negative, figures, power = Decimal(value).as_tuple()
    assert isinstance(power, int)
    written = "".join(map(str, figures))
    significant = written.strip("0")
    power += len(written) - len(written.rstrip("0"))
    if not significant:
        return 0
    if -power > digits:
        raise _mistake(f"more digits after the point than {digits}; {example} is allowed")
    units = int(significant) * 10 ** (power + digits) if len(significant) + power <= _MAX_FIGURES else _TOO_MUCH
    return -units if negative else units


def _house(info: ValidationInfo) -> _House:
    assert isinstance(info.context, _House)
    return info.context


def _amount(value: object, info: ValidationInfo) -> int:
    currency = _house(info).currency
    example = to_text(1899, currency)
    units = _scaled(value, exponent(currency), example)
    if abs(units) > MAX_PRICE:
        raise _mistake(f"too high: at most {to_text(MAX_PRICE, currency)} is allowed")
    return units


def _not_negative(units: int) -> int:
    if units < 0:
        raise _mistake("negative; 0 or more is allowed")
    return units


def _tax_rate(value: object) -> int:
    units = _scaled(value, _TAX_DIGITS, "10.5")
    if not 0 <= units <= 100 * 10**_TAX_DIGITS:
        raise _mistake("a percentage from 0 to 100 is allowed")
    return units


def _plain(text: str) -> str:
    if _controls.search(text) or text != text.strip():
        raise _mistake("no control characters and no spaces round it are allowed")
    return text


def _printable(text: str) -> str:
    if _unprintable.search(text):
        raise _mistake("no control characters are allowed")
    return text


def _unreserved(item_id: str) -> str:
    if item_id in RESERVED:
        raise _mistake(f"{item_id!r} is no dish's id; any other of letters, digits and . _ : - is allowed")
    return item_id


def _known_station(station: str, info: ValidationInfo) -> str:
    stations = _house(info).stations
    if stations is not None and station not in stations:
        raise _mistake(f"there is no station {station!r}; allowed are {', '.join(stations)}")
    return station


def _once(values: list[str]) -> list[str]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise _mistake(f"{', '.join(twice)} stands twice")
    return values


def _picture(url: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not _url.fullmatch(url) or not host:
        raise _mistake("an http or https URL with a host is allowed")
    return url


def _minutes(value: object) -> int:
    if not isinstance(value, str) or not _written_time.fullmatch(value):
        raise _mistake('a time from "00:00" to "24:00" is allowed, in quotes')
    return int(value[:2]) * 60 + int(value[3:])


def _before_midnight(minutes: int) -> int:
    if minutes == DAY_MINUTES:
        raise _mistake('hours begin at "00:00" to "23:59"')
    return minutes


def _moment(value: object) -> int:
    """Milliseconds since 1970, UTC; 0 for none. YAML reads a time that stands without quotes as one."""
    if value is None:
        return 0
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise _mistake('a time with its zone like "2026-05-01T18:00:00Z" is allowed, or null')
    milliseconds = to_milliseconds(moment)
    if not 0 <= milliseconds <= LAST_MOMENT:
        raise _mistake("a time from 1970 to 2100 is allowed")
    return milliseconds


Id = Annotated[str, Field(pattern=ID)]
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_plain)]
Description = Annotated[str, Field(max_length=500), AfterValidator(_printable)]


def _number(least: int, most: int) -> WithJsonSchema:
    """A number between these, which may stand in quotes too."""
    number = {"type": "number", "minimum": least, "maximum": most}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": f"^{_written_amount.pattern}$"}]})


_MOST = MAX_PRICE // 100  # where a hundred of the smallest coin are one; with other coins it may be less or more
Amount = Annotated[int, PlainValidator(_amount), _number(-_MOST, _MOST)]
Price = Annotated[int, PlainValidator(_amount), AfterValidator(_not_negative), _number(0, _MOST)]
_TIME = WithJsonSchema({"type": "string", "pattern": f"^({_written_time.pattern})$"})
Minutes = Annotated[int, PlainValidator(_minutes), _TIME]
_MOMENT = WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]})


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class HoursForm(_Form):
    """Hours in which a dish is served, by the house's own clock; every day where no `days` are named.

    Hours that do not end after they began go on to the next day.
    """

    days: Annotated[list[Literal[DAYS]], Field(min_length=1), AfterValidator(_once)] | None = None  # type: ignore[valid-type]  # the names stand once
    start: Annotated[Minutes, AfterValidator(_before_midnight)] = Field(alias="from")
    end: Minutes = Field(alias="to")

    def serving(self) -> Serving:
        """The same as the domain has it."""
        return Serving(self.start, self.end, tuple(DAYS.index(day) for day in self.days or ()))


class ModifierForm(_Form):
    """A choice with a dish; `price` is added to the dish's, or taken off where it is negative."""

    id: Id
    name: Name
    price: Amount = Field(default=0, json_schema_extra={"default": 0})


class GroupForm(_Form):
    """Choices of one kind, of which a guest takes `minimum` to `maximum`."""

    id: Id
    name: Name
    minimum: Annotated[int, Field(ge=0, le=MAX_MODIFIERS)]
    maximum: Annotated[int, Field(ge=1, le=MAX_MODIFIERS)]
    modifiers: Annotated[list[ModifierForm], Field(min_length=1, max_length=MAX_MODIFIERS)]

    @model_validator(mode="after")
    def _can_be_chosen(self) -> "GroupForm":
        if not self.minimum <= self.maximum <= len(self.modifiers):
            raise _mistake(
                f"minimum {self.minimum} to maximum {self.maximum} of {len(self.modifiers)}; allowed is a minimum that "
                "is not above the maximum, and a maximum that is not above the number of modifiers"
            )
        return self

    @property
    def lowest(self) -> int:
        """What the cheapest choice adds to the dish's price."""
        prices = sorted(modifier.price for modifier in self.modifiers)
        return sum(prices[: self.minimum]) + sum(price for price in prices[self.minimum : self.maximum] if price < 0)


class TranslationForm(_Form):
    """A dish in another language; what is left out is shown in the menu's own."""

    name: Name | None = None
    description: Description = ""


def _are_choices(groups: list[GroupForm], info: ValidationInfo) -> list[GroupForm]:
    """Judged with the price, which was read before, where it is one."""
    _once([group.id for group in groups])
    _once([modifier.id for group in groups for modifier in group.modifiers])
    price = info.data.get("price")
    if price is not None and price + sum(group.lowest for group in groups) < 0:
        raise _mistake("the cheapest choice makes the dish's price negative; 0 or more is allowed")
    return groups


class DishForm(_Form):
    """A dish as a manager writes it."""

    id: Annotated[Id, AfterValidator(_unreserved)]
    name: Name
    price: Price
    category: Name
    station: Annotated[Name, AfterValidator(_known_station)]
    description: Description = ""
    allergens: Annotated[list[Allergen], AfterValidator(_once)] = []
    available: bool = True
    sold_out_until: Annotated[int, PlainValidator(_moment), _MOMENT] = Field(
        default=0, json_schema_extra={"default": None}
    )
    served: Annotated[list[HoursForm], Field(max_length=MAX_HOURS)] = []
    modifier_groups: Annotated[list[GroupForm], Field(max_length=MAX_GROUPS), AfterValidator(_are_choices)] = []
    picture: Annotated[str, Field(max_length=500), AfterValidator(_picture)] | None = None
    tax_rate: Annotated[int, PlainValidator(_tax_rate), _number(0, 100)] = 0
    translations: dict[Annotated[str, Field(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")], TranslationForm] = {}

    def dish(self) -> MenuItem:
        """The same as the domain has it."""
        return MenuItem(
            id=self.id,
            name=self.name,
            price=self.price,
            category=self.category,
            station=self.station,
            description=self.description,
            allergens=tuple(self.allergens),
            available=self.available,
            sold_out_until=self.sold_out_until,
            served=tuple(hours.serving() for hours in self.served),
            groups=tuple(_group(form) for form in self.modifier_groups),
            picture=self.picture or "",
            tax_rate=self.tax_rate,
            translations={
                language: Translation(text.name or "", text.description) for language, text in self.translations.items()
            },
        )


def _group(form: GroupForm) -> ModifierGroup:
    modifiers = tuple(Modifier(modifier.id, modifier.name, modifier.price) for modifier in form.modifiers)
    return ModifierGroup(form.id, form.name, form.minimum, form.maximum, modifiers)


def _write_hours(serving: Serving) -> dict[str, Any]:
    days = {"days": [DAYS[day] for day in serving.days]} if serving.days else {}
    return {**days, "from": wall_time(serving.start), "to": wall_time(serving.end)}


def write_group(group: ModifierGroup, price: Callable[[int], object]) -> dict[str, Any]:
    """A group in its form; `price` writes minor units."""
    modifiers = [
        {"id": modifier.id, "name": modifier.name, "price": price(modifier.price)} for modifier in group.modifiers
    ]
    return {
        "id": group.id,
        "name": group.name,
        "minimum": group.minimum,
        "maximum": group.maximum,
        "modifiers": modifiers,
    }


def _write_translation(text: Translation) -> dict[str, str]:
    form = {"name": text.name, "description": text.description}
    return {name: value for name, value in form.items() if value}

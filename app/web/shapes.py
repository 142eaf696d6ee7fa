"""The shapes of requests and answers, as pydantic models: bodies are read by them and the API description shows them.

Request bodies are read strictly: `true` and `"4"` are no numbers, an unknown field is an error. Where a name stands
twice in one object the last one counts, as in every browser.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from app.settings import Orders

ID = r"^[A-Za-z0-9._:-]{1,64}$"
# No control characters but tab and line ends: notes are shown and printed in the kitchen.
PLAIN_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
MAX_INTEGER = 2**53 - 1  # what every JSON reader takes as it was written
MAX_DETAIL = 300  # characters

STRICT = ConfigDict(strict=True, extra="forbid")

Id = Annotated[str, Field(pattern=ID)]
Session = Annotated[int, Field(ge=1, le=MAX_INTEGER)]


def order_request(limits: Orders) -> TypeAdapter[Any]:
    """The shape of an order's body with these limits; it reads dictionaries, four times as fast as models."""
    Note = Annotated[str, Field(max_length=limits.max_note, pattern=PLAIN_TEXT)]  # noqa: N806 - a type

    class LineRequest(TypedDict):
        """One line of an order. An unknown dish or a quantity out of bounds is an invalid item."""

        __pydantic_config__ = STRICT  # type: ignore[misc]  # pydantic's way to configure a TypedDict
        menu_item_id: Annotated[str, Field(min_length=1, max_length=64, pattern=PLAIN_TEXT)]
        quantity: Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": limits.max_quantity})]
        note: NotRequired[Note]
        modifiers: NotRequired[Annotated[list[Id], Field(max_length=limits.max_modifiers)]]

    class OrderRequest(TypedDict):
        """An order. `version` is the table's version as the pad knows it; `order_id` is the pad's own."""

        __pydantic_config__ = STRICT  # type: ignore[misc]  # as above
        table_number: Id
        items: Annotated[list[LineRequest], Field(min_length=1, max_length=limits.max_lines)]
        version: Annotated[int, Field(ge=0, le=MAX_INTEGER)]
        order_id: Id
        note: NotRequired[Note]
        menu_revision: NotRequired[Annotated[int, Field(ge=0, le=MAX_INTEGER)]]

    return TypeAdapter(OrderRequest)


class CloseRequest(BaseModel):
    """Which session to close; the open one where the body is empty."""

    model_config = STRICT
    session: Session


class SoldOutRequest(BaseModel):
    """Whether the dish is sold out, and until which time in the future; without one, until further notice."""

    model_config = STRICT
    sold_out: bool = True
    until: AwareDatetime | None = None


class OrderReceived(BaseModel):
    """An order stands. `version` is the table's version after it."""

    order_id: str
    status: Literal["received"]
    version: int


class OrderCancelled(BaseModel):
    """An order that nobody will cook, and nobody pays. The table's version stays; its total follows at once."""

    order_id: str
    status: Literal["cancelled"]


class HoursRead(BaseModel):
    """Hours in which a dish is served, by the restaurant's own clock; where they end before they begin, overnight."""

    days: list[str]
    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")


class ModifierRead(BaseModel):
    """A choice with a dish; `price` is added to the dish's."""

    id: str
    name: str
    price: float


class GroupRead(BaseModel):
    """Choices of one kind, of which `minimum` to `maximum` are to be taken, each at most once."""

    id: str
    name: str
    minimum: int
    maximum: int
    modifiers: list[ModifierRead]


class MenuEntry(BaseModel):
    """A dish; the price in the restaurant's currency, with `tax_rate` percent of tax in it.

    `available` tells whether it can be ordered now. `revision` is the menu's when the dish last changed.
    """

    id: str
    name: str
    price: float
    category: str
    station: str
    description: str
    allergens: list[str]
    available: bool
    sold_out_until: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    served: list[HoursRead] = []
    modifier_groups: list[GroupRead]
    picture: str | None = Field(default=None, json_schema_extra={"format": "uri"})
    tax_rate: float
    revision: int


class MenuEvent(BaseModel):
    """A server-sent event; `data` is JSON. One without data says that nothing changed up to its `id`."""

    event: Literal["menu", "change"] | None = None
    id: str
    data: str = ""
    retry: int | None = None


class OrdersEvent(BaseModel):
    """A server-sent event; `data` is JSON. One without an id is not to be resumed behind."""

    event: Literal["snapshot", "order", "beat", "closed"] | None = None
    id: str | None = None
    data: str = ""
    retry: int | None = None


class LineRead(BaseModel):
    """One line of an order; `price` is that of one piece."""

    line_id: str
    menu_item_id: str
    name: str
    quantity: int
    price: float
    note: str
    modifiers: list[str]


class OrderRead(BaseModel):
    """An order. `version` is the table's version after it, `placed_at` a time in UTC."""

    order_id: str
    client_order_id: str
    table_number: str
    session: int
    version: int
    status: Literal["received", "cancelled"]
    items: list[LineRead]
    total: float
    currency: str
    placed_at: str = Field(json_schema_extra={"format": "date-time"})
    note: str


class TableRead(BaseModel):
    """A table's session: how many orders it has (`version`) and their sum."""

    table_number: str
    session: int
    open: bool
    version: int
    total: float
    currency: str


class Health(BaseModel):
    """The state of this worker."""

    status: Literal["ready", "alive"]


class Problem(BaseModel):
    """What is wrong. `detail` names the field and what is allowed."""

    error: str
    detail: str = ""


class Ready(Health):
    """`checks` tells of each condition `ok`, or in words what is not as it should be."""

    checks: dict[str, str]


class NotReady(Problem):
    """`detail` says why not; `checks` tells of each condition `ok`, or in words what is wrong."""

    checks: dict[str, str]


class Conflict(Problem):
    """The table has another version. `missed` are the orders in between.

    They are left out where not all of them can be had at once, or where they are more than 100.
    """

    current_version: int
    missed: list[OrderRead] = []


class MenuChanged(Problem):
    """A price is no longer the one of the `menu_revision` that was sent; what the order would cost by the menu now."""

    menu_revision: int
    items: list[LineRead]
    total: float


class DishChanged(Problem):
    """The dish has changed since it was seen; `current` is the dish as it is, left out where it is gone."""

    current: MenuEntry | None = None


def describe(error: ValidationError) -> str:
    """Which field is wrong and what is allowed, in at most `MAX_DETAIL` characters."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ""
    for part in first["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part[:64]}" if path else part[:64]
    text = f"{path}: {first['msg']}" if path else first["msg"]
    return text[:MAX_DETAIL]

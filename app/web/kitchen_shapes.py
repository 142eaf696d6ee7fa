"""The shapes of what the kitchen is sent and answers."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from app.domain.tickets import ACTIONS, OF_A_LINE, VOID
from app.web.shapes import MAX_INTEGER, PLAIN_TEXT, STRICT, Id, Problem

MOST_SEEN = 200  # tickets in one receipt

Action = Annotated[str, Field(pattern=f"^({'|'.join(ACTIONS)})$")]
TicketId = Annotated[str, Field(min_length=1, max_length=140, pattern=PLAIN_TEXT)]
State = Literal["new", "seen", "cooking", "ready", "served", "voided"]


def _of(actions: Iterable[str], required: str | None = None) -> dict[str, Any]:
    """Changes of these kinds, with the one of these fields that they require and without the others."""
    unwanted = [{"required": [name]} for name in ("line_id", "reason") if name != required]
    return {
        "properties": {"action": {"enum": list(actions)}},
        "not": {"anyOf": unwanted},
        **({"required": [required]} if required else {}),
    }


_PLAIN = [action for action in ACTIONS if action not in (*OF_A_LINE, VOID)]
_KINDS = {"oneOf": [_of(_PLAIN), _of(OF_A_LINE, "line_id"), _of([VOID], "reason")]}


class ChangeRequest(TypedDict):
    """A change of a ticket that was seen at `version`. The same `command_id` is the same change, sent again.

    `line_id` goes with `line_done` and `line_undone` alone, `reason` with `void` alone.
    """

    # This is how pydantic has a TypedDict configured.
    __pydantic_config__ = ConfigDict(**STRICT, json_schema_extra=_KINDS)  # type: ignore[misc]
    action: Action
    version: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    command_id: Id
    line_id: NotRequired[Annotated[str, Field(min_length=1, max_length=8)]]
    reason: NotRequired[Annotated[str, Field(min_length=1, max_length=200, pattern=PLAIN_TEXT)]]


class SeenRequest(TypedDict):
    """Tickets that a display has shown."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # as above
    ticket_ids: Annotated[list[TicketId], Field(min_length=1, max_length=MOST_SEEN)]


change_request = TypeAdapter(ChangeRequest)
seen_request = TypeAdapter(SeenRequest)


class TicketLineRead(BaseModel):
    """A line of a ticket; `done` is struck."""

    line_id: str
    menu_item_id: str
    name: str
    quantity: int
    note: str
    modifiers: list[str]
    allergens: list[str]
    done: bool


class TicketRead(BaseModel):
    """What a station has to do of an order, as it stands at `version`; `round` counts the session's orders."""

    schema_: Annotated[int, Field(serialization_alias="schema")]
    ticket_id: str
    version: int
    state: State
    order_id: str
    table_number: str
    session: int
    round: int
    station: str
    stations: list[str]
    lines: list[TicketLineRead]
    note: str
    placed_at: str = Field(json_schema_extra={"format": "date-time"})
    changed_at: str = Field(json_schema_extra={"format": "date-time"})
    action: str
    by: str
    reason: str
    acknowledged: bool


class TicketProblem(Problem):
    """The ticket has changed since, or its state does not allow it; `ticket` is as it is now."""

    ticket: TicketRead


class Stations(BaseModel):
    """The stations of the house."""

    stations: list[str]


class SeenRead(BaseModel):
    """How many tickets were there, and the ids of those that were not."""

    seen: int
    unknown: list[str]


class TicketsEvent(BaseModel):
    """A server-sent event of a station; `data` is JSON."""

    event: Literal["snapshot", "ticket", "beat"]
    id: str = ""
    data: str
    retry: int | None = None

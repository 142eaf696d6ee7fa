"""The API description (OpenAPI 3.1) of the kitchen service."""

from typing import Any

from app.settings import Settings
from app.web import kitchen_shapes as shapes
from app.web.answers import ERRORS
from app.web.openapi import STAFF, Operation, document, ref, schemas_of
from app.web.shapes import Health, NotReady, OrdersEvent, Problem, Ready

COOKS = ("kitchen", "manager", "operator")
NOT_POSSIBLE = "Not possible"
COMMAND_REUSED = "Command id reused"
_STREAM = "text/event-stream"
_RESUME = ("Last-Event-ID", "last_event_id")

OPERATIONS = (
    Operation(
        "get",
        "/kitchen/stations",
        "List the stations",
        {200: ("All of the house", ref("Stations"))},
        (401, 403),
        COOKS,
    ),
    Operation(
        "get",
        "/kitchen/stations/{station}/stream",
        "Follow the tickets of a station, or of `all`",
        {200: ("Events without an end, each as it is named here", ref("TicketsEvent"))},
        (401, 403, 404, 503),
        COOKS,
        notes={404: "The house has no such station", 503: "Not ready, or as many follow here as may"},
        parameters=_RESUME,
        media=_STREAM,
        description="`event: snapshot` has all that a display shows, `event: ticket` one that changed, `event: beat` "
        "comes every few seconds and tells what no display has shown yet. ",
    ),
    Operation(
        "post",
        "/kitchen/tickets/{ticket_id}",
        "Change a ticket",
        {200: ("The ticket as it is: now, or before (then with `Idempotency-Replayed: true`)", ref("TicketRead"))},
        (400, 401, 403, 404, 409, 413, 422, 503),
        COOKS,
        "ChangeRequest",
        notes={
            404: "No such ticket, or finished long ago",
            409: f"`{ERRORS[409]}`: it has changed since. `{NOT_POSSIBLE}`: its state does not allow it",
            422: f"`{COMMAND_REUSED}`: for another change of the order",
            503: "Outcome unknown, or not ready: send the same `command_id` again",
        },
        problems={409: ref("TicketProblem")},
    ),
    Operation(
        "post",
        "/kitchen/seen",
        "Tell that tickets were shown",
        {200: ("Noted", ref("SeenRead"))},
        (400, 401, 403, 413, 503),
        COOKS,
        "SeenRequest",
    ),
    Operation(
        "get",
        "/tables/{table_number}/stream",
        "Follow the orders of a table's session",
        {200: ("Events until the session ends, each as it is named here", ref("OrdersEvent"))},
        (401, 403, 404, 503),
        STAFF,
        parameters=_RESUME,
        media=_STREAM,
        description="As the orders service passes it on to pads. ",
    ),
    Operation(
        "get",
        "/health/ready",
        "Whether displays are served here",
        {200: ("They are", ref("Ready")), 503: ("They are not", ref("NotReady"))},
    ),
    Operation("get", "/health/live", "Whether the process lives", {200: ("It does", ref("Health"))}),
)


def describe_kitchen(settings: Settings) -> dict[str, Any]:
    """The whole document."""
    schemas = schemas_of(
        [
            shapes.Stations,
            shapes.TicketRead,
            shapes.TicketProblem,
            shapes.SeenRead,
            shapes.TicketsEvent,
            OrdersEvent,
            Health,
            Ready,
            NotReady,
            Problem,
        ],
        [shapes.change_request, shapes.seen_request],
    )
    introduction = (
        "Tickets, displays, and the states of orders. What each field and event means, and the topic for displays of "
        "other makes, is told in docs/kitchen.md. Every answer carries an `X-Request-Id`."
    )
    return document(f"{settings.restaurant.name}: kitchen", introduction, OPERATIONS, schemas)

"""The API description (OpenAPI 3.1), made from the models that the views use and the limits in the settings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from app.dishes import DishForm
from app.settings import Settings
from app.web import shapes
from app.web.answers import CANNOT_CANCEL, ERRORS, FETCH_FAILED, INVALID_ITEM, JSON, MENU_CHANGED

PAD, STAFF, MANAGERS = ("pad",), ("pad", "kitchen", "manager", "operator"), ("manager", "operator")
API_VERSION = "1.0"
_SCHEMAS = "#/components/schemas/"
_READING = (401, 403, 404, 503)
_SESSION = (400, 401, 403, 404, 413, 503)
_EDIT = (400, 401, 403, 404, 412, 413, 503)
_SEEN = "The dish has not changed since this revision: its ETag, or the menu's. `*`: whatever it is now"

_PARAMETERS: dict[str, tuple[str, str]] = {  # name -> where it stands, what it means
    "lang": ("query", "The language of names and descriptions, like `fr`; as far as the menu has it"),
    "category": ("query", "Only the dishes of this category"),
    "last_event_id": ("query", "As `Last-Event-ID`, for who cannot send the header"),
    "Last-Event-ID": ("header", "The last event's id, or the `Menu-Revision` of a list: only what is new is told"),
    "If-Match": ("header", _SEEN),
    "If-None-Match": ("header", "What the reader has already; with a PUT `*`: only a new dish"),
}
_TAG = r'((W/)?"\d{1,15}(\.[0-9a-f]{1,64}(-gz)?)?"|\d{1,15})'
_PATTERNS = {"If-Match": rf"^(\*|{_TAG}(, *{_TAG})*)$"}
_ONLY_NEW = {"If-None-Match": r"^\*$"}


@dataclass(frozen=True)
class Operation:
    """One path and method: what it takes and what it answers beside the errors of `refusals`."""

    method: str
    path: str
    summary: str
    answers: dict[int, tuple[str, Any]]  # status -> description, schema; None: without a body
    refusals: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()
    body: str = ""
    body_required: bool = True
    notes: dict[int, str] = field(default_factory=dict)  # what a refusal means here, where it means something more
    parameters: tuple[str, ...] = ()
    must_be_sent: tuple[str, ...] = ()  # of the parameters
    problems: dict[int, dict[str, Any]] = field(default_factory=dict)  # refusals of another shape than elsewhere
    media: str = JSON
    description: str = ""


def ref(name: str) -> dict[str, str]:
    return {"$ref": _SCHEMAS + name}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": ref(name)}


_PROBLEMS: dict[int, dict[str, Any]] = {
    409: {"anyOf": [ref("Conflict"), ref("MenuChanged")]},
    412: ref("DishChanged"),
}

OPERATIONS = (
    Operation(
        "post",
        "/orders",
        "Place an order",
        {201: ("It stands: now, or before (then with `Idempotency-Replayed: true`)", ref("OrderReceived"))},
        (400, 401, 403, 409, 413, 422, 429, 503),
        PAD,
        "OrderRequest",
        notes={
            400: f"`{ERRORS[400]}`: not JSON of this shape. `{INVALID_ITEM}`: unknown or sold-out dish, quantity",
            401: "No, forged or expired token, or its session is closed",
            403: "A valid token of another table or role",
            409: f"`{ERRORS[409]}`: `version` is not the table's current one. `{MENU_CHANGED}`: a price is no longer "
            "the one of the `menu_revision` that was sent",
            422: "The same `order_id` was accepted with other lines or notes",
            429: "More comes than can be taken, and this table has ordered a lot: the same again after `Retry-After` s",
            503: "Outcome unknown, or not ready: send the same `order_id` again",
        },
    ),
    Operation(
        "get", "/orders/{order_id}", "Read an order", {200: ("The order", ref("OrderRead"))}, _READING, STAFF,
        notes={404: "No such order, or not one of the token's table"},
    ),
    Operation(
        "delete",
        "/orders/{order_id}",
        "Cancel an order that no cook has begun",
        {200: ("It is cancelled: now, or before", ref("OrderCancelled"))},
        (400, 401, 403, 404, 409, 413, 503),
        STAFF,
        notes={
            400: "A body was sent",
            404: "No such order, or not one of the token's table",
            409: f"`{CANNOT_CANCEL}`: `detail` tells who has begun",
            503: "Outcome unknown, or not ready: send the same again",
        },
        problems={409: ref("Problem")},
    ),
    Operation(
        "get",
        "/menu_items",
        "Read the menu",
        {
            200: ("Every dish; those that cannot be ordered now stand last", _list("MenuEntry")),
            304: ("The reader has it already", None),
        },
        (500,),
        notes={500: f"`{FETCH_FAILED}`: there is no menu yet"},
        parameters=("category", "lang", "If-None-Match"),
    ),
    Operation(
        "get",
        "/menu_items/stream",
        "Follow the menu",
        {200: ("Events without an end, each as it is named here", ref("MenuEvent"))},
        (503,),
        notes={503: "As many pads follow the menu here as may, or there is no menu yet"},
        parameters=("lang", "Last-Event-ID", "last_event_id"),
        media="text/event-stream",
        description="`event: menu` has all of it: `menu_revision` and `items` as the list has them. `event: change` "
        "has `menu_revision`, the `items` that are to be shown anew and the ids of those `removed`; it comes also when "
        "a dish's hours begin or end.",
    ),
    Operation(
        "get", "/menu_items/{item_id}", "Read a dish",
        {200: ("The dish; its ETag is its `revision`", ref("MenuEntry"))}, (404, 503), parameters=("lang",),
    ),
    Operation(
        "put",
        "/menu_items/{item_id}",
        "Write a dish",
        {200: ("Replaced", ref("MenuEntry")), 201: ("Put at the menu's end", ref("MenuEntry"))},
        (400, 401, 403, 412, 413, 428, 503),
        MANAGERS,
        "DishRequest",
        notes={428: "There is such a dish, and `If-Match` does not tell that it was seen"},
        parameters=("If-Match", "If-None-Match"),
    ),
    Operation(
        "patch",
        "/menu_items/{item_id}",
        "Change some fields of a dish",
        {200: ("The dish as it is now", ref("MenuEntry"))},
        (*_EDIT, 428),
        MANAGERS,
        "DishChanges",
        notes={428: "`If-Match` is missing"},
        parameters=("If-Match",),
        must_be_sent=("If-Match",),
    ),
    Operation(
        "delete",
        "/menu_items/{item_id}",
        "Take a dish off the menu",
        {204: ("It is gone", None)},
        (*_EDIT, 428),
        MANAGERS,
        notes={428: "`If-Match` is missing"},
        parameters=("If-Match",),
        must_be_sent=("If-Match",),
    ),
    Operation(
        "post",
        "/menu_items/{item_id}/sold_out",
        "Sell a dish out, or bring it back",
        {200: ("The dish as it is now", ref("MenuEntry"))},
        _EDIT,
        MANAGERS,
        "SoldOutRequest",
        body_required=False,
        parameters=("If-Match",),
    ),
    Operation(
        "get", "/tables/{table_number}", "Read a table", {200: ("Its session", ref("TableRead"))}, _READING, STAFF,
        notes={404: "The table was never opened"},
    ),
    Operation(
        "get",
        "/tables/{table_number}/orders",
        "Read the orders of a table's session",
        {200: ("All of them, by version", _list("OrderRead"))},
        _READING,
        STAFF,
    ),
    Operation(
        "get",
        "/tables/{table_number}/stream",
        "Follow the orders of a table's session",
        {200: ("Events until the session ends, each as it is named here", ref("OrdersEvent"))},
        _READING,
        STAFF,
        notes={503: "The kitchen does not answer, or as many pads follow here as may"},
        parameters=("Last-Event-ID", "last_event_id"),
        media="text/event-stream",
        description="`event: snapshot` has all `orders` of the session that the kitchen knows, `event: order` one that "
        "changed, `event: beat` comes every 2 s, `event: closed` is the last. ",
    ),
    Operation(
        "post",
        "/tables/{table_number}/open",
        "Open a table's next session",
        {201: ("Opened", ref("TableRead")), 200: ("It was open already", ref("TableRead"))},
        _SESSION,
        MANAGERS,
    ),
    Operation(
        "post",
        "/tables/{table_number}/close",
        "Close a table's session",
        {200: ("The table as it is now", ref("TableRead"))},
        _SESSION,
        MANAGERS,
        "CloseRequest",
        body_required=False,
    ),
    Operation(
        "get", "/health/ready", "Whether orders can be taken here",
        {200: ("They can", ref("Ready")), 503: ("They cannot", ref("NotReady"))},
    ),
    Operation("get", "/health/live", "Whether the process lives", {200: ("It does", ref("Health"))}),
)  # fmt: skip


def describe_api(settings: Settings) -> dict[str, Any]:
    """The whole document."""
    title = f"{settings.restaurant.name}: orders"
    return document(title, _introduction(settings), OPERATIONS, _schemas(settings))


def document(title: str, introduction: str, operations: Iterable[Operation], schemas: dict[str, Any]) -> dict[str, Any]:
    """The document of a service with these operations."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": API_VERSION, "description": introduction},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _introduction(settings: Settings) -> str:
    limits = settings.orders
    return (
        f"Amounts are in {settings.restaurant.currency}. A table's first version is 0; an accepted order raises it by "
        "one. An accepted `order_id` gets its first answer again for at least 24 hours, whatever became of version and "
        f"menu. Limits: bodies of {limits.body_limit} bytes, {limits.max_lines} lines in an order, 1 to "
        f"{limits.max_quantity} of a dish in a line, notes of {limits.max_note} characters, {limits.max_modifiers} "
        f"modifiers in a line. {_limits(settings)}Bodies are JSON in UTF-8 whatever their Content-Type; unknown fields "
        "are refused; of a name that stands twice the last counts. Every answer carries an `X-Request-Id`: the one "
        "that was sent, or a new one."
    )


def _limits(settings: Settings) -> str:
    limits = settings.limits
    if not limits.enabled:
        return ""
    told = (
        (limits.table_per_minute, "orders of a table"),
        (limits.source_writes_per_minute, "requests of a token that change something"),
        (limits.source_reads_per_minute, "reads of a token"),
        (limits.address_per_minute, "requests of an address without a token"),
    )
    counts = ", ".join(f"{most} {what}" for most, what in told if most)
    return (
        f"In a minute: {counts}; past it 429 with a `Retry-After` after which the same is let in. An accepted order "
        "that is sent again counts for no table. Answers to orders tell in `RateLimit` what is left. "
    )


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": f"{operation.method}{operation.path.translate(str.maketrans('/', '_', '{}'))}",
        "responses": {
            str(status): _response(text, schema, operation.media)
            for status, (text, schema) in operation.answers.items()
        },
    }
    problems = _PROBLEMS | operation.problems
    for status in sorted({*operation.refusals, *((429,) if operation.roles else ())}):
        text = operation.notes.get(status, ERRORS[status])
        described["responses"][str(status)] = _response(text, problems.get(status, ref("Problem")))
    if operation.description:
        described["description"] = operation.description
    if parameters := _parameters(operation):
        described["parameters"] = parameters
    if operation.roles:
        described["security"] = [{"token": []}]
        roles = f"Roles: {', '.join(operation.roles)}. A pad's token opens its own table only."
        described["description"] = operation.description + roles
    if operation.body:
        content = {"application/json": {"schema": ref(operation.body)}}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    patterns = {
        "table_number": shapes.ID,
        "item_id": shapes.ID,
        "order_id": "^o[0-9a-f]{32}$",
        "ticket_id": "^o[0-9a-f]{32}[.].{1,100}$",
        "station": "^.{1,100}$",
    }
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": patterns[name]}}
        for name in names
    ]
    named = _PATTERNS | _ONLY_NEW if operation.method == "put" else _PATTERNS
    return in_path + [
        {
            "name": name,
            "in": place,
            "required": name in operation.must_be_sent,
            "description": text,
            "schema": {"type": "string"} | ({"pattern": named[name]} if name in named else {}),
        }
        for name, (place, text) in _PARAMETERS.items()
        if name in operation.parameters
    ]


def _response(description: str, schema: dict[str, Any] | None, media: str = JSON) -> dict[str, Any]:
    content = {} if schema is None else {"content": {media: {"schema": schema}}}
    return {"description": description, **content}


def _schemas(settings: Settings) -> dict[str, Any]:
    read = (
        shapes.OrderReceived,
        shapes.OrderCancelled,
        shapes.OrderRead,
        shapes.MenuEntry,
        shapes.MenuEvent,
        shapes.TableRead,
        shapes.OrdersEvent,
        shapes.Health,
        shapes.Ready,
    )
    problems = (shapes.Problem, shapes.NotReady, shapes.Conflict, shapes.MenuChanged, shapes.DishChanged)
    bodies = [TypeAdapter(model) for model in (shapes.CloseRequest, shapes.SoldOutRequest, DishForm)]
    schemas = schemas_of([*read, *problems], [shapes.order_request(settings.orders), *bodies])
    return schemas | _dish_bodies(schemas.pop("DishForm"), settings)


def schemas_of(answers: Sequence[Any], bodies: Sequence[Any]) -> dict[str, Any]:
    """The schemas of models that are answered, and of adapters by which bodies are read, by name."""
    adapters: list[Any] = [TypeAdapter(model) for model in answers]
    _, found = TypeAdapter.json_schemas(
        [(index, "serialization", adapter) for index, adapter in enumerate(adapters)]
        + [(index, "validation", adapter) for index, adapter in enumerate(bodies, len(adapters))],
        ref_template=_SCHEMAS + "{model}",
    )
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def _dish_bodies(form: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """A whole dish, whose id stands in the path already, and some of its fields."""
    station = form["properties"]["station"] | {"enum": list(settings.restaurant.stations)}
    fields = form["properties"] | {"station": station}
    del fields["id"]
    required = [name for name in form["required"] if name != "id"]
    changes = {name: {"anyOf": [schema, {"type": "null"}]} for name, schema in fields.items()}
    return {
        "DishRequest": form | {"title": "DishRequest", "properties": fields, "required": required},
        "DishChanges": {
            "title": "DishChanges",
            "description": "Fields of a dish; null makes one as it is by default.",
            "type": "object",
            "additionalProperties": False,
            "properties": changes,
        },
    }

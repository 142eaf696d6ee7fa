"""The API description (OpenAPI 3.1), made from the models that the views use and the limits in the settings."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from app.settings import Settings
from app.web import shapes
from app.web.answers import ERRORS, FETCH_FAILED, INVALID_ITEM

PAD, STAFF, MANAGERS = ("pad",), ("pad", "kitchen", "manager", "operator"), ("manager", "operator")
API_VERSION = "1.0"
_SCHEMAS = "#/components/schemas/"
_READING = (401, 403, 404, 503)
_SESSION = (400, 401, 403, 404, 413, 503)


@dataclass(frozen=True)
class Operation:
    """One path and method: what it takes and what it answers beside the errors of `refusals`."""

    method: str
    path: str
    summary: str
    answers: dict[int, tuple[str, Any]]  # status -> description, schema
    refusals: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()
    body: str = ""
    body_required: bool = True
    notes: dict[int, str] = field(default_factory=dict)  # what a refusal means here, where it means something more


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _SCHEMAS + name}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}


OPERATIONS = (
    Operation(
        "post",
        "/orders",
        "Place an order",
        {201: ("It stands: now, or before (then with `Idempotency-Replayed: true`)", _ref("OrderReceived"))},
        (400, 401, 403, 409, 413, 422, 503),
        PAD,
        "OrderRequest",
        notes={
            400: f"`{ERRORS[400]}`: not JSON of this shape. `{INVALID_ITEM}`: unknown or sold-out dish, quantity",
            401: "No, forged or expired token, or its session is closed",
            403: "A valid token of another table or role",
            409: "`version` is not the table's current one",
            422: "The same `order_id` was accepted with other lines or notes",
            503: "Outcome unknown, or not ready: send the same `order_id` again",
        },
    ),
    Operation(
        "get", "/orders/{order_id}", "Read an order", {200: ("The order", _ref("OrderRead"))}, _READING, STAFF,
        notes={404: "No such order, or not one of the token's table"},
    ),
    Operation(
        "get", "/menu_items", "Read the menu", {200: ("Every dish, in the menu's order", _list("MenuEntry"))}, (500,),
        notes={500: f"`{FETCH_FAILED}`: there is no menu yet"},
    ),
    Operation(
        "get", "/tables/{table_number}", "Read a table", {200: ("Its session", _ref("TableRead"))}, _READING, STAFF,
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
        "post",
        "/tables/{table_number}/open",
        "Open a table's next session",
        {201: ("Opened", _ref("TableRead")), 200: ("It was open already", _ref("TableRead"))},
        _SESSION,
        MANAGERS,
    ),
    Operation(
        "post",
        "/tables/{table_number}/close",
        "Close a table's session",
        {200: ("The table as it is now", _ref("TableRead"))},
        _SESSION,
        MANAGERS,
        "CloseRequest",
        body_required=False,
    ),
    Operation(
        "get", "/health/ready", "Whether orders can be taken here",
        {200: ("They can", _ref("Ready")), 503: ("They cannot", _ref("NotReady"))},
    ),
    Operation("get", "/health/live", "Whether the process lives", {200: ("It does", _ref("Health"))}),
)  # fmt: skip


def describe_api(settings: Settings) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{settings.restaurant.name}: orders",
            "version": API_VERSION,
            "description": _introduction(settings),
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(settings),
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
        "modifiers in a line. Bodies are JSON in UTF-8 whatever their Content-Type; unknown fields are refused; of a "
        "name that stands twice the last counts. Every answer carries an `X-Request-Id`: the one that was sent, or a "
        "new one."
    )


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": f"{operation.method}{operation.path.translate(str.maketrans('/', '_', '{}'))}",
        "responses": {str(status): _response(text, schema) for status, (text, schema) in operation.answers.items()},
    }
    for status in operation.refusals:
        schema = _ref("Conflict" if status == 409 else "Problem")
        described["responses"][str(status)] = _response(operation.notes.get(status, ERRORS[status]), schema)
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    if names:
        pattern = {"table_number": shapes.ID, "order_id": "^o[0-9a-f]{32}$"}
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern[name]}}
            for name in names
        ]
    if operation.roles:
        described["security"] = [{"token": []}]
        described["description"] = f"Roles: {', '.join(operation.roles)}. A pad's token opens its own table only."
    if operation.body:
        content = {"application/json": {"schema": _ref(operation.body)}}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    return described


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _schemas(settings: Settings) -> dict[str, Any]:
    read = (shapes.OrderReceived, shapes.OrderRead, shapes.MenuEntry, shapes.TableRead, shapes.Health, shapes.Ready)
    answers: list[Any] = [*read, shapes.Problem, shapes.NotReady, shapes.Conflict]
    adapters: list[Any] = [TypeAdapter(model) for model in answers]
    inputs: list[Any] = [shapes.order_request(settings.orders), TypeAdapter(shapes.CloseRequest)]
    _, document = TypeAdapter.json_schemas(
        [(index, "serialization", adapter) for index, adapter in enumerate(adapters)]
        + [(index, "validation", adapter) for index, adapter in enumerate(inputs, len(adapters))],
        ref_template=_SCHEMAS + "{model}",
    )
    schemas: dict[str, Any] = document["$defs"]
    return schemas

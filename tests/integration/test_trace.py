"""An order followed through the running stack."""

import dataclasses
import json
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.stack import Stack

pytestmark = pytest.mark.stack

WITHIN = 30.0  # s, until the ledger has written and acknowledged, and every process has written its lines


def ordered(stack: Stack, table: str, client_order_id: str, request_id: str) -> str:
    """Place the table's first order; the server's id."""
    with urllib.request.urlopen(f"{stack.url}/menu_items", timeout=15) as answer:
        dish = json.load(answer)[0]["id"]
    items = [{"menu_item_id": dish, "quantity": 1}]
    body = {"table_number": table, "items": items, "version": 0, "order_id": client_order_id}
    headers = {"Authorization": f"Bearer {stack.token(table)}", "X-Request-Id": request_id}
    request = urllib.request.Request(f"{stack.url}/orders", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=15) as answer:
        assert answer.headers["X-Request-Id"] == request_id
        order_id: str = json.load(answer)["order_id"]
        return order_id


def traced(stack: Stack, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stack.command("trace", "--json", *arguments))
    return found


def elsewhere(stack: Stack, **settings: str) -> Stack:
    """The stack as a command with other settings sees it."""
    more = {f"BISTRO92_{name}": value for name, value in settings.items()}
    return dataclasses.replace(stack, environment={**stack.environment, **more})


def test_an_order_is_followed_by_its_request_id_through_all_services(stack: Stack, tmp_path: Path) -> None:
    table, request_id = f"TR-{uuid.uuid4().hex[:12]}", f"pad-{uuid.uuid4().hex[:12]}"
    order_id = ordered(stack, table, "dinner-1", request_id)
    deadline = time.monotonic() + WITHIN
    while (found := traced(stack, "--request", request_id))["notes"] or len(found["steps"]) < 9:
        assert time.monotonic() < deadline, found
    assert (found["order_id"], found["table"], found["outcome"], found["version"]) == (order_id, table, "accepted", 1)
    assert found["request_ids"] == [request_id]
    places = [step["where"].split("/")[0].rpartition("-")[0] for step in found["steps"]]
    assert sorted(places) == sorted(
        ["orders", "order", "orders", "orders-tables", "order", "kitchen", "orders", "ledger", "ledger"]
    )
    assert list(found["cassandra"].values()) == [True] * 3
    assert traced(stack, "--client", table, "dinner-1")["steps"] == found["steps"]
    assert f"order {order_id}: accepted as version 1" in stack.command("trace", order_id)

    without_logs = traced(elsewhere(stack, DATA_DIR=str(tmp_path)), order_id)
    assert (without_logs["outcome"], without_logs["request_ids"]) == ("accepted", [request_id])
    assert list(without_logs["cassandra"].values()) == [True] * 3
    from_kafka = traced(elsewhere(stack, DATA_DIR=str(tmp_path), CASSANDRA__CLIENT_PORT="1"), order_id)
    assert from_kafka["steps"] == without_logs["steps"]
    assert from_kafka["cassandra"] == {}
    assert any("Cassandra" in note for note in from_kafka["notes"])


def test_an_order_that_was_never_placed_is_unknown(stack: Stack) -> None:
    done = stack.run("trace", "o" + "0" * 32)
    assert done.returncode == 1
    assert "no order o000" in done.stderr

"""What the kitchen notes as cancelled, through the owner and the ledger to whoever reads: with a note of our own."""

import json
import time
import urllib.request
import uuid
from datetime import datetime
from typing import Any

import confluent_kafka as ck
import pytest

from app.domain.moments import to_milliseconds
from app.messages import NoteCancelled, encode
from app.topics import ORDER_COMMANDS
from tests.stack import Stack

pytestmark = pytest.mark.stack

WITHIN = 30.0  # s, until the owner has decided and the ledger has written


def ask(stack: Stack, path: str, token: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(stack.url + path, data, {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=15) as answer:
        return json.load(answer)


def note_cancelled(stack: Stack, order: dict[str, Any], total: int) -> None:
    """Append the kitchen's note, twice: it may have died before it knew that the first had arrived."""
    note = NoteCancelled(
        table=order["table_number"],
        session=order["session"],
        order_id=order["order_id"],
        version=order["version"],
        total=total,
        placed_at=to_milliseconds(datetime.fromisoformat(order["placed_at"])),
        at=int(time.time() * 1000),
    )
    producer = ck.Producer({"bootstrap.servers": stack.settings.kafka_bootstrap, "partitioner": "murmur2_random"})
    for _ in range(2):
        producer.produce(ORDER_COMMANDS, encode(note), note.table.encode())
    assert producer.flush(30) == 0


def test_a_cancelled_order_reads_so_everywhere_and_the_audit_stays_right(stack: Stack) -> None:
    table = f"C-{uuid.uuid4().hex[:12]}"
    pad, manager = stack.token(table), stack.command("token", "--role", "manager").split()[-1]
    dish = ask(stack, "/menu_items", pad)[0]["id"]
    items = [{"menu_item_id": dish, "quantity": 1}]
    bodies = [{"table_number": table, "items": items, "version": n, "order_id": f"c-{n}"} for n in range(2)]
    first, _ = (ask(stack, "/orders", pad, body)["order_id"] for body in bodies)
    order = ask(stack, f"/orders/{first}", pad)
    before = ask(stack, f"/tables/{table}", pad)["total"]
    note_cancelled(stack, order, round(100 * order["total"]))
    deadline = time.monotonic() + WITHIN
    while ask(stack, f"/orders/{first}", manager)["status"] != "cancelled":  # for staff it is read from Cassandra
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert ask(stack, f"/orders/{first}", pad)["status"] == "cancelled"
    assert [read["status"] for read in ask(stack, f"/tables/{table}/orders", pad)] == ["cancelled", "received"]
    after = ask(stack, f"/tables/{table}", pad)
    assert (after["version"], after["total"]) == (2, before - order["total"])
    assert ask(stack, "/orders", pad, bodies[0]) == {"order_id": first, "status": "received", "version": 1}
    audit = stack.command("audit")
    assert "lost=0 duplicated=0" in audit
    assert "undecodable" not in audit
    trace = json.loads(stack.command("trace", "--json", first))
    told = [step["where"].split("/")[0] for step in trace["steps"] if step["what"].startswith("cancelled")]
    assert told[0] == "kitchen"
    assert sorted(told[1:]) == ["order-commands", "order-commands", "order-events", "order-events"]
    assert list(trace["cassandra"].values()) == [True] * 3


def test_a_guest_cancels_and_follows_the_order_over_one_address(stack: Stack) -> None:
    table = f"C-{uuid.uuid4().hex[:12]}"
    pad = stack.token(table)
    dish = ask(stack, "/menu_items", pad)[0]["id"]
    body = {"table_number": table, "items": [{"menu_item_id": dish, "quantity": 1}], "version": 0, "order_id": "c-0"}
    order_id = ask(stack, "/orders", pad, body)["order_id"]
    headers = {"Authorization": f"Bearer {pad}"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{stack.url}/tables/{table}/stream", headers=headers), timeout=15
    ) as stream:
        for method, told in (("DELETE", "cancelled"), ("DELETE", "cancelled")):
            request = urllib.request.Request(f"{stack.url}/orders/{order_id}", headers=headers, method=method)
            with urllib.request.urlopen(request, timeout=15) as answer:
                assert json.load(answer) == {"order_id": order_id, "status": told}
        deadline = time.monotonic() + WITHIN
        while b'"state":"cancelled"' not in (line := stream.readline()):
            assert line
            assert time.monotonic() < deadline
    while (read := ask(stack, f"/tables/{table}", pad))["total"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert read["version"] == 1
    assert ask(stack, f"/orders/{order_id}", pad)["status"] == "cancelled"

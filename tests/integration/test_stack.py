"""The local stack under test: what it says of itself, and that it keeps running whatever ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from app.topics import ORDER_EVENTS, all_topics
from tests.stack import Stack, new_stack

pytestmark = pytest.mark.stack

ALL = [
    *("kafka-1", "cassandra-1", "redis-1"),
    *("orders-1", "orders-2", "ledger-1", "kitchen-1", "kitchen-2", "auditor-1", "monitor-1"),
]


def pids(stack: Stack) -> dict[str, int]:
    return {name: entry["pid"] for name, entry in stack.status().items()}


def wait_until_nothing_runs(stack: Stack) -> None:
    deadline = time.monotonic() + 60
    while left := stack.processes():
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.1)


def place(stack: Stack, table: str, token: str, order_id: str, version: int = 0) -> tuple[int, dict[str, Any], bool]:
    """Order until the outcome is known, as a pad does: the same id again after a 503 or a broken connection."""
    body = {
        "table_number": table,
        "items": [{"menu_item_id": "m1", "quantity": 1}],
        "version": version,
        "order_id": order_id,
    }
    request = urllib.request.Request(
        f"{stack.url}/orders", json.dumps(body).encode(), {"Authorization": f"Bearer {token}"}
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, json.load(answer), answer.headers["Idempotency-Replayed"] == "true"
        except urllib.error.HTTPError as refusal:
            with refusal:
                outcome = refusal.read().decode()
            if refusal.code != 503:
                raise AssertionError(outcome) from refusal
        except OSError as error:
            outcome = repr(error)
        assert time.monotonic() < deadline, outcome
        time.sleep(0.2)


@pytest.fixture
def table() -> str:
    return f"S-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def other_stack() -> Iterator[Stack]:
    """A stack that is not up, for what must not happen to the one that all tests share."""
    with new_stack() as stack:
        yield stack


def test_the_status_tells_of_each_process_its_id_port_readiness_and_start(stack: Stack) -> None:
    begun = datetime.now(UTC)
    found = stack.status()
    assert list(found) == ALL
    ports = stack.settings.ports
    assert [entry["port"] for entry in found.values()] == [
        ports.of("kafka"),
        ports.of("cassandra"),
        ports.of("redis"),
        ports.of("orders", 1),
        ports.of("orders", 2),
        ports.of("ledger", 1),
        ports.of("kitchen", 1),
        ports.of("kitchen", 2),
        ports.of("auditor", 1),
        ports.of("monitor", 1),
    ]
    for entry in found.values():
        assert entry["ready"] is True
        assert psutil.pid_exists(entry["pid"])
        assert datetime.fromisoformat(entry["since"]) < begun
        assert datetime.fromisoformat(entry["since"]).utcoffset() == UTC.utcoffset(None)
    table = stack.command("status").splitlines()
    assert [line.split()[0] for line in table] == ["NAME", "supervisor", *ALL]


def test_up_again_finds_what_runs_and_prints_an_order_that_is_accepted(stack: Stack) -> None:
    before = pids(stack)
    said = stack.up()
    assert pids(stack) == before
    curl = next(line for line in said.splitlines() if line.startswith("curl "))
    answer = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, check=True).stdout
    assert answer.startswith("HTTP/1.1 201")


@pytest.mark.parametrize(
    "names",
    [
        ["redis-1", "auditor-1", "monitor-1"],
        ["orders-1", "ledger-1", "kitchen-1"],
        pytest.param(["cassandra-1", "kafka-1"], marks=pytest.mark.long),
    ],
    ids=" ".join,
)
def test_processes_that_were_killed_are_started_again_and_no_order_is_lost(
    stack: Stack, table: str, names: list[str]
) -> None:
    token = stack.token(table)
    before, _, _ = place(stack, table, token, "before")
    restarts = {name: entry["restarts"] for name, entry in stack.status().items()}
    killed = {name: stack.kill(name, signal.SIGKILL) for name in names}
    during, _, _ = place(stack, table, token, "during", version=1)
    for name, pid in killed.items():
        status = stack.wait_ready(name, other_than=pid)
        assert (status["restarts"], status["last_exit"]) == (restarts[name] + 1, "signal SIGKILL")
        assert f"{name} ended (signal SIGKILL)" in stack.whole_log("supervisor")
    for worker in ("orders-1", "orders-2", "ledger-1"):
        stack.wait_ready(worker)
    after, _, _ = place(stack, table, token, "after", version=2)
    assert (before, during, after) == (201, 201, 201)
    assert all(place(stack, table, token, order)[2] for order in ("before", "during", "after"))


def test_without_its_supervisor_the_stack_runs_on_and_up_adopts_it(stack: Stack, table: str) -> None:
    before = pids(stack)
    killed = stack.kill("supervisor", signal.SIGKILL)
    assert place(stack, table, stack.token(table), "unsupervised")[0] == 201
    assert pids(stack) == before
    assert "no supervisor runs" in stack.command("status")
    assert "the stack is not up" in stack.run("scale", "orders=3").stderr
    stack.up()
    assert pids(stack) == before
    assert stack.pid("supervisor") != killed
    adopted = stack.kill("redis-1", signal.SIGKILL)
    stack.wait_ready("redis-1", other_than=adopted)


def test_a_process_whose_record_is_gone_is_adopted_too(stack: Stack) -> None:
    before = pids(stack)
    stack.kill("supervisor", signal.SIGKILL)
    (stack.settings.data_dir / "run" / "redis-1.json").unlink()
    stack.up()
    assert pids(stack) == before


def test_workers_come_and_go_by_scale_and_the_number_is_kept(stack: Stack) -> None:
    before = pids(stack)
    try:
        stack.command("scale", "orders=3", "ledger=0")
        found = stack.status()
        assert [name for name in found if name.startswith(("orders", "ledger"))] == ["orders-1", "orders-2", "orders-3"]
        assert all(entry["ready"] for entry in found.values())
        assert found["orders-1"]["pid"] == before["orders-1"]
    finally:
        stack.command("scale", "orders=2", "ledger=1")
    assert list(stack.status()) == ALL


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (["orders=-1"], "from 0 to 64"),
        (["orders=65"], "from 0 to 64"),
        (["orders=two"], "from 0 to 64"),
        (["orders"], "from 0 to 64"),
        (["ledger=17"], "from 0 to 16"),
        (["waiters=2"], "there are orders, ledger"),
        ([], "Missing argument"),
    ],
)
def test_a_wrong_number_of_workers_is_refused_with_what_is_allowed(
    stack: Stack, targets: list[str], reason: str
) -> None:
    refused = stack.run("scale", *targets)
    assert refused.returncode != 0
    assert reason in refused.stderr


def test_clean_refuses_while_the_stack_is_up(stack: Stack) -> None:
    refused = stack.run("clean")
    assert refused.returncode == 1
    assert "is up" in refused.stderr


def test_another_number_of_nodes_than_the_state_has_is_refused(stack: Stack) -> None:
    three = Stack({**stack.environment, "BISTRO92_NODES": "3"}, stack.settings)
    refused = three.run("up")
    assert refused.returncode == 1
    assert "was made with NODES=1, not 3" in refused.stderr


def test_topics_that_differ_are_set_right_and_others_left_alone(stack: Stack) -> None:
    assert stack.command("topics") == ""
    admin = AdminClient({"bootstrap.servers": stack.settings.kafka_bootstrap})
    entry = ConfigEntry("retention.ms", "60000", incremental_operation=AlterConfigOpType.SET)
    events = ConfigResource(ResourceType.TOPIC, ORDER_EVENTS, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([events]).values():
        future.result()
    wanted = next(topic.config["retention.ms"] for topic in all_topics(stack.settings) if topic.name == ORDER_EVENTS)
    assert stack.command("topics") == f"{ORDER_EVENTS}: retention.ms={wanted}\n"
    assert stack.command("topics") == ""


def test_another_number_of_partitions_is_refused_since_tables_would_move(stack: Stack) -> None:
    five = Stack({**stack.environment, "BISTRO92_KAFKA__PARTITIONS": "5"}, stack.settings)
    refused = five.run("topics")
    assert refused.returncode == 1
    assert "has 4 partitions, not 5" in refused.stderr


def test_the_logs_of_each_process_can_be_read(stack: Stack) -> None:
    assert "is ready" in stack.command("logs", "supervisor")
    assert "orders-1 | " in stack.command("logs", "-n", "3")
    assert "there are: auditor-1, cassandra-1, kafka-1" in stack.run("logs", "waiter-1").stderr


@pytest.mark.own_stack
def test_a_taken_port_is_named_with_its_holder_and_nothing_is_started(other_stack: Stack) -> None:
    port = other_stack.settings.ports.of("cassandra")
    with socket.create_server(("127.0.0.1", port)):
        refused = other_stack.run("up")
    assert refused.returncode == 1
    assert f"port {port} on 127.0.0.1, which cassandra-1 needs, is taken by pid {os.getpid()} (" in refused.stderr
    assert other_stack.processes() == []


@pytest.mark.long
@pytest.mark.own_stack
def test_a_stack_ends_with_another_process_its_state_survives_and_down_needs_no_supervisor(
    other_stack: Stack, table: str
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as companion:
        other_stack.command("up", "--servers", "--with-process", str(companion.pid))
        assert list(other_stack.status()) == ["kafka-1", "cassandra-1", "redis-1"]
        other_stack.command("up")
        token = other_stack.token(table)
        _, first, _ = place(other_stack, table, token, "before")
        companion.kill()
    wait_until_nothing_runs(other_stack)
    assert other_stack.status() == {}
    other_stack.up()
    assert place(other_stack, table, token, "before") == (201, first, True)
    assert other_stack.status()["orders-1"]["restarts"] == 0
    other_stack.kill("supervisor", signal.SIGKILL)
    assert other_stack.command("down") == "stopped\n"
    assert other_stack.processes() == []
    assert other_stack.command("down") == "nothing was running\n"
    other_stack.command("clean")
    assert not other_stack.settings.data_dir.exists()

"""The audit of a running stack, with real rows taken away and put back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.adapters.cassandra import new_cluster
from app.audit import log
from app.bench import stack as bench
from app.cli import audit
from app.drill.drills import sequence
from tests.stack import Stack

pytestmark = pytest.mark.stack

BY_DAY = "day, slot, placed_at, order_id, table_number, session, version, total, currency"


@pytest.fixture
def cassandra(stack: Stack) -> Iterator[Any]:
    """A connection of an operator who can write."""
    cluster = new_cluster(stack.settings, timeout=30)
    yield cluster.connect(stack.settings.cassandra.keyspace)
    cluster.shutdown()


@pytest.fixture
def row(stack: Stack, cassandra: Any) -> dict[str, Any]:
    """One order's row in the table by day, once it is there."""
    assert sequence.run(bench.Stack(stack.environment, stack.settings), orders=3).problems == []
    found = cassandra.execute(f"SELECT {BY_DAY} FROM orders_by_day LIMIT 1").one()
    return dict(zip(BY_DAY.split(", "), found, strict=True))


def insert(cassandra: Any, row: dict[str, Any]) -> None:
    cassandra.execute(
        f"INSERT INTO orders_by_day ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", tuple(row.values())
    )


def delete(cassandra: Any, row: dict[str, Any]) -> None:
    key = ("day", "slot", "placed_at", "order_id")
    where = " AND ".join(f"{name} = %s" for name in key)
    cassandra.execute(f"DELETE FROM orders_by_day WHERE {where}", tuple(row[name] for name in key))


def test_a_row_that_is_gone_is_a_lost_order(stack: Stack, cassandra: Any, row: dict[str, Any]) -> None:
    delete(cassandra, row)
    try:
        done = stack.run("audit", "--wait", "0")
    finally:
        insert(cassandra, row)
    assert done.returncode == 1
    assert "lost=1 duplicated=0" in done.stdout
    assert f"{row['order_id']} at table {row['table_number']}" in done.stderr
    assert stack.command("audit").strip().endswith("lost=0 duplicated=0")


def test_an_order_that_stands_twice_is_a_duplicate(stack: Stack, cassandra: Any, row: dict[str, Any]) -> None:
    again = {**row, "slot": row["slot"] + 1}
    insert(cassandra, again)
    try:
        done = stack.run("audit", "--wait", "0")
    finally:
        delete(cassandra, again)
    assert done.returncode == 1
    assert "lost=0 duplicated=1" in done.stdout
    assert stack.command("audit").strip().endswith("lost=0 duplicated=0")


def test_what_a_pad_was_told_is_looked_up(stack: Stack, row: dict[str, Any], tmp_path: Path) -> None:
    told = tmp_path / "acks"
    place = f'"table":"{row["table_number"]}","session":{row["session"]}'
    told.write_text(f'{{{place},"version":{row["version"]},"order_id":"{row["order_id"]}"}}\n')
    assert stack.command("audit", "--acks", str(told)).strip().endswith("lost=0 duplicated=0")
    told.write_text(f'{{{place},"version":999999,"order_id":"{row["order_id"]}"}}\n')
    done = stack.run("audit", "--acks", str(told), "--wait", "0")
    assert done.returncode == 1
    assert "lost=1" in done.stdout


@pytest.mark.parametrize("port", ["KAFKA", "CASSANDRA"])
def test_an_audit_without_kafka_or_cassandra_says_so(stack: Stack, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "REQUEST", 0.5)
    environment = {**stack.environment, f"BISTRO92_PORTS__{port}": "1999"}
    done = CliRunner().invoke(audit.command, ["--wait", "0"], env=environment)
    assert (done.exit_code, type(done.exception)) == (1, SystemExit)
    assert port.capitalize() in done.stderr

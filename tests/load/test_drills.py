"""The drills in their short form, on the stack of the test run."""

import dataclasses

import pytest
import uvloop

from app.bench import burst, ledger, load
from app.bench import stack as bench
from app.drill.drills import catchup, mixed, replay, sequence
from app.drill.outcome import tables
from tests.stack import Stack

pytestmark = pytest.mark.stack


@pytest.fixture
def house(stack: Stack) -> bench.Stack:
    """The stack as the drills see it."""
    return bench.Stack(stack.environment, stack.settings)


def test_orders_sent_twice_stale_and_again_are_answered_as_promised_and_stand_once(house: bench.Stack) -> None:
    outcome = mixed.run(house, count=16, seconds=2, share=0.2)
    assert outcome.problems == []
    assert "409" in outcome.facts["answers"]
    assert outcome.facts["audit"].endswith("lost=0 duplicated=0")


def test_an_order_is_answered_as_first_after_hundreds_more(house: bench.Stack) -> None:
    assert replay.run(house, orders=200).problems == []


def test_a_tables_orders_in_a_row_get_each_version_once(house: bench.Stack) -> None:
    outcome = sequence.run(house, orders=100)
    assert outcome.problems == []
    assert outcome.facts["answers"] == "201: 100"


def test_orders_that_were_placed_without_ledger_all_reach_cassandra(house: bench.Stack) -> None:
    outcome = catchup.run(house, orders=400, count=8)
    assert outcome.problems == []
    assert outcome.facts["acknowledged without ledger"] == "400"


def test_hundreds_of_tables_that_order_at_once_are_all_served(house: bench.Stack) -> None:
    tokens = house.tokens(tables("BURST", 300))
    plan = load.Plan(url=house.url, tokens=tokens, seconds=0, pids=house.pids())
    result = uvloop.run(burst.run(plan))
    assert (result.violations, result.unknown) == (0, 0), result.first_violations
    assert result.answers == {"201": 300}
    assert {process.name for process in result.processes} >= {"orders-1", "orders-2", "kafka-1"}
    assert all(process.peak_mb > 0 for process in result.processes)


def test_the_ledgers_writes_are_measured_without_changing_a_row(house: bench.Stack) -> None:
    sequence.run(house, orders=20)
    events = ledger.queued(house.settings, 20)
    writes = uvloop.run(ledger.run(house.settings, events, rate=50, seconds=0.5))
    assert [way.orders for way in writes] == [25, 20]
    assert all(0 < way.p50 <= way.p99 <= way.max for way in writes)
    assert sequence.run(house, orders=1).problems == []  # its audit compares every row


def test_the_bench_command_prints_its_figures(stack: Stack) -> None:
    printed = stack.command("bench", "--running", "orders", "--tables", "4", "--seconds", "1", "--warmup", "0")
    assert "orders/s" in printed
    assert all(process in printed for process in ("orders-1", "orders-2", "ledger-1", "load generator"))


def test_a_bench_without_server_says_so(stack: Stack) -> None:
    done = dataclasses.replace(stack, environment={**stack.environment, "BISTRO92_PORTS__ORDERS_SHARED": "1999"}).run(
        "bench", "--running", "orders", "--tables", "1", "--seconds", "1", "--warmup", "0"
    )
    assert done.returncode == 1
    assert "nothing answers" in done.stderr

"""Each process of the stack killed while orders flow."""

import pytest

from app.bench import stack as bench
from app.bench.drills import deaths
from tests.stack import Stack

pytestmark = [pytest.mark.stack]


@pytest.mark.parametrize("name", ["orders-1", "ledger-1", "redis-1", "cassandra-1", "kafka-1"])
def test_no_acknowledged_order_is_lost_when_a_process_is_killed(stack: Stack, name: str) -> None:
    outcome = deaths.run(bench.Stack(stack.environment, stack.settings), name, before=1, after=2, count=8, rate=40)
    assert outcome.problems == []
    assert outcome.facts["audit"].endswith("lost=0 duplicated=0")

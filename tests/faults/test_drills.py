"""The drills of faults in their short form, on the stack of the test run."""

import pytest

from app.bench import stack as bench
from app.drill.drill import Drill
from app.drill.drills import kitchen, ledger, menu, servers, workers, zombies
from app.drill.run import run_one
from tests.stack import Stack

pytestmark = pytest.mark.stack

CUTS = 15  # of one client's connection, at least, in a drill of the kitchen
SHORT = (*workers.SHORT, *ledger.SHORT, *servers.SHORT, *menu.SHORT, *kitchen.SHORT, *zombies.SHORT)


@pytest.mark.parametrize("drill", SHORT, ids=lambda drill: drill.name)
def test_no_acknowledged_order_is_lost_and_none_is_placed_twice(stack: Stack, drill: Drill) -> None:
    finished = run_one(drill, bench.Stack(stack.environment, stack.settings), seed=1)
    assert finished.outcome is not None
    assert finished.outcome.problems == []
    assert finished.outcome.report is not None
    assert (finished.outcome.report.lost, finished.outcome.report.duplicated) == (0, 0)
    assert finished.outcome.served_again
    if drill in kitchen.SHORT:
        cut = finished.outcome.facts["a client that cut its connection"]
        assert int(cut.split()[0]) >= CUTS, cut

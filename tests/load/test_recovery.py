"""Recovery after a past, in its short form, on the stack of the test run."""

import pytest

from app.bench import recovery
from app.bench import stack as bench
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.long]


def test_a_killed_workers_tables_are_served_from_what_compaction_has_left(stack: Stack) -> None:
    house = bench.Stack(stack.environment, stack.settings)
    report = recovery.run(house, orders=4000, count=20, lag=2.0, rate=40, hold=1, still=3)
    assert report.problems == []
    before, after = report.deaths
    [rows_before, _], [rows_after, _] = before.changelogs, after.changelogs
    assert sum(rows_before.records) > 4000
    assert sum(rows_after.records) < sum(rows_before.records) / 2
    for death in report.deaths:
        assert all(read.records > 0 for read in death.recoveries), death
    assert any("records" in line for line in report.lines())

"""The worker that ships, against the model of the log: crashes, zombies, compaction and late deliveries.

`test_log_model.py` holds the rules against a worker of the model's own, of which each can be taken out; here the same
schedules drive the agent, partition, tables, recovery and lanes of the product. `python -m tests.mutations` takes their
rules out.
"""

import logging
import os
from collections.abc import Iterator

import pytest
import structlog

from tests.property.promises import BrokenError
from tests.property.real_worker import EndedError, real_workers
from tests.property.schedules import Schedule, run, schedule_of
from tests.property.test_log_model import MISSED_WHEN, READY

# An event is acknowledged, its row is not, and the owner dies: what it has committed then must not rely on the row.
ROW_LAGS = "order=0 decide=0 deliver=10 acknowledge=16 commit=0 crash=0 start=0 settle=0"
FAVOURED = [*MISSED_WHEN.values(), ROW_LAGS]

FACTOR = int(os.environ.get("BISTRO92_PROPERTY_FACTOR", "1"))
PARTS = 10
RUNS = 40 * FACTOR  # of a part, 20 ms each


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Thousands of takeovers need not be told of."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def schedule_number(seed: int) -> Schedule:
    """Most lead to where a rule matters."""
    favour = READY + FAVOURED[seed % len(FAVOURED)] if seed % 4 else ""
    return schedule_of(seed, favour=favour)


@pytest.mark.parametrize("part", range(PARTS))
def test_the_worker_that_ships_keeps_every_promise(part: int) -> None:
    for seed in range(part * RUNS, (part + 1) * RUNS):
        with real_workers() as new_worker:
            try:
                run(schedule_number(seed), chunk_ids=1 + seed % 3, new_worker=new_worker)
            except (BrokenError, EndedError) as broken:
                pytest.fail(f"seed {seed}: {broken}")


def test_the_runs_reach_what_they_are_about() -> None:
    worlds = []
    for seed in range(40):
        with real_workers() as new_worker:
            worlds.append(run(schedule_number(seed), new_worker=new_worker))
    assert sum(world.started for world in worlds) > 200  # owners that took over from one that died or stalled
    assert sum(len(world.promises.acknowledged) for world in worlds) > 200  # orders
    assert sum(world.ids.end for world in worlds) > 80  # chunks that left their rows
    assert sum(len(world.promises.closed) for world in worlds) > 20  # parties that left
    assert sum(len(world.promises.cancelled) for world in worlds) > 20  # orders that were cancelled
    assert sum(world.promises.stale for world in worlds) > 8  # zombies' rows that came after their successors'

"""The rules of the log, against a model of it: with all of them every promise holds, and with any one off some do not.

A run takes some milliseconds. `BISTRO92_PROPERTY_FACTOR=20` runs that many times the usual number.
"""

import os
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.promises import BrokenError
from tests.property.rules import ALL, Rules
from tests.property.schedules import NUMBERS, WEIGHTS, Schedule, breaks, run, schedule_of, shortest, story

FACTOR = int(os.environ.get("BISTRO92_PROPERTY_FACTOR", "1"))
EXAMPLES = settings(max_examples=300 * FACTOR, deadline=None, derandomize=True, database=None)
SCHEDULES = st.lists(
    st.tuples(
        st.sampled_from([action for action, weight in WEIGHTS.items() for _ in range(weight)]),
        st.integers(0, NUMBERS - 1),
    ),
    min_size=40,
    max_size=160,
)

# An owner that has caught up; then the sequence in which the rule is missed, to be had more often in the search.
READY = "start=0 settle=0 work=3 work=3 "
MISSED_WHEN = {
    "rows_by_offset": "order=0 decide=3 stall=0 close=0 start=0 work=60 commit=0 wake=0 crash=0 start=0",
    "session_rows_again": "close=0 decide=3 stall=0 return=1 start=0 work=3 commit=0 crash=0 start=0",
    "cancelled_rows_again": "order=0 work=3 commit=0 cancel=0 decide=3 stall=0 return=1 start=0 work=3 "
    "commit=0 crash=0 start=0",
    "strangers_are_repaired": "order=0 decide=3 stall=0 order=0 start=0 work=60 commit=0 wake=0 wait=2 compact=0 "
    "crash=0 start=0",
    "strangers_found_between_own_rows": "order=0 decide=3 stall=0 order=0 start=0 work=60 commit=0 wake=0 order=1 "
    "work=60 check=0 wait=2 compact=0 crash=0 start=0",
    "strangers_are_not_adopted": "order=0 order=0 order=0 order=0 stall=0 start=0 work=15 check=0 retry work=60",
    "strangers_are_read": "order=0 decide=3 stall=0 order=0 start=0 work=60 commit=0 wake=0 crash=0 return=1 order=0 "
    "work=60",
    "open_waits_for_chunks": "order=0 close=0 open=0 decide=3 deliver=9 crash=0 start=0",
    "open_sessions_are_not_deleted": "order=0 order=0 order=0 work=3 wait=6 order=0 work=3 forget=0 settle=0 "
    "retry work",
    "deletion_follows_acks": "order=0 close=0 open=0 wait=6 order=0 decide=3 deliver=2 acknowledge=2 decide=3 "
    "deliver=9 forget=0 deliver=2 crash=0 start=0",
    "ids_recovered_after_rows": "order=0 order=0 order=0 order=0 stall=0 start=2 recover=0 work=15 recover=0",
}
RULES = [field.name for field in fields(Rules)]
RUNS = 1_000  # in which a missing rule must show; most do within ten


def first_broken(rules: Rules, favour: str = "") -> Schedule | None:
    """The first schedule that breaks a promise under these rules."""
    schedules = (schedule_of(seed, 100, favour) for seed in range(RUNS))
    return next((schedule for schedule in schedules if breaks(schedule, rules)), None)


@pytest.mark.parametrize("part", range(10))
def test_with_all_rules_every_promise_holds(part: int) -> None:
    for seed in range(part * 300 * FACTOR, (part + 1) * 300 * FACTOR):
        schedule = schedule_of(seed, favour=READY + list(MISSED_WHEN.values())[seed % len(MISSED_WHEN)])
        if broken := breaks(schedule):
            pytest.fail(f"seed {seed}: {broken}\n{story(shortest(schedule))}")


@EXAMPLES
@given(SCHEDULES, st.integers(1, 4))
def test_whatever_happens_no_order_is_lost_and_none_is_placed_twice(schedule: Schedule, chunk_ids: int) -> None:
    run(schedule, chunk_ids=chunk_ids)


@pytest.mark.parametrize("rule", RULES)
def test_without_this_rule_a_promise_is_broken(rule: str) -> None:
    rules = replace(ALL, **{rule: False})
    schedule = first_broken(rules, READY + MISSED_WHEN[rule] if rule in MISSED_WHEN else "")
    assert schedule is not None, f"{rule} could be left out: nothing broke in {RUNS} runs"
    # What breaks it is the missing rule and not the schedule.
    assert not breaks(schedule)


def test_the_runs_reach_what_they_are_about() -> None:
    worlds = [run(schedule_of(seed)) for seed in range(100)]
    assert sum(world.started for world in worlds) > 500  # owners that took over from one that died or stalled
    assert sum(len(world.promises.acknowledged) for world in worlds) > 500  # orders
    assert sum(world.ids.end for world in worlds) > 200  # chunks that left their rows
    assert sum(len(world.promises.closed) for world in worlds) > 50  # parties that left
    assert sum(len(world.promises.cancelled) for world in worlds) > 50  # orders that were cancelled
    assert sum(world.promises.stale for world in worlds) > 20  # zombies' rows that came after their successors'


def test_a_counterexample_is_cut_down_to_what_it_needs() -> None:
    rules = replace(ALL, answers_wait=False)
    schedule = first_broken(rules)
    assert schedule is not None
    short = shortest(schedule, rules)
    assert len(short) < 12
    with pytest.raises(BrokenError):
        run(short, rules)
    assert "BROKEN" in story(short, rules)

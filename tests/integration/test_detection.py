"""How the death of a worker is noticed: long before its session ends, and a worker that hangs like one that died."""

import re
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from kafka.admin import KafkaAdminClient

from app.adapters.watchdog import KafkaEnds
from app.settings import Kafka, Settings
from app.stack import groups
from app.topics import ORDER_EVENTS
from tests.stack import Stack, new_stack

pytestmark = [pytest.mark.stack, pytest.mark.own_stack]

WITHIN = 45.0  # s; shorter than the session of `patient`, which is as long as can be set


@pytest.fixture(scope="module")
def patient() -> Iterator[Stack]:
    """A stack whose sessions outlast each test: what happens in time is not owed to them."""
    with new_stack(KAFKA__SESSION_TIMEOUT="60", LIVENESS__UNANSWERED="9", WORKERS="3") as stack:
        stack.up()
        yield stack


def until(condition: Callable[[], object], stack: Stack, within: float = WITHIN) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, stack.log("supervisor")
        time.sleep(0.1)


def members(stack: Stack, group: str) -> dict[str, str]:
    """Member id -> client id."""
    admin = KafkaAdminClient(bootstrap_servers=stack.settings.kafka_bootstrap)
    try:
        found = admin.describe_groups([group])[group]["members"]
    finally:
        admin.close()
    return {member["member_id"]: member["client_id"] for member in found}


def partitions(stack: Stack, *workers: str, after: dict[str, int]) -> set[int]:
    """The partitions that the workers have taken over since their logs were so long."""
    logs = [stack.whole_log(worker)[after[worker] :] for worker in workers]
    return {int(number) for log in logs for number in re.findall(r'event="partition taken over" partition=(\d+)', log)}


def lengths(stack: Stack, *names: str) -> dict[str, int]:
    return {name: len(stack.whole_log(name)) for name in names}


def said_since(stack: Stack, length: int) -> list[str]:
    """What the supervisor said, without its times."""
    return [line.partition(" ")[2] for line in stack.whole_log("supervisor")[length:].splitlines()]


def index(said: list[str], start: str) -> int:
    return next(number for number, line in enumerate(said) if line.startswith(start))


@pytest.mark.parametrize("name", ["orders-1", "ledger-1"])
def test_a_killed_worker_is_out_of_its_group_before_its_next_process_starts(patient: Stack, name: str) -> None:
    group = name.partition("-")[0]
    [dead] = [member for member, client in members(patient, group).items() if client == name]
    length = len(patient.whole_log("supervisor"))
    killed = patient.kill(name, signal.SIGKILL)
    patient.wait_ready(name, other_than=killed)
    said = said_since(patient, length)
    ended, out, started = (
        index(said, f"{name} {what}") for what in ("ended", f"was taken out of the group {group}", "started")
    )
    assert ended < out < started
    until(lambda: name in members(patient, group).values(), patient)
    assert dead not in members(patient, group)


def test_the_tables_of_two_workers_that_die_at_once_are_taken_over_by_the_third(patient: Stack) -> None:
    until(lambda: len(members(patient, "orders")) == 3, patient)
    before = lengths(patient, "orders-3", "supervisor")
    killed = {name: patient.kill(name, signal.SIGKILL) for name in ("orders-1", "orders-2")}
    until(lambda: partitions(patient, "orders-3", after=before) == {0, 1, 2, 3}, patient)
    for name, pid in killed.items():
        patient.wait_ready(name, other_than=pid)
    said = said_since(patient, before["supervisor"])
    assert sum("was taken out of the group orders" in line for line in said) == 2


def test_a_worker_that_died_while_no_supervisor_ran_is_taken_out_by_the_next_one(patient: Stack) -> None:
    until(lambda: "orders-1" in members(patient, "orders").values(), patient)
    patient.kill("supervisor", signal.SIGKILL)
    patient.kill("orders-1", signal.SIGKILL)
    length = len(patient.whole_log("supervisor"))
    patient.up()
    said = said_since(patient, length)
    assert index(said, "orders-1 was taken out of the group orders") < index(said, "orders-1 started")


def test_a_worker_that_is_taken_away_leaves_by_itself(patient: Stack) -> None:
    until(lambda: len(members(patient, "orders")) == 3, patient)
    before = lengths(patient, "orders-1", "orders-2", "supervisor")
    patient.command("scale", "orders=2")
    try:
        assert "orders-3" not in members(patient, "orders").values()
        until(lambda: partitions(patient, "orders-1", "orders-2", after=before) == {0, 1, 2, 3}, patient)
        assert not any("taken out" in line for line in said_since(patient, before["supervisor"]))
    finally:
        patient.command("scale", "orders=3")


def test_a_worker_that_is_stopped_for_long_is_killed_and_started_again(patient: Stack) -> None:
    length = len(patient.whole_log("supervisor"))
    stopped = patient.kill("ledger-1", signal.SIGSTOP)
    patient.wait_ready("ledger-1", other_than=stopped)
    said = said_since(patient, length)
    assert index(said, "ledger-1 does not answer for 9 s: killed") < index(said, "ledger-1 ended")


async def test_only_members_with_that_very_name_are_taken_out(patient: Stack) -> None:
    before = members(patient, "orders")
    assert await groups.remove(patient.settings.kafka_bootstrap, "orders", "orders") == 0
    assert await groups.remove(patient.settings.kafka_bootstrap, "no-such-group", "orders-1") == 0
    assert members(patient, "orders") == before


async def test_a_kafka_that_is_away_is_given_up() -> None:
    with pytest.raises(groups.GroupError):
        await groups.remove("127.0.0.1:1", "orders", "orders-1", seconds=0.5)


def test_the_watchdog_hears_from_kafka_how_far_a_log_goes_and_whether_it_answers(patient: Stack) -> None:
    ends = KafkaEnds(patient.settings, ORDER_EVENTS)
    patient.token("WATCHED")
    found = ends(range(patient.settings.kafka.partitions))
    assert found is not None
    assert all(first <= end for first, end in found.values())
    assert sum(end for _, end in found.values()) > 0
    assert ends([]) == {}
    ends.close()


def test_the_watchdog_hears_nothing_from_a_kafka_that_is_away() -> None:
    ends = KafkaEnds(Settings(kafka=Kafka(bootstrap="127.0.0.1:1")), ORDER_EVENTS)
    assert ends([]) is None
    assert ends([0]) is None
    ends.close()


def test_ends_are_heard_again_once_kafka_is_back(patient: Stack) -> None:
    ends, every = KafkaEnds(patient.settings, ORDER_EVENTS), range(patient.settings.kafka.partitions)
    patient.token("BACK")
    before = ends(every)
    assert before is not None
    patient.command("hold", "kafka-1")
    until(lambda: ends(every) is None, patient)
    patient.command("hold", "--release", "kafka-1")
    until(lambda: ends(every) == before, patient)
    ends.close()

"""Admission as a worker has it: what it hears, what it tells, and when there is none."""

from typing import Any

import pytest
import structlog

from app.adapters.admission import OrderAdmission, is_enabled, rules_of
from app.domain.admission import AdmissionRules
from app.settings import Admission, Settings
from tests.house import House, order, serving


class Busy:
    """Lets one order of each table through."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def wait_of(self, table: str) -> int:
        if table in self.seen:
            return 7
        self.seen.add(table)
        return 0


async def test_an_order_that_cannot_be_taken_now_is_refused_before_the_log_and_told_when_to_come_again() -> None:
    house = House(admission=Busy())
    pad, other = await house.seat(), await house.seat("T2")
    async with serving(house) as client:
        assert (await client.order(order(), pad)).status == 201
        commands = len(house.owner.commands)
        reply = await client.order(order(1, "id-2"), pad)
        assert (reply.status, reply.body, reply.headers["Retry-After"]) == (429, {"error": "Rate limit"}, "7")
        assert len(house.owner.commands) == commands
        assert (await client.order(order(table="T2"), other)).status == 201
    assert house.watch.outcomes == ["accepted", "rate_limited", "accepted"]


async def test_who_may_not_order_at_all_is_told_so_and_takes_nobodys_place() -> None:
    house = House(admission=Busy())
    await house.seat()
    async with serving(house) as client:
        assert (await client.order(order(), "forged")).status == 401
        assert (await client.order(order(), "kitchen")).status == 403
        assert (await client.order(order(table="T2"), "pad/T1/1")).status == 403
        assert (await client.order(order(), "pad/T1/1")).status == 201


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_worker_says_once_that_orders_come_too_fast_and_counts_whom_it_refused() -> None:
    clock = Clock()
    admission = OrderAdmission(AdmissionRules(usual=1, floor=1.0), lambda: 0.0, clock)
    with structlog.testing.capture_logs() as logs:
        for number in range(400):
            clock.now = number * 0.01
            if not admission.wait_of("flood"):
                admission.answered(clock.now - 1.0)
            if number % 50 == 0:
                await admission.look()
    assert [entry["event"] for entry in logs] == ["orders come faster than they can be taken: some are refused"]
    assert admission.refused > 0
    assert admission.share < 1


async def test_a_log_that_is_behind_is_heard_of_though_nobody_is_answered() -> None:
    clock = Clock()
    admission = OrderAdmission(AdmissionRules(usual=1), lambda: 5.0, clock)
    for number in range(100):
        clock.now = number * 0.01
        admission.wait_of("flood")
    await admission.look()
    clock.now += 0.2
    assert [admission.wait_of("flood") for _ in range(20)].count(0) < 20


@pytest.mark.parametrize(
    ("admission", "limits", "is_on"),
    [(True, None, True), (False, None, False), (True, True, True), (True, False, False), (False, True, False)],
)
def test_with_all_limits_off_there_is_no_admission_either(admission: bool, limits: bool | None, is_on: bool) -> None:
    given: dict[str, Any] = {} if limits is None else {"limits": {"enabled": limits}}
    assert is_enabled(Settings(admission=Admission(enabled=admission), **given)) is is_on


def test_the_settings_are_its_rules() -> None:
    assert rules_of(Admission()) == AdmissionRules()
    assert rules_of(Admission(target=0.2, usual=9)) == AdmissionRules(target=0.2, usual=9)

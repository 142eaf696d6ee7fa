"""How long a row may be told after the coordinator's last word; on aiokafka's own coordinator."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import errors
from aiokafka.consumer.group_coordinator import GroupCoordinator

from app.adapters import heartbeat as module
from app.adapters.heartbeat import Heartbeat
from app.service.orders_worker import OrdersService
from app.settings import Kafka, Settings

SESSION = 5.0


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def heartbeat(clock: Clock) -> Heartbeat:
    return Heartbeat(Settings(kafka=Kafka(session_timeout=SESSION)))


def beating(send: Callable[[Any], Any]) -> Any:
    """A coordinator in a group whose requests go to `send`."""

    async def nothing() -> None: ...

    coordinator = object.__new__(GroupCoordinator)
    coordinator.__dict__.update(
        group_id="orders",
        generation=3,
        member_id="me",
        _send_req=send,
        _heartbeat_interval_ms=0.1,
        _session_timeout_ms=SESSION * 1000,
        _retry_backoff_ms=0.1,
        _max_poll_interval=1e9,
        _subscription=SimpleNamespace(fetcher_idle_time=0),
        ensure_coordinator_known=nothing,
        request_rejoin=lambda: None,
        reset_generation=lambda: coordinator.__dict__.update(member_id=""),
    )
    return coordinator


def app_with(coordinator: Any) -> Any:
    return SimpleNamespace(
        consumer=SimpleNamespace(_thread=SimpleNamespace(_consumer=SimpleNamespace(_coordinator=coordinator)))
    )


async def test_each_answered_heartbeat_counts_from_when_it_was_sent_and_a_refused_one_does_not(
    heartbeat: Heartbeat, clock: Clock
) -> None:
    fresh: list[tuple[float, bool]] = []

    async def send(request: Any) -> Any:
        fresh.append((clock.now, heartbeat.is_fresh))
        clock.now += 3  # until it is answered
        return SimpleNamespace(error_code=0 if len(fresh) < 4 else errors.UnknownMemberIdError.errno)

    coordinator = beating(send)
    heartbeat.watch(app_with(coordinator))
    heartbeat.watch(app_with(coordinator))  # each assignment says so again
    heartbeat.joined()
    await coordinator._heartbeat_routine()
    assert fresh == [(1000, True), (1003, True), (1006, True), (1009, True)]
    clock.now = 1006 + SESSION * 0.8 - 0.1  # the last one that was answered was sent at 1006
    assert heartbeat.is_fresh
    clock.now += 0.2
    assert not heartbeat.is_fresh


def test_a_worker_that_never_joined_is_not_fresh(heartbeat: Heartbeat) -> None:
    assert not heartbeat.is_fresh


def test_a_worker_tells_of_no_table_without_a_fresh_heartbeat_or_after_it_lost_the_table() -> None:
    partitions = {0: SimpleNamespace(revoked=False), 1: SimpleNamespace(revoked=True)}
    beat = SimpleNamespace(is_fresh=True)
    worker: Any = SimpleNamespace(agent=SimpleNamespace(partitions=partitions), heartbeat=beat)
    assert OrdersService._owned(worker) == {0}
    beat.is_fresh = False
    assert OrdersService._owned(worker) == set()

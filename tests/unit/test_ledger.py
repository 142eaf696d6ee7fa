"""The ledger's agent: what it acknowledges to Kafka, and when."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from app.agents import ledger
from app.agents.ledger import LedgerAgent
from app.messages import Event, SessionOpened, encode
from app.service.ledger_worker import LedgerService


class Ended(BaseException):
    """The process would have ended."""


def end(reason: str) -> NoReturn:
    raise Ended(reason)


@dataclass
class Store:
    """Takes events unless it is away; forgets what it holds when it is killed."""

    events: list[Event] = field(default_factory=list)
    breaks: int = 0
    here: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.here.set()
        self.answers.set()

    async def write(self, events: Sequence[Event]) -> None:
        await self.here.wait()
        self.events += events

    async def wait_until_it_answers(self) -> None:
        await self.answers.wait()


class House:
    """An agent with its log, store and dead letters."""

    def __init__(self, settle: float = 0.0) -> None:
        self.store = Store()
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.acked: list[int] = []
        self.set_aside: list[tuple[int, bytes | None]] = []
        self.letters_go = asyncio.Event()
        self.letters_go.set()
        self.generation = 1
        self.progress = asyncio.Event()
        self.watched: list[list[str] | int] = []
        self.agent = LedgerAgent(self.store, self, end, self.acknowledge, settle, self)

    def acknowledge(self, message: Any) -> None:
        if message.generation == self.generation:
            self.acked.append(message.offset)

    def written(self, events: Sequence[Event]) -> None:
        self.watched.append([event.table for event in events])

    def acknowledged(self, events: int) -> None:
        self.watched.append(events)

    async def put(self, record: Any, reason: str) -> None:
        assert reason
        await self.letters_go.wait()
        self.set_aside.append((record.offset, record.value))

    def noack(self) -> "House":
        return self

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self.queue.get()

    def send(self, offset: int, value: bytes | None = None) -> None:
        value = encode(SessionOpened(f"T{offset}", 1, offset)) if value is None else value
        record = SimpleNamespace(topic="t", partition=0, offset=offset, key=f"T{offset}".encode(), value=value)
        message = SimpleNamespace(offset=offset, generation=self.generation)
        self.queue.put_nowait(SimpleNamespace(message=message, value=[record]))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.agent.take(self)), asyncio.create_task(self.agent.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def until_acked(self, *offsets: int) -> None:
        async with asyncio.timeout(5):
            while self.acked != list(offsets):  # noqa: ASYNC110 - the agent tells nobody
                await asyncio.sleep(0)

    async def settle(self) -> None:
        """Everything that can happen has happened."""
        for _ in range(50):
            await asyncio.sleep(0)

    @property
    def tables(self) -> list[str]:
        return [event.table for event in self.store.events]


async def test_orders_are_acknowledged_in_the_order_of_the_log() -> None:
    house = House()
    async with house.open():
        for offset in range(5):
            house.send(offset)
        await house.until_acked(0, 1, 2, 3, 4)
    assert house.tables == ["T0", "T1", "T2", "T3", "T4"]


async def test_nothing_is_acknowledged_while_the_store_is_away() -> None:
    house = House()
    house.store.here.clear()
    async with house.open():
        house.send(0)
        house.send(1)
        await house.settle()
        assert house.acked == []
        house.store.here.set()
        await house.until_acked(0, 1)


async def test_what_a_killed_store_may_have_lost_is_written_again_before_it_is_acknowledged() -> None:
    house = House()
    house.store.answers.clear()
    async with house.open():
        house.send(0)
        await house.settle()
        assert house.tables == ["T0"]
        assert house.acked == []
        house.store.events.clear()
        house.store.breaks += 1
        house.store.answers.set()
        await house.until_acked(0)
    assert house.tables == ["T0"]


async def test_what_was_written_is_not_acknowledged_before_it_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    # The loop's clock in the test's hand: a wait ends when its time has come.
    now, waits, really_sleep = [1_000.0], [asyncio.Event()], asyncio.sleep

    async def sleep(seconds: float) -> None:
        due = now[0] + seconds
        while now[0] < due:
            await waits[-1].wait()
            await really_sleep(0)

    async def until(time: float) -> None:
        now[0] = time
        before, _ = waits[-1], waits.append(asyncio.Event())
        before.set()
        for _ in range(50):
            await really_sleep(0)

    house = House(settle=1.0)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    monkeypatch.setattr(ledger.asyncio, "sleep", sleep)
    async with house.open():
        house.send(0)
        await until(1_000.0)
        await until(1_000.5)
        house.send(1)
        await until(1_000.5)
        await until(1_000.9)
        assert (house.tables, house.acked) == (["T0", "T1"], [])
        await until(1_001.1)
        assert house.acked == [0]  # the second was written half a second later
        await until(1_001.6)
        assert house.acked == [0, 1]


@pytest.mark.parametrize(("rebalancing", "generation", "done"), [(False, 3, [8]), (True, 3, []), (False, 2, [])])
def test_an_assignment_that_has_ended_is_not_acknowledged(rebalancing: bool, generation: int, done: list[int]) -> None:
    acknowledged: list[int] = []
    consumer = SimpleNamespace(done=lambda _, offset: acknowledged.append(offset))
    app = SimpleNamespace(rebalancing=rebalancing, consumer_generation_id=3, consumer=consumer)
    worker: Any = SimpleNamespace(app=app)
    message = SimpleNamespace(tp=None, offset=7, generation_id=generation)
    LedgerService._acknowledge(worker, message)
    assert acknowledged == done


async def test_a_record_that_is_no_event_is_set_aside_and_the_next_one_goes_on() -> None:
    house = House()
    house.letters_go.clear()
    async with house.open():
        house.send(0)
        house.send(1, b"tip: 5")
        house.send(2)
        await house.settle()
        assert house.acked == []  # the dead letter is not acknowledged yet
        house.letters_go.set()
        await house.until_acked(0, 1, 2)
    assert house.set_aside == [(1, b"tip: 5")]
    assert house.tables == ["T0", "T2"]


async def test_an_event_of_a_newer_release_ends_the_process_and_is_neither_acknowledged_nor_set_aside() -> None:
    house = House()
    house.send(0)
    house.send(1, b'{"type":"OrderPlaced","schema":99}')
    house.send(2)
    taking = asyncio.create_task(house.agent.take(house))
    with pytest.raises(BaseExceptionGroup, match="unhandled") as caught:
        async with asyncio.timeout(5):
            await house.agent.run()
    taking.cancel()
    assert caught.value.split(Ended)[1] is None
    assert house.tables == ["T0"]
    assert house.acked == []
    assert house.set_aside == []


async def test_after_a_rebalance_what_was_taken_before_is_not_acknowledged() -> None:
    house = House()
    house.store.here.clear()
    async with house.open():
        house.send(0)
        await house.settle()
        house.send(1)
        await house.settle()
        house.agent.forget()
        house.generation += 1
        house.store.here.set()
        house.send(0)
        house.send(1)
        await house.until_acked(0, 1)
    assert house.tables == ["T0", "T0", "T1"]  # written twice is harmless; T1 was forgotten in time


async def test_a_ledger_holds_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_HELD", 3)
    house = House()
    house.store.here.clear()
    async with house.open():
        for offset in range(10):
            house.send(offset)
        await house.settle()
        assert house.agent.held == 3
        house.store.here.set()
        await house.until_acked(*range(10))


async def test_a_stop_waits_for_what_is_written_but_not_for_a_store_that_is_away() -> None:
    house = House()
    async with house.open():
        house.send(0)
        await house.settle()
        await house.agent.close(5)
        assert house.acked == [0]
        house.send(1)
        await house.settle()
        assert house.acked == [0]
    house = House()
    house.store.here.clear()
    async with house.open():
        house.send(0)
        await house.settle()
        await house.agent.close(0.01)
        assert house.acked == []


async def test_events_are_told_of_when_they_are_written_and_again_when_they_are_acknowledged() -> None:
    house = House()
    house.store.answers.clear()
    async with house.open():
        house.send(0)
        house.send(1, b"tip: 5")
        house.send(2)
        await house.settle()
        assert house.watched == [["T0", "T2"]]
        house.store.answers.set()
        await house.until_acked(0, 1, 2)
    assert house.watched == [["T0", "T2"], 2]

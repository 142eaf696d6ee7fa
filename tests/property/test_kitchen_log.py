"""The kitchen's agent that ships, against one log: crashes, zombies, compaction and late deliveries.

What a single worker that never fails would have made of the log is known; whatever happens, the same must come of it in
the end, and nothing that was answered may be otherwise.
"""

import asyncio
import logging
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import structlog
from faust.tables.manager import TableManager

from app.agents.kitchen import KitchenAgent
from app.domain import kitchen as rules
from app.domain.decide import At
from app.domain.tickets import COOKING, READY, SERVED, KitchenOrder, Ticket, TicketLine, tickets_of
from app.messages import (
    Answer,
    CancelOrder,
    ChangeTicket,
    ClearOrder,
    Line,
    NoteCancelled,
    OrderPlaced,
    SessionClosed,
    SessionOpened,
    decode_command,
    encode,
)
from app.tables.kitchen import KitchenState, decode_order, head_of
from app.ticket_messages import ticket_id
from app.topics import KITCHEN_CHANGELOG, KITCHEN_COMMANDS, KITCHEN_ORDERS, KITCHEN_TICKETS, ORDER_COMMANDS
from tests.property.changelog import COMPACTION_LAG, Changelog
from tests.property.real_worker import Batch, EndedError, RealLane, fatal, faust_app

FACTOR = int(os.environ.get("BISTRO92_PROPERTY_FACTOR", "1"))
RUNS = 60 * FACTOR
STEPS = 220
TOPICS = (KITCHEN_CHANGELOG, KITCHEN_TICKETS, ORDER_COMMANDS)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Thousands of takeovers need not be told of."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@dataclass
class World:
    """The log, what came of it, and what was answered."""

    dice: random.Random
    now: int = 1_000_000
    log: list[tuple[int, Any]] = field(default_factory=list)  # log time and command
    changelog: Changelog = field(default_factory=Changelog)
    tickets: dict[tuple[str, int], set[bytes]] = field(default_factory=lambda: defaultdict(set))
    cancelled: set[str] = field(default_factory=set)  # order ids of which the orders service was told
    answers: list[tuple[int, Answer]] = field(default_factory=list)  # offset, and what was said
    committed: int = 0
    stale: int = 0
    orders: list[OrderPlaced] = field(default_factory=list)

    def arrive(self, topic: str, record: Any, by: str) -> int:
        """A record of a worker comes into its topic; its offset."""
        key, value = record
        if topic == KITCHEN_CHANGELOG:
            before = next((r.value for r in reversed(self.changelog.records) if r.key == key), None)
            self.stale += bool(before and value and head_of(value).offset < head_of(before).offset)
            self.changelog.append(self.now, key, value, by)
            return self.changelog.end - 1
        if topic == KITCHEN_TICKETS:
            message = msgspec.json.decode(value)
            self.tickets[message["ticket_id"], message["version"]].add(value)
        else:
            note = decode_command(value)
            assert isinstance(note, NoteCancelled)
            self.cancelled.add(note.order_id)
        return len(self.tickets)


class Worker:
    """One owner of the partition, or one that believes so."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self.world, self.loop, self.name = world, loop, name
        self.lanes = {topic: RealLane(topic, self._delivered) for topic in TOPICS}
        self._own = RealLane(KITCHEN_COMMANDS, self._delivered)
        self._callbacks: list[Callable[[], None]] = []
        self.position = world.committed
        self.log_end: int | None = None  # of the log as a zombie knows it
        app = copy(faust_app())
        app.tables = TableManager(app)
        self.state = KitchenState(app, name=KITCHEN_ORDERS, partitions=1, fatal=fatal)
        for written in world.changelog.records:
            self.state.apply(0, written.key, written.value)
        app.tables.recovery.active_offsets = defaultdict(lambda: world.changelog.end - 1)
        self.agent = KitchenAgent(
            self.state, self, self, self, self, fatal, self._done, 1_000, lambda _: 0  # type: ignore[arg-type]
        )  # fmt: skip
        loop.run_until_complete(self.agent.take_over({0}))

    def lane(self, topic: str, partition: int) -> Any:
        return (self._own if topic == KITCHEN_COMMANDS else self.lanes[topic]).lane

    def on_delivered(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def _delivered(self) -> None:
        for callback in self._callbacks:
            callback()

    def _done(self, partition: int, offset: int) -> None:
        if self.log_end is None:  # a zombie's commit is refused
            self.world.committed = max(self.world.committed, offset)

    def give(self, reply_to: str, answer: Answer) -> None:
        self.world.answers.append((int(answer.request_id), answer))

    async def end(self, topic: str, partition: int) -> int:
        return len(self.world.log) if topic == KITCHEN_COMMANDS else self.world.changelog.end

    async def read(self, topic: str, partition: int, start: int, stop: int) -> list[Any]:
        return [record for record in self.world.changelog.since(start) if record.place < stop]

    def decide(self) -> None:
        """Take the next command."""
        last = len(self.world.log) if self.log_end is None else self.log_end
        if self.position < last:
            time, command = self.world.log[self.position]
            if hasattr(command, "request_id"):
                command = msgspec.structs.replace(command, request_id=str(self.position))
            raw = SimpleNamespace(
                offset=self.position, timestamp=time, key=command.table.encode(), value=encode(command)
            )
            self.loop.run_until_complete(self.agent.run(Batch(raw)))
            self.position += 1

    def deliver(self, topic: str, count: int) -> None:
        """Some of what was sent arrives; that it did is known a little later."""
        lane = self.lanes[topic]
        for _ in range(min(count, len(lane.queue))):
            offset = self.world.arrive(topic, lane.queue[0], self.name)
            lane.arrive(offset, skip_strangers=False)

    def acknowledge(self, topic: str, count: int) -> None:
        self.lanes[topic].acknowledge(count)

    def settle(self) -> None:
        """Everything is decided, arrives and is known to."""
        while self.position < len(self.world.log):
            self.decide()
        for topic in TOPICS:
            self.deliver(topic, 10_000)
            self.acknowledge(topic, 10_000)


# ── what should come of the log ───────────────────────────────────────────────────────────────────────────────────────


def perfect(log: list[tuple[int, Any]]) -> tuple[dict[str, KitchenOrder], dict[tuple[str, int], Ticket], set[str]]:
    """Orders, every version of every ticket, and what was cancelled, by one worker that never fails."""
    tables: dict[str, rules.KitchenTable] = {}
    orders: dict[str, KitchenOrder] = {}
    versions: dict[tuple[str, int], Ticket] = {}
    cancelled: set[str] = set()
    for offset, (time, command) in enumerate(log):
        at, table = At(offset, time), tables.get(command.table, rules.NO_TABLE)
        order = None if isinstance(command, SessionOpened | SessionClosed) else orders.get(command.order_id)
        decision: Any = None
        if isinstance(command, OrderPlaced):
            lines = [
                TicketLine(str(n), line.menu_item_id, line.name, line.quantity, line.station)
                for n, line in enumerate(command.lines, 1)
            ]
            decision = rules.decide_placed(table, order, command, lines, at)
        elif isinstance(command, ChangeTicket):
            decision = rules.decide_change(order, command, at)
        elif isinstance(command, CancelOrder):
            decision = rules.decide_cancel(table, order, command, at)
        elif isinstance(command, ClearOrder):
            decision = rules.decide_clear(order, at)
        else:
            is_closed = isinstance(command, SessionClosed)
            decision = rules.decide_session(table, command.session, at, is_closed=is_closed)
            if isinstance(decision, rules.TableChanged):
                tables[command.table] = decision.table
        if isinstance(decision, rules.OrderChanged):
            orders[decision.order.order_id] = decision.order
            if decision.table is not None:
                tables[command.table] = decision.table
            versions |= {(ticket_id(t.order.order_id, t.station), t.version): t for t in decision.changed}
            cancelled |= {decision.order.order_id} if decision.is_cancelled else set()
    return orders, versions, cancelled


def check(world: World, worker: Worker) -> None:
    """The last owner, what displays were told, and what was answered are as they should be."""
    orders, versions, cancelled = perfect(world.log)
    records = worker.state.records(0)
    mine = {order.order_id: order for key, data in records.items() if b"/" in key for order in [decode_order(data)]}
    forgotten = orders.keys() - mine.keys()
    assert all(rules.is_finished(orders[order_id]) for order_id in forgotten), "an order is gone that is being cooked"
    assert {order_id: orders[order_id] for order_id in mine} == mine, "the owner's orders are otherwise"
    recovered = Worker(world, worker.loop, "last")
    found = recovered.state.records(0)
    assert {key: found[key] for key in records} == records, "the changelog tells of something else"
    # A zombie may bring back what was finished long ago; it is deleted once more in time.
    assert all(head_of(found[key]).is_finished for key in found.keys() - records.keys()), "it tells of more"
    assert world.tickets.keys() == versions.keys(), "displays were told of other tickets"
    assert all(len(told) == 1 for told in world.tickets.values()), "one version was told in two ways"
    assert world.cancelled == cancelled, "the orders service was told of others"
    check_answers(world, orders)


def check_answers(world: World, orders: dict[str, KitchenOrder]) -> None:
    """What was answered still holds: no change is lost, and nothing that was cancelled is cooked."""
    for offset, answer in world.answers:
        command = world.log[offset][1]
        if answer.outcome == "changed":
            made = [change for change in orders[command.order_id].changes if change.offset == offset]
            assert made, f"the change at {offset} was answered and is gone"
        if answer.outcome == "cancelled":
            tickets = tickets_of(orders[command.order_id]).values()
            assert not any(ticket.state in {COOKING, READY, SERVED} for ticket in tickets), "cancelled, and cooked"


# ── an evening ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Evening:
    """Steps at random."""

    def __init__(self, seed: int, loop: asyncio.AbstractEventLoop) -> None:
        self.dice = random.Random(seed)
        self.world = World(self.dice)
        self.loop = loop
        self.owner = Worker(self.world, loop, "w0")
        self.zombies: list[Worker] = []
        self.started = 1
        self.placed: list[OrderPlaced] = []
        self.versions = {"T1": 0, "T2": 0}

    def append(self, command: Any) -> None:
        self.world.log.append((self.world.now, command))

    def order(self) -> None:
        """An order comes; its copy may come again, later or out of turn, and its cancelling before it."""
        table = self.dice.choice(list(self.versions))
        version = self.versions[table] = self.versions[table] + 1
        number = len(self.placed)
        lines = tuple(
            Line("m", "Dish", 1, 100, station=station)
            for station in self.dice.sample(["grill", "bar", "cold"], self.dice.randint(1, 2))
        )
        event = OrderPlaced(
            order_id=f"o{number:032x}", client_order_id=f"c{number}", table=table, session=1, version=version,
            lines=lines, total=100 * len(lines), currency="EUR", placed_at=self.world.now, offset=number,
        )  # fmt: skip
        self.placed.append(event)
        if self.dice.random() < 0.1:
            self.cancel(event)
        self.append(event)

    def copy_again(self) -> None:
        """A copier that did not hear of its acknowledgement copies once more."""
        if self.placed:
            for event in self.placed[-self.dice.randint(1, 4) :]:
                self.append(event)

    def cancel(self, event: OrderPlaced | None = None) -> None:
        if event is None and not self.placed:
            return
        event = event or self.dice.choice(self.placed[-6:])
        self.append(CancelOrder("", "", event.table, event.session, event.version, event.order_id, event.total))

    def tap(self) -> None:
        """A cook's tap, perhaps sent twice."""
        if not self.placed:
            return
        event = self.dice.choice(self.placed[-6:])
        action = self.dice.choice(["see", "bump", "bump", "bump", "recall", "undo", "void", "acknowledge_void"])
        station = self.dice.choice(event.lines).station
        command = ChangeTicket("", "", event.table, event.order_id, station, action,
                               self.dice.choice([0, 0, 1, 2, 3]), f"k{self.dice.randint(0, 60)}")  # fmt: skip
        for _ in range(self.dice.choice([1, 1, 2])):
            self.append(command)

    def clear(self) -> None:
        if self.placed:
            event = self.dice.choice(self.placed)
            self.append(ClearOrder(event.table, event.order_id))

    def wait(self) -> None:
        """Time goes by; owners look after strangers' records every few seconds, long before anything is compacted."""
        for _ in range(2):
            self.owner.deliver(KITCHEN_CHANGELOG, 10_000)
            self.owner.acknowledge(KITCHEN_CHANGELOG, 10_000)
            self.repair()
        self.owner.deliver(KITCHEN_CHANGELOG, 10_000)
        self.world.now += self.dice.choice([1, 1000, COMPACTION_LAG + 1, rules.FORGET_MS + 1])
        self.world.changelog.compact(self.world.now)

    def work(self) -> None:
        worker = self.dice.choice([self.owner, self.owner, *self.zombies])
        for _ in range(self.dice.randint(1, 4)):
            worker.decide()

    def deliver(self) -> None:
        worker, topic = self.dice.choice([self.owner, *self.zombies]), self.dice.choice(TOPICS)
        worker.deliver(topic, self.dice.randint(1, 6))
        if self.dice.random() < 0.8:
            worker.acknowledge(topic, self.dice.randint(1, 6))

    def repair(self) -> None:
        self.loop.run_until_complete(self.owner.agent.repair())
        self.owner.agent.forget_finished()

    def crash(self) -> None:
        """The owner dies, or stalls and wakes up later as a zombie; another one takes over."""
        if self.dice.random() < 0.6:
            self.owner.log_end = len(self.world.log)
            self.zombies = [*self.zombies[-1:], self.owner]
        self.owner = Worker(self.world, self.loop, f"w{self.started}")
        self.started += 1

    def run(self) -> None:
        steps = {self.order: 4, self.copy_again: 1, self.cancel: 1, self.tap: 7, self.clear: 0.3, self.wait: 0.4,
                 self.work: 8, self.deliver: 14, self.repair: 1.5, self.crash: 0.5}  # fmt: skip
        for step in self.dice.choices(list(steps), list(steps.values()), k=STEPS):
            self.world.now += 1
            step()
        for zombie in self.zombies:  # what it sent arrives in the end, as late as can be; it decides nothing more
            for topic in TOPICS:
                zombie.deliver(topic, 10_000)
        self.owner.settle()
        self.repair()
        self.owner.settle()
        check(self.world, self.owner)


@pytest.mark.parametrize("part", range(4))
def test_whatever_happens_the_kitchen_is_as_its_log_says(part: int) -> None:
    with asyncio.Runner() as runner:
        for seed in range(part * RUNS, (part + 1) * RUNS):
            try:
                Evening(seed, runner.get_loop()).run()
            except (AssertionError, EndedError) as broken:
                raise AssertionError(f"seed {seed}: {broken}") from broken


def test_the_evenings_reach_what_they_are_about() -> None:
    with asyncio.Runner() as runner:
        evenings = [Evening(seed, runner.get_loop()) for seed in range(40)]
        for evening in evenings:
            evening.run()
    assert sum(evening.started for evening in evenings) > 100
    assert sum(evening.world.stale for evening in evenings) > 20  # zombies' records that came after their successors'
    assert sum(len(evening.world.cancelled) for evening in evenings) > 40
    assert sum(answer.outcome == "changed" for evening in evenings for _, answer in evening.world.answers) > 400
    tombstones = [r for evening in evenings for r in evening.world.changelog.records if r.value is None]
    assert tombstones

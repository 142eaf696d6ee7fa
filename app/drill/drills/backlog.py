"""Orders queue before stopped or slow consumers, which then work them off."""

import asyncio
import random
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import uvloop
from confluent_kafka import Producer

from app import messages
from app.audit.log import Group, Topic
from app.bench import load
from app.bench.guest import Guest, Order, session_of
from app.bench.stack import Stack, StackFailedError
from app.bench.tally import Tally
from app.domain.ids import fingerprint, order_id
from app.drill.drill import Drill, fault
from app.drill.outcome import Outcome, acks_file, tables
from app.drill.scene import Scene
from app.messages import Line, PlaceOrder
from app.settings import Settings
from app.topics import LEDGER_APP, ORDER_COMMANDS, ORDER_EVENTS

ORDERS = 5000
TABLES = 32
SHARE = 0.1  # of the queued orders that are queued twice, and as many at a version that is gone
FLUSH_SECONDS = 30.0
WITHIN = 120.0  # s
POLL = 0.01
PATIENCE = 120.0

LINES = (Line("m1", "Grilled Salmon", 2, 1899),)
LINES_SENT = b'[{"menu_item_id":"m1","quantity":2}]'

# A tenth of a worker's time.
RUNS, STANDS = 0.02, 0.18  # s in turn
SLOW_FOR = 15.0  # s
USUAL = 50  # events above the usual lag that still count as caught up


@dataclass
class Queue:
    """Commands of one table as the views left them: each accepted order's id in the order of the versions."""

    table: str
    session: int
    first: int  # the table's version before
    ids: list[str] = field(default_factory=list)

    def next_commands(self, choices: random.Random) -> Iterator[PlaceOrder]:
        """One more order; by chance it stands twice, and after it one that came too late."""
        version = self.first + len(self.ids)
        client_id = f"queued-{version}"
        self.ids.append(client_id)
        yield self._command(client_id, version)
        if choices.random() < SHARE:
            yield self._command(client_id, version)
        if choices.random() < SHARE:
            yield self._command(f"late-{version}", version)

    def _command(self, client_id: str, version: int) -> PlaceOrder:
        return PlaceOrder(
            request_id="queued",
            reply_to="unix:/nonexistent/of-a-view-that-is-gone",
            table=self.table,
            session=self.session,
            version=version,
            client_order_id=client_id,
            order_id=order_id(self.table, self.session, client_id),
            fingerprint=fingerprint(LINES, ""),
            lines=LINES,
            total=sum(line.price * line.quantity for line in LINES),
            currency="EUR",
        )

    def orders(self) -> Iterator[Order]:
        """Each accepted order as a pad would know it, with the answer that it must get."""
        for version, client_id in enumerate(self.ids, start=self.first):
            number = order_id(self.table, self.session, client_id)
            body = f'{{"order_id":"{number}","status":"received","version":{version + 1}}}'
            yield Order(client_id, LINES_SENT, version, body.encode())


def run(stack: Stack, seed: int, *, orders: int = ORDERS) -> Outcome:
    """Queue `orders` orders while no agent runs, start two, and have pads ask for each of them."""
    outcome = Outcome()
    with acks_file() as acks:
        plan = load.Plan(url=stack.url, tokens=stack.tokens(tables("BACKLOG", TABLES)), seconds=0, acks=acks)
        tally = Tally(acks)
        try:
            uvloop.run(_play(stack, plan, tally, orders, seed, outcome))
        finally:
            tally.close()
        outcome.problems += tally.first_violations
        outcome.audit(stack, acks)
    return outcome


async def _play(stack: Stack, plan: load.Plan, tally: Tally, orders: int, seed: int, outcome: Outcome) -> None:
    async with load.pool_of(plan) as pool:
        guests = await load.make_guests(plan, pool, tally, load.after(PATIENCE))
        queues = [
            Queue(guest.table, session_of(token), guest.version)
            for guest, (_, token) in zip(guests, plan.tokens, strict=True)
        ]
        await asyncio.to_thread(stack.command, "scale", "orders=0")
        queued = await asyncio.to_thread(append, stack.settings, queues, orders, seed)
        outcome.facts["queued"] = f"{orders} orders at {len(queues)} tables, in {queued} commands"
        await asyncio.to_thread(_work_off, stack, orders, outcome)
        await _ask_again(guests, queues, tally, outcome)


def append(settings: Settings, queues: Sequence[Queue], orders: int, seed: int) -> int:
    """Append so many orders to the log, a table's in the order of its versions; returns the number of commands.

    Raises:
        StackFailedError: Kafka did not take them.
    """
    choices = random.Random(seed)  # noqa: S311 - which of them stand twice, no secret
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "acks": "all", "partitioner": "murmur2_random"})
    count = 0
    for number in range(orders):
        queue = queues[number % len(queues)]
        for command in queue.next_commands(choices):
            producer.produce(ORDER_COMMANDS, messages.encode(command), queue.table.encode())
            count += 1
    if producer.flush(FLUSH_SECONDS):
        raise StackFailedError("Kafka did not take the queued orders")
    return count


def _work_off(stack: Stack, orders: int, outcome: Outcome) -> None:
    """Start the agents and watch the log of events grow."""
    events = Topic(stack.settings.kafka_bootstrap, ORDER_EVENTS)
    try:
        before = sum(events.ends().values())
        with ThreadPoolExecutor() as beside:
            started = time.monotonic()
            scaled = beside.submit(stack.command, "scale", "orders=2")
            began = _wait_for(events, before + 1)
            ended = _wait_for(events, before + orders)
            scaled.result()
    finally:
        events.close()
    outcome.facts["worked off"] = f"{ended - started:.2f} s after the agents' start"
    if ended > began:
        outcome.facts["rate"] = f"{orders / (ended - began):,.0f} orders/s ({ended - began:.2f} s from first to last)"


def _wait_for(topic: Topic, records: int) -> float:
    """When the topic holds so many records (`time.monotonic`).

    Raises:
        StackFailedError: it does not within WITHIN s.
    """
    deadline = time.monotonic() + WITHIN
    while True:
        found = sum(topic.ends().values())
        now = time.monotonic()
        if found >= records:
            return now
        if now > deadline:
            raise StackFailedError(f"after {WITHIN:.0f} s {topic.name} holds {found} records, not {records}")
        time.sleep(POLL)


async def _ask_again(guests: Sequence[Guest], queues: Sequence[Queue], tally: Tally, outcome: Outcome) -> None:
    """The pads' views died meanwhile: each pad sends each of its orders again."""

    async def ask(guest: Guest, queue: Queue) -> None:
        await guest.sit_down()
        if guest.version != queue.first + len(queue.ids):
            outcome.problems.append(
                f"{guest.table} stands at version {guest.version}, not {queue.first + len(queue.ids)}"
            )
        for order in queue.orders():
            await guest.send_again(order, with_current_version=True)
            number = order_id(queue.table, queue.session, order.client_order_id)
            tally.note(queue.table, queue.session, order.version + 1, number, order.client_order_id)

    await asyncio.gather(*(ask(guest, queue) for guest, queue in zip(guests, queues, strict=True)))
    asked = sum(len(queue.ids) for queue in queues)
    outcome.facts["asked for again"] = f"{asked} orders, {tally.violations} of them not answered as a replay"


async def _slowed(scene: Scene) -> None:
    for name in ("orders-1", "ledger-1"):
        usual = max([await _ledger_lag(scene) for _ in range(5)])
        scene.fault(f"{name} slowed to a tenth")
        await _slow_down(scene, name)
        mark = scene.healed("at full speed again")
        behind = await _ledger_lag(scene)
        began = time.monotonic()
        await scene.served(mark)
        served = time.monotonic() - began
        while await _ledger_lag(scene) > usual + USUAL:
            if time.monotonic() - began > WITHIN:
                scene.outcome.problems.append(f"the ledger has not caught up {WITHIN:.0f} s after {name} was slow")
                break
        scene.outcome.facts[f"after {name}"] = (
            f"every table served {served:.2f} s later; the ledger was {behind} events behind (as a rule {usual}) and "
            f"caught up within {time.monotonic() - began:.2f} s"
        )
        await scene.pause()


async def _slow_down(scene: Scene, name: str) -> None:
    """Let it run for a tenth of the time."""
    pids = scene.send(signal.SIGSTOP, name)
    deadline = time.monotonic() + SLOW_FOR
    try:
        while time.monotonic() < deadline:
            await asyncio.sleep(STANDS)
            scene.send(signal.SIGCONT, *pids)
            await asyncio.sleep(RUNS)
            scene.send(signal.SIGSTOP, *pids)
    finally:
        scene.send(signal.SIGCONT, *pids)


async def _ledger_lag(scene: Scene) -> int:
    return await asyncio.to_thread(_lag, scene.stack.settings)


def _lag(settings: Settings) -> int:
    """Events that the ledger has not committed."""
    topic, group = Topic(settings.kafka_bootstrap, ORDER_EVENTS), Group(settings.kafka_bootstrap, LEDGER_APP)
    try:
        return group.lag(topic)
    finally:
        topic.close()
        group.close()


DRILLS = (
    Drill("backlog", f"{ORDERS:,} orders queued before stopped agents, then worked off", run),
    fault("slowed", "an order worker, then the ledger, slowed to a tenth for 15 s", _slowed),
)

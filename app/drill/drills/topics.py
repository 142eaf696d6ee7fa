"""A topic is made anew while the stack stands still: nobody serves wrongly, and after a repair all goes on."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import uvloop
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from app.adapters.topic_admin import TIMEOUT, TopicsError, make_topics
from app.audit.log import Group, Topic
from app.bench import load
from app.bench.guest import Guest, Shares
from app.bench.report import counts
from app.bench.stack import Stack, StackFailedError
from app.bench.tally import Tally
from app.drill.drill import Drill
from app.drill.drills.everything import compare
from app.drill.outcome import Outcome, acks_file, tables
from app.drill.pad import Pad, pads, told
from app.stack import client
from app.stack.layout import Layout
from app.topics import LEDGER_APP, ORDER_COMMANDS, ORDER_EVENTS, all_topics

TABLES = 16
ORDERS = 20  # of each table
PATIENCE = 120.0
SAYS = "but a table's row is from offset"
WITHIN = 60.0  # s
POLL = 0.2
REFUSED = (None, 503)  # what a pad may be answered while nobody can decide


def recreate(stack: Stack, name: str) -> None:
    """Delete a topic and make it again, empty.

    Raises:
        StackFailedError: Kafka does not do it.
    """
    settings = stack.settings
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    deadline = time.monotonic() + WITHIN
    try:
        admin.delete_topics([name], operation_timeout=TIMEOUT)[name].result()
        while name in admin.list_topics(timeout=TIMEOUT).topics:
            _not_after(deadline, f"{name} is still there")
        make_topics(settings.kafka_bootstrap, all_topics(settings), settings.kafka_replication, lambda _: None)
    except (KafkaException, TopicsError) as error:
        raise StackFailedError(f"{name} could not be made anew: {error}") from error


def _not_after(deadline: float, otherwise: str) -> None:
    if time.monotonic() > deadline:
        raise StackFailedError(otherwise)
    time.sleep(POLL)


Play = Callable[[Stack, list[Guest], Outcome], Awaitable[None]]


def _drill(name: str, play: Play) -> Callable[[Stack, int], Outcome]:
    """Orders first, then what happens, then an audit."""

    async def run(stack: Stack, plan: load.Plan, tally: Tally, outcome: Outcome) -> None:
        async with load.pool_of(plan) as pool:
            guests = await load.make_guests(plan, pool, tally, load.after(PATIENCE))
            await _each(guests, ORDERS)
            await asyncio.to_thread(_wait_for_ledger, stack)
            await play(stack, guests, outcome)

    def drill(stack: Stack, seed: int) -> Outcome:
        outcome = Outcome()
        with acks_file() as acks:
            tokens = stack.tokens(tables(name, TABLES))
            # Refused orders at the log's end are in no row: the log must end above them, too.
            shares = Shares(stale=0.5)
            plan = load.Plan(url=stack.url, tokens=tokens, seconds=0, shares=shares, acks=acks, seed=seed)
            tally = Tally(acks)
            try:
                uvloop.run(run(stack, plan, tally, outcome))
            finally:
                tally.close()
            outcome.problems += tally.first_violations
            outcome.retries = tally.statuses["503"] + tally.statuses["lost"]
            outcome.audit(stack, acks)
        return outcome

    return drill


async def _each(guests: Sequence[Guest], orders: int) -> None:
    async def place(guest: Guest) -> None:
        for _ in range(orders):
            await guest.turn()

    await asyncio.gather(*map(place, guests))


def _wait_for_ledger(stack: Stack) -> None:
    """Return once all events are in Cassandra."""
    topic = Topic(stack.settings.kafka_bootstrap, ORDER_EVENTS)
    group = Group(stack.settings.kafka_bootstrap, LEDGER_APP)
    deadline = time.monotonic() + WITHIN
    try:
        while group.lag(topic):
            _not_after(deadline, "the ledger does not come to the log's end")
    finally:
        topic.close()
        group.close()


# ── the commands ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def _commands(stack: Stack, guests: list[Guest], outcome: Outcome) -> None:
    async with pads(stack, ["COMMANDS-PAD"]) as [pad]:
        await asyncio.to_thread(stack.command, "scale", "orders=0", "ledger=0")
        await asyncio.to_thread(recreate, stack, ORDER_COMMANDS)
        await _refused(stack, pad, outcome)
        await asyncio.to_thread(stack.command, "scale", "orders=0")
        outcome.facts["repair"] = "; ".join((await asyncio.to_thread(stack.command, "repair")).splitlines())
        await asyncio.to_thread(stack.command, "scale", "orders=2", "ledger=1")
        answer = await pad.order("waits", 0)
        if answer is None or answer.status != 201:
            outcome.problems.append(f"the order that was refused, sent again after the repair: {told(answer)}")
    await compare(guests, outcome)
    await _each(guests, ORDERS)


async def _refused(stack: Stack, pad: Pad, outcome: Outcome) -> None:
    """Start the agents: they say what is wrong, end, and nobody decides."""
    starting = asyncio.create_task(asyncio.to_thread(stack.command, "scale", "orders=2", may_fail=True))
    answers: Counter[str] = Counter()
    while not starting.done():
        answer = await pad.order("waits", 0)
        answers[str(answer.status) if answer else "none"] += 1
        if (answer.status if answer else None) not in REFUSED:
            outcome.problems.append(f"with the log made anew an order was answered {told(answer)}")
        await asyncio.sleep(POLL)
    await starting
    layout = Layout(stack.settings.data_dir)
    logs = [layout.log(f"orders-{index}").read_text(encoding="utf-8", errors="replace") for index in (1, 2)]
    said = [line for log in logs for line in log.splitlines() if SAYS in line]
    found = await asyncio.to_thread(client.statuses, stack.settings, layout)
    ready = [status.name for status in found if status.name.startswith("orders-") and status.ready]
    outcome.facts["answers meanwhile"] = counts(answers)
    outcome.facts["the workers say"] = said[-1][-300:] if said else "nothing"
    if not said:
        outcome.problems.append("no worker says that the log ends below a row")
    if ready:
        outcome.problems.append(f"ready all the same: {', '.join(ready)}")


# ── the events ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _events(stack: Stack, guests: list[Guest], outcome: Outcome) -> None:
    await asyncio.to_thread(stack.command, "scale", "orders=0", "ledger=0")
    before = _committed(stack)
    await asyncio.to_thread(recreate, stack, ORDER_EVENTS)
    outcome.facts["the ledger's offsets"] = f"{before} before, {_committed(stack)} once the topic was made anew"
    await asyncio.to_thread(stack.command, "scale", "orders=2")
    # So many that the log grows past what the ledger had read of the old one before it looks again.
    await _each(guests, 2 * ORDERS)
    outcome.facts["repair"] = "; ".join((await asyncio.to_thread(stack.command, "repair")).splitlines())
    await asyncio.to_thread(stack.command, "scale", "ledger=1")


def _committed(stack: Stack) -> list[int]:
    """By partition, how far the ledger is in the events; -1001 where that is not known."""
    consumer = Consumer({"bootstrap.servers": stack.settings.kafka_bootstrap, "group.id": LEDGER_APP})
    try:
        partitions = [TopicPartition(ORDER_EVENTS, number) for number in range(stack.settings.kafka.partitions)]
        return [place.offset for place in consumer.committed(partitions, timeout=TIMEOUT)]
    finally:
        consumer.close()


DRILLS = (
    Drill(
        "commands-recreated",
        "order-commands made anew under a stopped stack, then repaired",
        _drill("COMMANDS", _commands),
    ),
    Drill("events-recreated", "order-events made anew under a stopped stack, then repaired", _drill("EVENTS", _events)),
)

"""The ledger is stopped while guests order; started again, it writes everything down."""

import asyncio
import time

import uvloop

from app.audit.log import Topic, lag
from app.bench import load
from app.bench.drill import Outcome, acks_file, tables
from app.bench.stack import Stack, StackFailedError
from app.bench.tally import Tally
from app.topics import LEDGER_APP, ORDER_EVENTS

PATIENCE = 120.0  # s until an order that gets no answer is given up
DRAIN_SECONDS = 120.0
POLL = 0.05


def run(stack: Stack, *, orders: int = 5000, count: int = 32) -> Outcome:
    """Place `orders` orders at `count` tables while no ledger runs, start it, and see them arrive."""
    outcome = Outcome()
    tokens = stack.tokens(tables("CATCHUP", count))
    stack.command("scale", "ledger=0")
    try:
        with acks_file() as acks:
            plan = load.Plan(url=stack.url, tokens=tokens, seconds=0, acks=acks)
            tally = Tally(acks)
            try:
                uvloop.run(_order(plan, tally, orders))
            finally:
                tally.close()
            outcome.problems += tally.first_violations
            outcome.facts["acknowledged without ledger"] = str(len(tally.latencies))
            if len(tally.latencies) != orders:
                outcome.problems.append(f"{orders} orders were to be placed")
            _drain(stack, outcome)
            outcome.audit(stack, acks)
    finally:
        stack.command("scale", "ledger=1")
    return outcome


async def _order(plan: load.Plan, tally: Tally, orders: int) -> None:
    async with load.pool_of(plan) as pool:
        guests = await load.make_guests(plan, pool, tally, load.after(PATIENCE))

        async def place(number: int) -> None:
            for _ in range(number, orders, len(guests)):
                if not await guests[number].place():
                    return

        await asyncio.gather(*(place(number) for number in range(len(guests))))


def _drain(stack: Stack, outcome: Outcome) -> None:
    """Start the ledger and see its lag go to nothing; its own start is in the time, and its commits' interval."""
    topic = Topic(stack.settings.kafka_bootstrap, ORDER_EVENTS)
    try:
        behind = lag(stack.settings.kafka_bootstrap, LEDGER_APP, topic)
        outcome.facts["events queued"] = str(behind)
        started = time.monotonic()
        stack.command("scale", "ledger=1")
        while left := lag(stack.settings.kafka_bootstrap, LEDGER_APP, topic):
            if time.monotonic() > started + DRAIN_SECONDS:
                raise StackFailedError(f"the ledger is {left} events behind after {DRAIN_SECONDS:.0f} s")
            time.sleep(POLL)
        took = time.monotonic() - started
        outcome.facts["written down"] = f"{took:.2f} s after its start, {behind / took:,.0f} events/s with it"
    finally:
        topic.close()

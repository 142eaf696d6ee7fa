"""The ledger is stopped while guests order; started again, it writes everything down."""

import asyncio
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop

from app.audit.store import Store
from app.bench import load
from app.bench.stack import Stack, StackFailedError
from app.bench.tally import Tally
from app.drill.outcome import Outcome, acks_file, tables

PATIENCE = 120.0  # s until an order that gets no answer is given up
DRAIN_SECONDS = 120.0
POLL = 0.01


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
            _drain(stack, outcome, acks)
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


def _drain(stack: Stack, outcome: Outcome, acks: Path) -> None:
    """Start the ledger and look for each table's first and last order in Cassandra."""
    firsts, lasts = _ends(acks)
    store = Store(stack.settings)
    try:
        if store.which(firsts):
            outcome.problems.append("an order is in Cassandra although no ledger runs")
        with ThreadPoolExecutor() as beside:
            started = time.monotonic()
            scaled = beside.submit(stack.command, "scale", "ledger=1")  # returns when it is long at work
            began = _wait_for(store, firsts, some=True)
            ended = _wait_for(store, lasts, some=False)
            scaled.result()
    finally:
        store.close()
    queued = len(acks.read_text().splitlines())
    outcome.facts["all in Cassandra"] = f"{ended - started:.2f} s after the ledger's start"
    if ended > began:
        rate = queued / (ended - began)
        outcome.facts["drain rate"] = f"{rate:,.0f} orders/s ({ended - began:.2f} s from first to last)"


def _ends(acks: Path) -> tuple[list[str], list[str]]:
    """Each table's first and last order id."""
    firsts: dict[str, str] = {}
    lasts: dict[str, str] = {}
    for line in acks.read_text().splitlines():
        told = json.loads(line)
        firsts.setdefault(told["table"], told["order_id"])
        lasts[told["table"]] = told["order_id"]
    return list(firsts.values()), list(lasts.values())


def _wait_for(store: Store, order_ids: Sequence[str], *, some: bool) -> float:
    """When some or all of the orders are in Cassandra (`time.monotonic`).

    Raises:
        StackFailedError: they are not after DRAIN_SECONDS.
    """
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        found = len(store.which(order_ids))
        now = time.monotonic()
        if found == len(order_ids) or (some and found):
            return now
        if now > deadline:
            raise StackFailedError(f"after {DRAIN_SECONDS:.0f} s {found} of {len(order_ids)} orders are in Cassandra")
        time.sleep(POLL)

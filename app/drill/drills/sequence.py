"""A table's orders in a row: versions from 1 on, each once."""

import json

import uvloop

from app.bench import load
from app.bench.report import counts
from app.bench.stack import Stack
from app.bench.tally import Tally
from app.drill.outcome import Outcome, acks_file, tables

PATIENCE = 120.0  # s until an order that gets no answer is given up


def run(stack: Stack, *, orders: int = 1000) -> Outcome:
    """Place `orders` orders at one table, one after the other."""
    outcome = Outcome()
    with acks_file() as acks:
        plan = load.Plan(url=stack.url, tokens=stack.tokens(tables("SEQUENCE", 1)), seconds=0, acks=acks)
        tally = Tally(acks)
        try:
            first = uvloop.run(_place(plan, tally, orders))
        finally:
            tally.close()
        outcome.problems += tally.first_violations
        versions = [json.loads(line)["version"] for line in acks.read_text().splitlines()]
        outcome.facts["versions"] = f"{min(versions)} to {max(versions)}" if versions else "none"
        outcome.facts["answers"] = counts(tally.statuses)
        if versions != list(range(first + 1, first + 1 + orders)):
            outcome.problems.append(f"versions {first + 1} to {first + orders}, each once, were expected")
        outcome.audit(stack, acks)
    return outcome


async def _place(plan: load.Plan, tally: Tally, orders: int) -> int:
    """Place the orders; the table's version before."""
    async with load.pool_of(plan) as pool:
        [guest] = await load.make_guests(plan, pool, tally, load.after(PATIENCE))
        first = guest.version
        for _ in range(orders):
            if not await guest.place():
                break
    return first

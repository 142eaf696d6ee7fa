"""One order, thousands more at its table, then the first again: the first answer, whatever version it comes with."""

import uvloop

from app.bench import load
from app.bench.report import counts
from app.bench.stack import Stack
from app.bench.tally import Tally
from app.drill.outcome import Outcome, acks_file, tables

PATIENCE = 120.0  # s until an order that gets no answer is given up


def run(stack: Stack, *, orders: int = 5000) -> Outcome:
    """Place one order and `orders` more, then send the first with its old and with the current version."""
    outcome = Outcome()
    with acks_file() as acks:
        plan = load.Plan(url=stack.url, tokens=stack.tokens(tables("REPLAY", 1)), seconds=0, acks=acks)
        tally = Tally(acks)
        try:
            uvloop.run(_replay(plan, tally, orders, outcome))
        finally:
            tally.close()
        outcome.audit(stack, acks)
    return outcome


async def _replay(plan: load.Plan, tally: Tally, orders: int, outcome: Outcome) -> None:
    async with load.pool_of(plan) as pool:
        [guest] = await load.make_guests(plan, pool, tally, load.after(PATIENCE))
        for number in range(1 + orders):
            if not await guest.place():
                outcome.problems.append(f"order {number + 1} was not acknowledged")
                break
        for is_current in (False, True):
            await guest.send_again(guest.very_first, is_current)
    outcome.facts["placed before it was sent again"] = str(len(tally.latencies))
    outcome.facts["first answer"] = guest.very_first.first.decode()
    outcome.facts["answers"] = counts(tally.statuses)
    outcome.facts["violations"] = str(tally.violations)
    outcome.problems += tally.first_violations

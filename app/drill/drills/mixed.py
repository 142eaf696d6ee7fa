"""Many tables at once; orders sent twice, stale, and again: every answer as the contract says, every order once."""

import uvloop

from app.bench import load
from app.bench.guest import Shares
from app.bench.stack import Stack
from app.drill.outcome import Outcome, acks_file, tables


def run(stack: Stack, *, count: int = 32, seconds: float = 30.0, share: float = 0.1) -> Outcome:
    """`count` tables order for `seconds`; `share` of the orders each twice at once, stale, and sent again."""
    outcome = Outcome()
    with acks_file() as acks:
        plan = load.Plan(
            url=stack.url,
            tokens=stack.tokens(tables("MIXED", count)),
            seconds=seconds,
            shares=Shares(share, share, share),
            acks=acks,
        )
        outcome.load(uvloop.run(load.run(plan)))
        outcome.audit(stack, acks)
    return outcome

"""More workers and fewer while orders flow: none is lost, and the tables are served again within seconds."""

import asyncio

import uvloop

from app.bench import load
from app.bench.drill import Outcome, acks_file, tables
from app.bench.guest import Shares
from app.bench.stack import Stack


def run(
    stack: Stack, *, steps: tuple[int, ...] = (1, 4, 1), hold: float = 8.0, count: int = 16, rate: float = 100.0
) -> Outcome:
    """Scale the order workers through `steps` under `rate` orders/s at `count` tables, `hold` s at each."""
    outcome = Outcome()
    before = sum(name.startswith("orders-") for name, _ in stack.pids())
    stack.command("scale", f"orders={steps[0]}")
    with acks_file() as acks:
        plan = load.Plan(
            url=stack.url,
            tokens=stack.tokens(tables("SCALE", count)),
            seconds=hold,
            warmup=hold / 2,
            rate=rate,
            shares=Shares(0.1, 0.1, 0.1),
            acks=acks,
        )

        async def change() -> None:
            for step in steps[1:]:
                await asyncio.to_thread(stack.command, "scale", f"orders={step}")
                await asyncio.sleep(hold)

        result = uvloop.run(load.run(plan, change))
        outcome.facts["order workers"] = " → ".join(map(str, steps))
        outcome.facts["longest gap"] = f"{result.longest_gap:.0f} ms between two acknowledgements"
        outcome.facts["slowest order"] = f"{result.max:.0f} ms"
        outcome.load(result)
        outcome.audit(stack, acks)
    stack.command("scale", f"orders={before}")
    return outcome

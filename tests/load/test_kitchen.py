"""The kitchen under load, in its short form, on the stack of the test run: displays of ours and of another make."""

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest
import uvloop

from app.bench import kitchen, load
from app.bench import stack as bench
from app.bench.cooks import cooking
from app.bench.displays import ALL, Display, following
from app.bench.kitchen import Brigade
from app.bench.tally import Tally
from app.drill.outcome import tables
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.long]

ORDERS = 200
CUTS = 15
IDLE = 6.0  # s without a message, after which the example tells what it counted
WITHIN = 120.0  # s
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "ticket_consumer.py"


@pytest.fixture
def house(stack: Stack) -> bench.Stack:
    """The stack as the drills see it."""
    return bench.Stack(stack.environment, stack.settings)


async def place(house: bench.Stack, tokens: list[tuple[str, str]], orders: int) -> None:
    plan = load.Plan(url=house.url, tokens=tokens, seconds=0)
    async with load.pool_of(plan) as pool:
        guests = await load.make_guests(plan, pool, Tally(), load.after(WITHIN))
        for _ in range(orders // len(guests)):
            assert all(await asyncio.gather(*(guest.place() for guest in guests)))


async def of_each(house: bench.Stack, orders: int) -> list[str]:
    """What the example and two streams count of these orders."""
    tokens, staff = house.tokens(tables("EXAMPLE", 10)), kitchen.staff_token(house)
    url = house.settings.kitchen_url
    options = ["--bootstrap", house.settings.kafka_bootstrap, "--hours", "0", "--idle", str(IDLE)]
    example = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), *options, stdout=asyncio.subprocess.PIPE
    )
    assert example.stdout is not None
    try:
        async with asyncio.timeout(WITHIN), cooking(url, staff, 8, 2) as cooks:
            assert await example.stdout.readline() == b"following\n"
            streams = [Display(url, staff, ALL, heard=cooks.heard), Display(url, staff, ALL)]
            async with following(streams):
                await place(house, tokens, orders)
                said = (await example.stdout.read()).decode().splitlines()
    finally:
        if example.returncode is None:
            example.kill()
        await example.wait()
    return [said[-1], *(counted(stream) for stream in streams)]


def counted(display: Display) -> str:
    """What a stream was told of, in the words of the example."""
    known = {ticket_id for ticket_id, _ in display.told}
    states = Counter(state for ticket_id, (_, state) in display.states.items() if ticket_id in known)
    return " ".join([f"tickets={len(known)}", *(f"{state}={count}" for state, count in sorted(states.items()))])


def test_a_display_of_another_make_counts_the_same_tickets_as_two_streams(house: bench.Stack) -> None:
    example, one, other = uvloop.run(of_each(house, ORDERS))
    assert example == one == other
    assert int(example.split()[0].removeprefix("tickets=")) >= ORDERS


def test_who_reconnects_at_random_moments_lacks_no_version_and_gets_none_twice(house: bench.Stack) -> None:
    brigade = Brigade(displays=2, cooks=8, cuts=CUTS, seed=1)
    [found] = uvloop.run(kitchen.run(house, brigade, [30.0], tables=8, seconds=3, warmup=0))
    assert found.problems == []
    assert found.cutter is not None
    assert found.cutter.cut == CUTS
    assert (found.cutter.missing, found.cutter.repeated, found.cutter.went_back) == ([], 0, 0)
    assert (found.missing, found.repeated) == (0, 0)
    assert found.cutter.expected > 30 * 3
    assert 0 < found.p50 <= found.p99 <= found.max
    assert found.kitchen_cpu > 0
    assert any("from the 201 to the card" in line for line in kitchen.lines(found))

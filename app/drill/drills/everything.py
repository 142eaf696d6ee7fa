"""Every process is killed at once; started again, tables and order ids are as before."""

import asyncio
import os
import signal

import uvloop

from app.bench import load
from app.bench.guest import Guest, Order
from app.bench.stack import UP_SECONDS, Stack
from app.bench.tally import Tally
from app.drill.drill import Drill
from app.drill.outcome import Outcome, acks_file, tables
from app.drill.timeline import Timeline
from app.stack import client, process
from app.stack.layout import Layout

PATIENCE = 120.0  # s until an order that gets no answer is given up
ORDERS = 5000
TABLES = 32


def run(stack: Stack, *, orders: int = ORDERS) -> Outcome:
    """Place orders, kill all while more flow, start all, and send every one of the old orders again: none is placed."""
    outcome = Outcome(timeline=Timeline())
    with acks_file() as acks:
        plan = load.Plan(url=stack.url, tokens=stack.tokens(tables("EVERYTHING", TABLES)), seconds=0, acks=acks)
        assert outcome.timeline
        tally = Tally(acks, outcome.timeline.heard)
        try:
            uvloop.run(_play(stack, plan, tally, orders, outcome))
        finally:
            tally.close()
        outcome.problems += tally.first_violations
        outcome.retries = tally.statuses["503"] + tally.statuses["lost"]
        outcome.audit(stack, acks)
    return outcome


async def _play(stack: Stack, plan: load.Plan, tally: Tally, orders: int, outcome: Outcome) -> None:
    assert outcome.timeline
    async with load.pool_of(plan) as pool:
        guests = await load.make_guests(plan, pool, tally, load.after(PATIENCE + UP_SECONDS))
        await _each(guests, orders)
        ending = asyncio.Event()
        flow = [asyncio.create_task(_flow(guest, ending)) for guest in guests]
        await asyncio.sleep(1.0)
        outcome.timeline.mark("kill -9 of all processes")
        killed = _kill_all(stack)
        await asyncio.to_thread(stack.command, "up", "--with-process", str(os.getpid()), timeout=UP_SECONDS)
        again = outcome.timeline.mark("all is up again", is_fault=False)
        while outcome.timeline.unserved([guest.table for guest in guests], again):  # noqa: ASYNC110 - told by acks
            await asyncio.sleep(0.1)
        outcome.served_again.append(outcome.timeline.served_again(again))
        ending.set()
        await asyncio.gather(*flow)
        outcome.facts["killed"] = ", ".join(killed)
        await compare(guests, outcome)


async def _each(guests: list[Guest], orders: int) -> None:
    async def place(number: int) -> None:
        for _ in range(number, orders, len(guests)):
            await guests[number].place()

    await asyncio.gather(*(place(number) for number in range(len(guests))))


async def _flow(guest: Guest, ending: asyncio.Event) -> None:
    while not ending.is_set():
        await guest.place()
        await asyncio.sleep(0.2)


def _kill_all(stack: Stack) -> list[str]:
    layout = Layout(stack.settings.data_dir)
    overseer = client.supervisor(layout)
    found = [*([overseer.record] if overseer else []), *process.records(layout).values()]
    for record in found:
        record.send(signal.SIGKILL)
    return [record.name for record in found]


async def compare(guests: list[Guest], outcome: Outcome) -> None:
    """Each table's version is what its pad was told, and each old order gets its first answer once more."""
    versions = [guest.version for guest in guests]
    for guest in guests:
        await guest.sit_down()
    moved = [guest.table for guest, version in zip(guests, versions, strict=True) if guest.version != version]
    if moved:
        outcome.problems.append(f"other versions than before: {', '.join(moved)}")
    old = [(guest, order) for guest in guests for order in guest.known]

    async def send(share: list[tuple[Guest, Order]]) -> None:
        for guest, order in share:
            await guest.send_again(order, with_current_version=True)

    await asyncio.gather(*(send(old[start::64]) for start in range(64)))
    for guest, version in zip(guests, versions, strict=True):
        await guest.sit_down()
        if guest.version != version:
            outcome.problems.append(f"{guest.table}: old orders moved its version from {version} to {guest.version}")
    outcome.facts["sent again"] = f"{len(old)} old orders, each answered as first, none placed"


DRILLS = (
    Drill(
        "everything-killed",
        f"kill -9 of all processes at once, then {ORDERS:,} old orders again",
        lambda stack, _: run(stack),
    ),
)

"""More than can be taken: a pad that floods, three times the capacity, and a cache that is called and says nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import uvloop

from app import metrics
from app.bench import overload
from app.bench.flood import flooding
from app.bench.load import Plan, pool_of
from app.bench.pages import figure
from app.bench.report import counts
from app.bench.stack import Stack
from app.bench.tally import Tally
from app.drill.drill import Drill, fault
from app.drill.outcome import Outcome, acks_file, tables
from app.drill.pad import Pad
from app.drill.scene import Scene
from app.drill.stand import Stand

WORKERS = (1, 2)

# ── one token that sends fifty times what it may ──────────────────────────────────────────────────────────────────────

GUESTS, EVERY = 40, 15.0  # tables that order as usual, each so often (s)
TIMES, A_MINUTE = 50, 100  # how much more than a token may send in a minute
FLOODED = 45.0  # s
SLOWER = 100.0  # ms that p99 of the others may rise by


def _flood(stack: Stack, seed: int) -> Outcome:
    return _flooded(stack, seed, lambda _: None, most=stack.settings.limits.table_per_minute)


def _flood_without_redis(stack: Stack, seed: int) -> Outcome:
    """What was counted is gone with Redis; each worker remembers what it let in itself."""
    each = stack.settings.limits.table_per_minute
    return _flooded(stack, seed, _kill_redis, most=each * len(WORKERS))


def _kill_redis(stack: Stack) -> None:
    os.kill(dict(stack.pids())["redis-1"], signal.SIGKILL)


def _flooded(stack: Stack, seed: int, half_way: Callable[[Stack], None], *, most: int) -> Outcome:
    """A flood in the middle of which something happens; `most` of its orders may be accepted."""
    del seed
    outcome = Outcome()
    with acks_file() as acks:
        names = tables("FLOOD-GUEST", GUESTS)
        plan = Plan(url=stack.url, tokens=stack.tokens(names), seconds=FLOODED)
        one = Plan(url=stack.url, tokens=stack.tokens(["FLOOD-ONE"]), seconds=FLOODED)
        tally, flooder = Tally(acks), Tally()
        try:
            uvloop.run(_beside(plan, one, tally, flooder, outcome, lambda: half_way(stack)))
        finally:
            tally.close()
        if flooder.statuses["201"] > most:
            outcome.problems.append(f"{flooder.statuses['201']} orders of the flood were accepted, not {most} at most")
        outcome.audit(stack, acks)
    return outcome


async def _beside(
    plan: Plan, one: Plan, tally: Tally, flooder: Tally, outcome: Outcome, half_way: Callable[[], None]
) -> None:
    may = A_MINUTE / 60
    async with flooding(plan, tally) as guests, flooding(one, flooder) as flood:
        tally.begin()
        await guests.run(GUESTS / EVERY, plan.seconds)
        alone = _of_guests(tally, "without the flood", outcome)
        tally.begin()
        flooder.begin()
        await asyncio.gather(
            guests.run(GUESTS / EVERY, plan.seconds),
            flood.run(TIMES * may, plan.seconds),
            _after(plan.seconds / 2, half_way),
        )
        beside = _of_guests(tally, "beside the flood", outcome)
        flooder.end()
    outcome.facts["the flood"] = f"{TIMES * may:.0f} requests/s: {counts(dict(sorted(flooder.statuses.items())))}"
    outcome.problems += tally.first_violations
    if beside > alone + SLOWER:
        outcome.problems.append(f"p99 of the others rose from {alone:.0f} to {beside:.0f} ms")
    if flooder.statuses["429"] < sum(flooder.statuses.values()) / 2:
        outcome.problems.append("most of the flood was not refused")


async def _after(seconds: float, happens: Callable[[], None]) -> None:
    await asyncio.sleep(seconds)
    await asyncio.to_thread(happens)


def _of_guests(tally: Tally, when: str, outcome: Outcome) -> float:
    """Tell how those fared who order as usual; p99 in ms."""
    tally.end()
    [p99] = tally.series.percentiles(0.99)
    asked, accepted = sum(tally.statuses.values()), tally.statuses["201"]
    outcome.facts[f"orders as usual, {when}"] = f"{accepted} of {asked} accepted, p99 {p99:.1f} ms"
    if accepted < asked:
        outcome.problems.append(f"{when} {asked - accepted} orders as usual were refused: {counts(tally.statuses)}")
    return p99


# ── three times what can be taken ─────────────────────────────────────────────────────────────────────────────────────

OVERLOADED = 30.0  # s
ENOUGH = 0.5  # of what can be taken; the load generator takes its part of the machine, too


def _overload(stack: Stack, seed: int) -> Outcome:
    del seed
    outcome = Outcome()
    with acks_file() as acks:
        can = uvloop.run(overload.capacity(stack))
        found = uvloop.run(overload.run(stack, can, OVERLOADED, tables=300, acks=acks))
        for line in found.lines():
            name, _, fact = line.partition("  ")
            outcome.facts[name] = fact.strip()
        outcome.problems += found.first_violations
        if found.share < ENOUGH:
            outcome.problems.append(f"only {100 * found.share:.0f} % of what can be taken was")
        if found.recovered is None:
            outcome.problems.append("orders were not answered as before when it was over")
        outcome.audit(stack, acks)
    return outcome


# ── a cache that takes calls and says nothing ─────────────────────────────────────────────────────────────────────────

SILENT = 12.0  # s
ASK_EVERY = 0.1  # s
AHEAD = 1_000_000_000  # a revision of the menu that nobody has: whoever asks for it has the worker look for it

Told = Callable[[metrics.Metric], Sequence[float]]  # of each worker


@asynccontextmanager
async def _asked(scene: Scene) -> AsyncIterator[None]:
    """Guests have both workers look for a newer menu all the time."""
    [(table, token)] = await asyncio.to_thread(scene.stack.tokens, ["BLACK-HOLE"])

    async def ask(worker: int) -> None:
        port = scene.stack.settings.ports.of("orders", worker)
        async with pool_of(Plan(url=f"http://127.0.0.1:{port}", tokens=(), seconds=0)) as pool:
            pad = Pad(pool, table, token)
            while True:
                await pad.order("never", 0, shown=AHEAD)
                await asyncio.sleep(ASK_EVERY)

    asking = [asyncio.create_task(ask(worker)) for worker in WORKERS]
    try:
        yield
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def _black_hole(scene: Scene) -> None:
    settings, longest = scene.stack.settings, scene.stack.settings.breakers.longest

    def told(metric: metrics.Metric) -> Sequence[float]:
        return [figure(settings, metric, worker, breaker="redis") for worker in WORKERS]

    async with _asked(scene):
        before = await asyncio.to_thread(_standing, told)
        mark = scene.fault(f"redis-1 silent for {SILENT:.0f} s")
        began = monotonic()
        scene.send(signal.SIGSTOP, "redis-1")
        try:
            await scene.until(
                lambda: max(told(metrics.BREAKER_OPENINGS)) > max(before["openings"]), "no breaker opened"
            )
            opened = monotonic() - began
            await scene.served(mark)
            await asyncio.sleep(max(0.0, SILENT - (monotonic() - began)))
            during = await asyncio.to_thread(_standing, told)
        finally:
            scene.send(signal.SIGCONT, "redis-1")
        back = monotonic()
        scene.healed("redis-1 answers")
        await scene.until(lambda: not any(told(metrics.BREAKER_STATE)), "a breaker is not closed", longest + 5)
        closed = monotonic() - back
        after = await asyncio.to_thread(_standing, told)
    facts = scene.outcome.facts
    facts["breakers opened"] = f"the first {opened:.1f} s after the fault"
    facts["while it was silent"] = "; ".join(
        f"orders-{worker}: " + ", ".join(f"{name} {during[name][at] - before[name][at]:.0f}" for name in during)
        for at, worker in enumerate(WORKERS)
    )
    facts["breakers closed"] = f"the last {closed:.1f} s after it answered again"
    for at, worker in enumerate(WORKERS):
        opened_so_often = after["openings"][at] - before["openings"][at]
        tried = after["trials"][at] - before["trials"][at]
        if tried != opened_so_often:  # each opening is ended by one trial, and by no second one
            scene.outcome.problems.append(f"orders-{worker}: {tried:.0f} trials for {opened_so_often:.0f} openings")


def _standing(told: Told) -> dict[str, Sequence[float]]:
    return {
        "openings": told(metrics.BREAKER_OPENINGS),
        "trials": told(metrics.BREAKER_TRIALS),
        "rejected": told(metrics.BREAKER_REJECTED),
    }


# With the limits that a house has, and with none but what the load sets.
LIMITED = Stand(settings=(("LIMITS__ENABLED", "true"),))
BY_LOAD = Stand(settings=tuple((name.removeprefix("BISTRO92_"), value) for name, value in overload.LIMITED.items()))

ON_PLAIN = (
    fault("redis-black-hole", f"Redis takes calls and does not answer for {SILENT:.0f} s; breakers", _black_hole),
)
DRILLS = (
    Drill(
        "flood", f"a token sends {TIMES} times what it may beside {GUESTS} tables that order as usual", _flood, LIMITED
    ),
    Drill("flood-redis-killed", "the same flood, with kill -9 of Redis in its middle", _flood_without_redis, LIMITED),
    Drill("overload", f"three times what can be taken for {OVERLOADED:.0f} s", _overload, BY_LOAD),
)

"""Kitchen workers die, sleep and stay away while orders flow, displays follow and cooks work.

At the end each display is compared with the log, one of them a client that cuts its connection all the time; and each
order's tickets must be there, and say one thing at each version: nothing is cooked twice.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from app.bench.displays import ALL, Display
from app.bench.kitchen import Brigade, Kitchen, at_work, staff_token
from app.bench.report import counts
from app.bench.stack import Stack
from app.bench.tickets import Orders, of_orders
from app.drill import late_rows
from app.drill.drill import BRIEF, Drill
from app.drill.outcome import Outcome
from app.drill.scene import CALM, NotHealedError, Scene, play
from app.drill.stand import PLAIN, Stand
from app.drill.timeline import Mark
from app.topics import KITCHEN_CHANGELOG

WORKERS = ("kitchen-1", "kitchen-2")
BRIGADE = Brigade(displays=8, cooks=8, bumps=3, cuts=100_000)  # a display for each station, and one for all
RATE = 50.0  # orders/s: each makes several tickets, and each of these five changes
SLEEPS = 10.0  # s
AWAY_ORDERS = 1000
SHOWN_WITHIN = 60.0  # s until each display shows what was ordered after a fault
TOLD_WITHIN = 60.0  # s until all tickets are there

# Nobody kills the sleeper, or it would not wake up.
SLEEPY = Stand(settings=(("LIVENESS__UNANSWERED", "120"),))

Happens = Callable[[Scene, Kitchen], Awaitable[None]]


def _drill(name: str, title: str, happens: Happens, stand: Stand = PLAIN, calm: float = CALM) -> Drill:
    """A drill with a brigade at work, whose displays are compared at the end."""

    async def fault(scene: Scene) -> None:
        async with _brigade(scene) as kitchen:
            await scene.pause()
            await happens(scene, kitchen)
            await scene.settle()
            await _look(scene, kitchen)

    def run(stack: Stack, seed: int) -> Outcome:
        outcome = play(stack, name, fault, seed=seed, rate=RATE, before=calm, after=calm)
        _compare(stack, name, outcome)
        return outcome

    return Drill(name, title, run, stand)


@asynccontextmanager
async def _brigade(scene: Scene, brigade: Brigade = BRIGADE) -> AsyncIterator[Kitchen]:
    token = await asyncio.to_thread(staff_token, scene.stack)
    async with at_work(scene.stack, brigade, token) as kitchen:
        yield kitchen


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _shown(scene: Scene, kitchen: Kitchen, mark: Mark) -> None:
    """Return once each display that has something to show shows what was ordered after the mark; note the gaps."""
    await scene.until(
        lambda: all(_has_shown(display, mark) for display in kitchen.displays),
        f"a display shows nothing that was ordered after {mark.text}",
        SHOWN_WITHIN,
    )
    now = time.perf_counter()
    gaps = [display.longest_gap(mark.at, now) for display in kitchen.displays if display.times]
    known = scene.outcome.facts.get("longest gap on a display")
    longest = max(gaps, default=0.0)
    if known is None or longest > float(known.split()[0]):
        scene.outcome.facts["longest gap on a display"] = f"{longest:.2f} s"


def _has_shown(display: Display, mark: Mark) -> bool:
    written = len("2026-11-26T19:58:03.120")
    is_empty = display.station != ALL and not display.times  # nobody orders what this station makes
    return is_empty or display.newest[:written] > mark.moment[:written]


async def _look(scene: Scene, kitchen: Kitchen) -> None:
    """Compare each display with the log, while orders go on."""
    outcome = scene.outcome
    for display in kitchen.displays:
        display.stay()
    if not await kitchen.caught_up():
        outcome.problems.append("the displays do not show what the log says")
    counted = await kitchen.counted()
    *plain, cutter = counted
    outcome.facts["displays"] = (
        f"{len(plain)}, {sum(one.received for one in plain)} versions of tickets, "
        f"{sum(len(one.missing) for one in plain)} missing, {sum(one.repeated for one in plain)} repeated, "
        f"{sum(one.snapshots - 1 for one in plain)} new snapshots, {sum(one.broken for one in plain)} connections broke"
    )
    outcome.facts["a client that cut its connection"] = (
        f"{cutter.cut} times: {cutter.received} versions, {len(cutter.missing)} missing, {cutter.repeated} repeated, "
        f"{cutter.snapshots - 1} new snapshots"
    )
    outcome.facts["cooks were answered"] = counts(dict(sorted(kitchen.cooks.answers.items())))
    outcome.problems += kitchen.cooks.wrong[:5]
    for number, one in enumerate(counted, 1):
        if one.missing:
            outcome.problems.append(f"display {number} ({one.station}) lacks {len(one.missing)}: {one.missing[:3]}")
        if one.repeated and one.snapshots == 1:
            outcome.problems.append(f"display {number} ({one.station}) was told of {one.repeated} versions again")
        if one.went_back:
            outcome.problems.append(f"display {number} ({one.station}): {one.went_back} tickets went back")


def _compare(stack: Stack, name: str, outcome: Outcome) -> None:
    """Each order of the drill has its tickets, as soon as the kitchen has come so far."""
    found = _tickets(stack, name)
    outcome.facts["tickets"] = f"{found.tickets} of {found.orders} orders, {len(found.wrong)} wrong"
    outcome.problems += found.wrong[:5]
    if found.differing:
        outcome.problems.append(f"{found.differing} messages say something else than one of the same version")


def _tickets(stack: Stack, name: str) -> Orders:
    deadline = time.monotonic() + TOLD_WITHIN
    while True:
        found = of_orders(stack.settings, lambda table: table.startswith(f"{name}-"))
        if not found.wrong or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


# ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def _kill(scene: Scene, kitchen: Kitchen, *names: str) -> None:
    mark, pids = scene.kill(*names)
    await _shown(scene, kitchen, mark)
    await scene.back(pids)
    for name in names:
        scene.noticed(mark, rf"\b{name} ended")


async def _killed(scene: Scene, kitchen: Kitchen, times: int = 5) -> None:
    for _ in range(times):
        await scene.pause(1.0, 3.0)
        await _kill(scene, kitchen, scene.random.choice(WORKERS))


async def _killed_once(scene: Scene, kitchen: Kitchen) -> None:
    await _killed(scene, kitchen, times=1)


async def _both_killed(scene: Scene, kitchen: Kitchen) -> None:
    await _kill(scene, kitchen, *WORKERS)


async def _broker_killed(scene: Scene, kitchen: Kitchen) -> None:
    await _kill(scene, kitchen, "kafka-1")
    said = sum(display.not_current for display in kitchen.displays)
    scene.outcome.facts["beats that said so"] = str(said)


async def _scaled(scene: Scene, kitchen: Kitchen) -> None:
    for count in (3, 2):
        mark = scene.fault(f"scale to {count} kitchen workers")
        await scene.command("scale", f"kitchen={count}")
        await scene.ready()
        await _shown(scene, kitchen, mark)
        await scene.pause()


async def _stopped(scene: Scene, kitchen: Kitchen) -> None:
    """A worker sleeps past its session, wakes up and ends itself; then old records arrive, which the owner mends."""
    for victim in WORKERS:
        old = await asyncio.to_thread(late_rows.last_of, scene, KITCHEN_CHANGELOG)
        mark = scene.fault(f"SIGSTOP {victim} for {SLEEPS:.0f} s")
        pids = scene.send(signal.SIGSTOP, victim)
        try:
            await asyncio.sleep(SLEEPS)
        finally:
            scene.send(signal.SIGCONT, victim)
        await _shown(scene, kitchen, mark)
        await scene.back(pids)
        late = scene.timeline.mark(f"{len(old)} old records arrive", is_fault=False)
        await asyncio.to_thread(late_rows.append, scene, KITCHEN_CHANGELOG, old)
        await scene.until(lambda late=late: _is_mended(scene, late), "no owner said its records again")  # type: ignore[misc]
        await scene.settle()
    scene.outcome.facts["old records"] = "said again by their owner; no ticket went back"


def _is_mended(scene: Scene, late: Mark) -> bool:
    return any(scene.said(name, "a stranger wrote records", late) for name in WORKERS)


# ── no kitchen at all ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _no_kitchen(scene: Scene) -> None:
    await scene.command("scale", "kitchen=0")
    mark = scene.fault("no kitchen worker runs")
    before = scene.timeline.count
    await scene.served(mark)
    await scene.until(
        lambda: scene.timeline.count - before >= AWAY_ORDERS, f"{AWAY_ORDERS} orders were not taken without a kitchen"
    )
    scene.outcome.facts["orders without a kitchen"] = str(scene.timeline.count - before)
    may = scene.timeline.mark("the kitchen may start", is_fault=False)
    await scene.command("scale", "kitchen=2")
    async with _brigade(scene) as kitchen:
        await _shown(scene, kitchen, may)
        if not await kitchen.caught_up(TOLD_WITHIN):
            raise NotHealedError("the displays do not show what the log says")
        seconds = time.perf_counter() - may.at
        scene.outcome.facts["all that had waited on the displays"] = f"{seconds:.1f} s after the command to start"
        await scene.settle()
        await _look(scene, kitchen)


def _away(stack: Stack, seed: int) -> Outcome:
    name = "kitchen-away"
    outcome = play(stack, name, _no_kitchen, seed=seed, rate=RATE)
    _compare(stack, name, outcome)
    return outcome


ON_PLAIN = (
    _drill("kitchen-killed", "kill -9 of a kitchen worker, five times, with displays and cooks at work", _killed),
    _drill("kitchen-both-killed", "kill -9 of both kitchen workers at once", _both_killed),
    _drill("kitchen-scaled", "from two kitchen workers to 3 and 2", _scaled),
    Drill("kitchen-away", f"no kitchen worker runs while {AWAY_ORDERS:,} orders come", _away),
    _drill(
        "kitchen-broker-killed", "kill -9 of the only Kafka broker, with displays and cooks at work", _broker_killed
    ),
)
DRILLS = (
    _drill(
        "kitchen-stopped", f"each kitchen worker sleeps for {SLEEPS:.0f} s; old records arrive late", _stopped, SLEEPY
    ),
)
SHORT = (
    _drill("kitchen-killed-once", "kill -9 of a kitchen worker", _killed_once, calm=BRIEF),
    _drill("kitchen-scaled-once", "from two kitchen workers to 3 and 2", _scaled, calm=BRIEF),
)

"""Three times what a stack can take, for a minute: what it still does of it, and how soon all is as before."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from time import process_time

from app.bench import load
from app.bench.flood import Flood, flooding
from app.bench.load import Plan, Process
from app.bench.processes import Meter
from app.bench.report import columns, counts
from app.bench.series import Second
from app.bench.stack import Stack
from app.bench.tally import Tally

TIMES = 3.0  # what can be taken
CALM_SHARE = 0.3  # of what can be taken, before and after
CLOSED_TABLES = 32
CLOSED, WARM, CALM, AFTER = 20.0, 20.0, 10.0, 20.0  # s
STEADY = 3  # seconds in a row; a machine that is shared has a late one now and then
NORMAL_TIMES, NORMAL_LEAST = 2.0, 50.0  # above the calm p99 by so much, or below so many ms, is as normal

# Without any limit, to find what can be taken; and with those of the load alone.
UNLIMITED: Mapping[str, str] = {"BISTRO92_LIMITS__ENABLED": "false", "BISTRO92_ADMISSION__ENABLED": "false"}
LIMITED: Mapping[str, str] = {
    "BISTRO92_LIMITS__ENABLED": "true",
    "BISTRO92_LIMITS__TABLE_PER_MINUTE": "0",
    "BISTRO92_LIMITS__SOURCE_WRITES_PER_MINUTE": "0",
    "BISTRO92_LIMITS__SOURCE_READS_PER_MINUTE": "0",
    "BISTRO92_LIMITS__ADDRESS_PER_MINUTE": "0",
}


@dataclass(frozen=True)
class Overload:
    """What was found: orders/s, latencies in ms of what was accepted.

    `capacity` is the mean of `capacities`, found before the overload and after it; `generator`: cores that it took;
    `calm_p99` is of the median second; `recovered` in s, None where it did not.
    """

    capacity: float
    capacities: tuple[float, ...]
    offered: float
    seconds: float
    goodput: float
    p50: float
    p99: float
    answers: dict[str, int]
    unsent: int
    generator: float
    violations: int
    first_violations: list[str]
    calm_p99: float
    recovered: float | None
    processes: list[Process]
    timeline: list[Second]
    after: list[Second]

    @property
    def share(self) -> float:
        """Of what can be taken, what was."""
        return self.goodput / self.capacity

    def figures(self) -> dict[str, float]:
        """The key figures by name."""
        return {
            "capacity orders/s": round(self.capacity, 1),
            "goodput orders/s": round(self.goodput, 1),
            "goodput %": round(100 * self.share, 1),
            "p99 ms": self.p99,
            "recovered s": -1.0 if self.recovered is None else self.recovered,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        found = zip(self.capacities, ("before it", "after it"), strict=False)  # the second is not always looked for
        told = ", ".join(f"{each:,.0f} {when}" for each, when in found)
        yield from columns(
            [
                ("can be taken", f"{self.capacity:,.0f} orders/s, closed loop at {CLOSED_TABLES} tables: {told}"),
                ("offered", f"{self.offered:,.0f} orders/s for {self.seconds:.0f} s; {self.unsent} of them not sent"),
                ("accepted", f"{self.goodput:,.0f} orders/s, {100 * self.share:.0f} % of what can be taken"),
                ("p50, p99", f"{self.p50:.0f} ms, {self.p99:.0f} ms, from when they were due"),
                ("answers", counts(self.answers)),
                ("violations", str(self.violations)),
                ("the load took", f"{self.generator:.2f} cores"),
                ("p99 before", f"{self.calm_p99:.0f} ms at {100 * CALM_SHARE:.0f} % of what can be taken"),
                (
                    "as before",
                    "not within " + f"{AFTER:.0f} s" if self.recovered is None else f"{self.recovered:.0f} s after",
                ),
                *(
                    (each.name, f"{each.peak_mb:.0f} MB at most, {each.resident_mb:.0f} at the end")
                    for each in self.processes
                ),
            ]
        )
        yield from self.first_violations


async def capacity(stack: Stack) -> float:
    """Orders/s in a closed loop."""
    tokens = stack.tokens([f"CLOSED-{number}" for number in range(1, CLOSED_TABLES + 1)])
    plan = Plan(url=stack.url, tokens=tokens, seconds=CLOSED, warmup=WARM)
    return (await load.run(plan)).orders_per_second


async def run(stack: Stack, can: float, seconds: float, *, tables: int, acks: Path | None = None) -> Overload:
    """Offer three times `can` orders/s for so long.

    Raises:
        LoadError: nobody answers.
    """
    tokens = await asyncio.to_thread(stack.tokens, [f"FLOOD-{number}" for number in range(1, tables + 1)])
    plan, tally = Plan(url=stack.url, tokens=tokens, seconds=seconds), Tally(acks)
    try:
        async with flooding(plan, tally) as flood:
            await _phase(flood, tally, CALM_SHARE * can, WARM)
            calm = median(second.p99 for second in await _phase(flood, tally, CALM_SHARE * can, CALM))
            meter = Meter([(name, pid) for name, pid in stack.pids() if name.startswith("orders-")])
            cpu = process_time()
            timeline = await _phase(flood, tally, TIMES * can, seconds)
            cpu = process_time() - cpu
            p50, p99 = tally.series.percentiles(0.5, 0.99)
            accepted, answers, unsent = tally.series.count, dict(sorted(tally.statuses.items())), flood.unsent
            usages = meter.read()
            after = await _phase(flood, tally, CALM_SHARE * can, AFTER)
    finally:
        tally.close()
    return Overload(
        capacity=can,
        capacities=(can,),
        offered=TIMES * can,
        seconds=seconds,
        goodput=accepted / seconds,
        p50=p50,
        p99=p99,
        answers=answers,
        unsent=unsent,
        generator=cpu / seconds,
        violations=tally.violations,
        first_violations=tally.first_violations,
        calm_p99=calm,
        recovered=recovered(after, max(NORMAL_TIMES * calm, NORMAL_LEAST)),
        processes=load.processes_of(usages, accepted),
        timeline=list(timeline),
        after=list(after),
    )


def with_capacity_after(found: Overload, can: float) -> Overload:
    """With what could be taken when it was over, too."""
    capacities = (*found.capacities, can)
    return replace(found, capacity=fmean(capacities), capacities=capacities)


async def _phase(flood: Flood, tally: Tally, rate: float, seconds: float) -> Sequence[Second]:
    tally.begin()
    await flood.run(rate, seconds)
    tally.end()
    return tally.series.seconds


def recovered(after: Sequence[Second], normal: float) -> float | None:
    """The second (from 0) from which on `STEADY` in a row have a p99 of at most `normal` ms; None without any."""
    is_normal = [bool(second.count) and second.p99 <= normal for second in after]
    starts = range(len(after) - STEADY + 1)
    return next((float(first) for first in starts if all(is_normal[first : first + STEADY])), None)

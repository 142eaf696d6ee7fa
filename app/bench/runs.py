"""The same load several times on one warm server, or in turns on two; the run in the middle is the result."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.bench.load import WARM_AGAIN, Result
from app.bench.menu import Reads
from app.bench.mixed import Mixed

R = TypeVar("R", Result, Reads, Mixed)

RunOnce = Callable[[float], Awaitable[R]]  # with s of warm-up


@dataclass(frozen=True)
class Runs(Generic[R]):
    """All runs in their order, and the one in the middle."""

    every: Sequence[R]
    median: R


async def repeat(run: RunOnce[R], warmup: float, runs: int) -> Runs[R]:
    """Run so many times; what is warm needs less warm-up."""
    every = [await run(warmup if number == 0 else min(warmup, WARM_AGAIN)) for number in range(runs)]
    return of(every)


async def take_turns(other: RunOnce[R], ours: RunOnce[R], warmup: float, runs: int) -> tuple[Runs[R], Runs[R]]:
    """Run on the other server and on ours, so many times each, in turns: the machine's mood falls on both."""
    theirs: list[R] = []
    own: list[R] = []
    for number in range(runs):
        for run, results in ((other, theirs), (ours, own)):
            results.append(await run(warmup if number == 0 else min(warmup, WARM_AGAIN)))
    return of(theirs), of(own)


def of(every: Sequence[R]) -> Runs[R]:
    """The middle one by what was answered per second; where that was given, by the p50. Of two the worse one."""
    ordered = sorted(every, key=_worth, reverse=True)
    return Runs(every, ordered[len(ordered) // 2])


def _worth(result: Result | Reads | Mixed) -> float:
    if isinstance(result, Mixed):
        return _worth(result.orders)
    if result.pace != "closed loop":
        return -result.p50
    return result.orders_per_second if isinstance(result, Result) else result.reads_per_second

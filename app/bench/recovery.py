"""How long a table waits for its next owner when the restaurant has a long past: changelogs read after a kill -9."""

import asyncio
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import psutil
import uvloop

from app.audit.log import Group, Topic
from app.bench import load
from app.bench.past import Past
from app.bench.stack import Stack, StackFailedError
from app.settings import Settings
from app.topics import ORDER_COMMANDS, ORDER_IDS_CHANGELOG, ORDERS_APP, TABLES_CHANGELOG

NEVER = 86_400.0  # s of compaction lag: nothing is compacted meanwhile
KILLED, SURVIVOR = "orders-1", "orders-2"
GUESTS = 16  # tables that order while the worker dies
LAG_WITHIN = 120.0  # s, until the group has decided all of the past
READY_WITHIN = 120.0  # s, until the killed worker is ready again
STILL = 10.0  # s, and half the compaction lag: without a smaller size for so long beyond the lag, compaction is done
COMPACTED_WITHIN = 600.0  # s
LOOK_EVERY = 0.2
MB = 1024 * 1024

_READ = re.compile(r'event="changelog read" .*records=(\d+) seconds=([\d.]+)')


@dataclass(frozen=True)
class Changelog:
    """A changelog as it stands: for each partition, records that are left and bytes of its files."""

    topic: str
    records: list[int]
    bytes: list[int]


@dataclass(frozen=True)
class Recovery:
    """What a worker read when it took tables over: of each changelog, in s altogether; `again`: the one killed."""

    worker: str
    records: int
    seconds: float


@dataclass(frozen=True)
class Death:
    """A worker killed under a light load: gaps in ms, memory of the survivor in MB."""

    when: str
    changelogs: list[Changelog]
    recoveries: list[Recovery]
    longest_gap: float
    slowest: float
    memory_mb: float
    orders: int
    problems: list[str]


@dataclass
class Report:
    """What was found; `lag` is the compaction lag in s from the second death on, `waited` s for the compaction."""

    orders: int
    tables: int
    fill_seconds: float
    lag: float
    memory_before_mb: float
    memory_after_mb: float
    waited: float = 0.0
    deaths: list[Death] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What is not as promised."""
        return [problem for death in self.deaths for problem in death.problems]

    @property
    def figures(self) -> dict[str, float]:
        """The key figures by name; latencies in ms."""
        found = {"decided orders/s": round(self.orders / self.fill_seconds, 1), "memory MB": self.memory_after_mb}
        for number, death in enumerate(self.deaths, 1):
            found[f"death {number}, longest gap ms"] = death.longest_gap
            found[f"death {number}, slowest ms"] = death.slowest
            found[f"death {number}, memory MB"] = death.memory_mb
            found[f"death {number}, records read"] = sum(recovery.records for recovery in death.recoveries)
        return found

    def lines(self) -> Iterator[str]:
        """The figures for people."""
        yield f"{self.orders:,} past orders at {self.tables} tables, decided in {self.fill_seconds:.0f} s"
        yield f"memory of {SURVIVOR}: {self.memory_before_mb:.0f} MB before them, {self.memory_after_mb:.0f} MB after"
        for death in self.deaths:
            yield death.when
            for log in death.changelogs:
                records = ", ".join(f"{number:,}" for number in log.records)
                sizes = ", ".join(f"{size / MB:.1f}" for size in log.bytes)
                yield f"  {log.topic}: records {records}; MB {sizes} by partition"
            for recovery in death.recoveries:
                yield f"  {recovery.worker} read {recovery.records:,} records in {recovery.seconds:.2f} s"
            yield f"  longest gap {death.longest_gap:.0f} ms, slowest of {death.orders} orders {death.slowest:.0f} ms"
            yield f"  memory of {SURVIVOR} {death.memory_mb:.0f} MB"
            yield from (f"  {problem}" for problem in death.problems)


def run(
    stack: Stack,
    *,
    orders: int,
    count: int,
    lag: float | None = None,
    name: str = "PAST",
    rate: float = 100.0,
    hold: float = 5.0,
    still: float = STILL,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Give `count` tables a past of `orders` orders, then kill a worker before and after compaction.

    The compaction lag is set so high first that nothing is compacted, then to `lag` (s; the stack's own if None). It is
    taken for done once nothing has shrunk for `still` s beyond that.
    """
    own_lag = stack.settings.kafka.compaction_lag
    lag = own_lag if lag is None else lag
    try:
        _set_lag(stack, NEVER)
        tables = [f"{name}-{number}" for number in range(1, count + 1)]
        guests = tables[:GUESTS]
        before = _memory(stack, SURVIVOR)
        say(f"placing {orders:,} orders at {count} tables")
        # On asyncio's own loop: uvloop's once hung when it was closed, over links that workers had opened to it.
        seconds = asyncio.run(Past(stack.settings, tables, orders).make())
        _wait_until_decided(stack.settings)
        report = Report(orders, count, seconds, lag, before, _memory(stack, SURVIVOR))
        say(f"placed in {seconds:.0f} s; killing {KILLED}")
        report.deaths.append(_kill(stack, guests, "just after, nothing compacted", rate=rate, hold=hold))
        _set_lag(stack, lag)
        say("waiting for the compaction")
        report.waited = _compact(stack, guests, lag, still)
        say(f"compacted; killing {KILLED} again")
        when = f"compacted: {report.waited:.0f} s later, with a compaction lag of {lag:g} s"
        report.deaths.append(_kill(stack, guests, when, rate=rate, hold=hold))
    finally:
        _set_lag(stack, own_lag)
    return report


def _set_lag(stack: Stack, seconds: float) -> None:
    environment = {**stack.environment, "BISTRO92_KAFKA__COMPACTION_LAG": str(seconds)}
    replace(stack, environment=environment).command("topics")


def _wait_until_decided(settings: Settings) -> None:
    """Every command of the past is committed: the next owner reads none of them again."""
    commands, group = Topic(settings.kafka_bootstrap, ORDER_COMMANDS), Group(settings.kafka_bootstrap, ORDERS_APP)
    try:
        _until(lambda: group.lag(commands) == 0, LAG_WITHIN, "the past is not decided")
    finally:
        commands.close()
        group.close()


def _until(is_so: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = monotonic() + seconds
    while not is_so():
        if monotonic() > deadline:
            raise StackFailedError(f"{otherwise} after {seconds:.0f} s")


# ── compaction ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _compact(stack: Stack, guests: Sequence[str], lag: float, still: float) -> float:
    """Wait until the rows' changelog has stopped shrinking. Few orders flow: Kafka closes a segment on a write only."""
    began = monotonic()

    async def shrink() -> None:
        first = smallest = sum(_sizes(stack.settings, TABLES_CHANGELOG))
        since = monotonic()
        while monotonic() - began < COMPACTED_WITHIN + lag:
            await asyncio.sleep(1)
            size = sum(_sizes(stack.settings, TABLES_CHANGELOG))
            if size < smallest:
                smallest, since = size, monotonic()
            if smallest < first and monotonic() - since > still + 1.5 * lag:
                return
        if smallest == first:
            raise StackFailedError(f"nothing was compacted in {COMPACTED_WITHIN:.0f} s")

    plan = load.Plan(url=stack.url, tokens=stack.tokens(guests), seconds=0, rate=20.0)
    uvloop.run(load.run(plan, shrink))
    return monotonic() - began


def _sizes(settings: Settings, topic: str) -> list[int]:
    """Bytes of a topic's files by partition, at the first broker."""
    data = settings.data_dir / "kafka-1" / "data"
    return [
        sum(_size(file) for file in (data / f"{topic}-{number}").glob("*.log"))
        for number in range(settings.kafka.partitions)
    ]


def _size(file: Any) -> int:
    try:
        return int(file.stat().st_size)
    except FileNotFoundError:  # the cleaner has just put another in its place
        return 0


def _changelogs(settings: Settings) -> list[Changelog]:
    found = []
    for name in (TABLES_CHANGELOG, ORDER_IDS_CHANGELOG):
        topic = Topic(settings.kafka_bootstrap, name)
        records = [0] * settings.kafka.partitions
        try:
            for message in topic.read():
                records[message.partition()] += 1
        finally:
            topic.close()
        found.append(Changelog(name, records, _sizes(settings, name)))
    return found


# ── a death ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _kill(stack: Stack, guests: Sequence[str], when: str, *, rate: float, hold: float) -> Death:
    changelogs = _changelogs(stack.settings)
    plan = load.Plan(url=stack.url, tokens=stack.tokens(guests), seconds=2 * hold, rate=rate)
    read_from = {name: _log(stack, name).stat().st_size for name in (KILLED, SURVIVOR)}

    async def kill() -> None:
        await asyncio.sleep(hold)
        killed = dict(await asyncio.to_thread(stack.pids))[KILLED]
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(READY_WITHIN):
            while not await asyncio.to_thread(_is_back, stack, killed):  # noqa: ASYNC110 - told by a command
                await asyncio.sleep(LOOK_EVERY)
        await asyncio.sleep(hold)

    result = uvloop.run(load.run(plan, kill))
    problems = list(result.first_violations)
    if result.unknown:
        problems.append(f"{result.unknown} orders got no answer to the end")
    return Death(
        when=when,
        changelogs=changelogs,
        recoveries=[_recovery(stack, name, read_from[name]) for name in (SURVIVOR, KILLED)],
        longest_gap=result.longest_gap,
        slowest=result.max,
        memory_mb=_memory(stack, SURVIVOR),
        orders=result.orders,
        problems=problems,
    )


def _is_back(stack: Stack, killed: int) -> bool:
    return any(status["name"] == KILLED and status["ready"] and status["pid"] != killed for status in stack.statuses())


def _log(stack: Stack, name: str) -> Any:
    return stack.settings.data_dir / "logs" / f"{name}.log"


def _recovery(stack: Stack, name: str, start: int) -> Recovery:
    """What the worker's log tells since then of the changelogs that it read."""
    with _log(stack, name).open("rb") as file:
        file.seek(start)
        found = _READ.findall(file.read().decode(errors="replace"))
    return Recovery(name, sum(int(count) for count, _ in found), sum(float(took) for _, took in found))


def _memory(stack: Stack, name: str) -> float:
    """What the worker takes now, in MB."""
    return round(psutil.Process(dict(stack.pids())[name]).memory_info().rss / MB, 1)

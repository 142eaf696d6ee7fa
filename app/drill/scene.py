"""Where a drill's fault plays: the stack, the orders that flow, and the means to break and to look."""

import asyncio
import os
import random
import re
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime

import uvloop

from app.bench import load
from app.bench.guest import Shares
from app.bench.stack import Stack
from app.drill.outcome import Outcome, acks_file
from app.drill.timeline import Mark, Timeline
from app.stack import client, process
from app.stack.client import Status
from app.stack.layout import Layout

HEALED_WITHIN = 120.0  # s until a part that came back is ready, and every table is served again
LOOK_EVERY = 0.1  # s
ANSWER_WITHIN = 5.0  # s until a pad gives up on a connection: shorter than the view's deadline, as pads are impatient
CALM = 2.0  # s of undisturbed orders before a fault and after it has healed

Fault = Callable[["Scene"], Awaitable[None]]


class NotHealedError(Exception):
    """Something is still broken long after the fault; the message says what."""


class Scene:
    """A running stack with orders on it."""

    def __init__(self, stack: Stack, tables: Sequence[str], seed: int, outcome: Outcome) -> None:
        self.stack = stack
        self.tables = tables
        self.random = random.Random(seed)  # noqa: S311 - random moments, no secret
        self.outcome = outcome
        self.timeline = Timeline()
        self.layout = Layout(stack.settings.data_dir)
        self._awaited: list[Mark] = []

    # ── breaking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def fault(self, text: str) -> Mark:
        """From here on something is broken."""
        mark = self.timeline.mark(text)
        self._awaited.append(mark)
        return mark

    def healed(self, text: str) -> Mark:
        """What was broken is there again; how long the tables wait is counted from here, and not from the fault."""
        mark = self.timeline.mark(text, is_fault=False)
        self._awaited = [mark]
        return mark

    def pid(self, name: str) -> int:
        """The process id of a part; `supervisor` has one, too."""
        overseer = client.supervisor(self.layout) if name == "supervisor" else None
        record = overseer.record if overseer else process.read(self.layout, name)
        if record is None or not record.alive:
            raise NotHealedError(f"{name} does not run")
        return record.pid

    def send(self, signal_number: signal.Signals, *names: str) -> dict[str, int]:
        """Signal parts, all at once; their process ids."""
        pids = {name: self.pid(name) for name in names}
        for pid in pids.values():
            os.kill(pid, signal_number)
        return pids

    def kill(self, *names: str) -> tuple[Mark, dict[str, int]]:
        """Kill -9 parts, all at once."""
        mark = self.fault(f"kill -9 {', '.join(names)}")
        return mark, self.send(signal.SIGKILL, *names)

    async def command(self, *arguments: str) -> str:
        """`python -m app ARGUMENTS` on the stack."""
        return await asyncio.to_thread(self.stack.command, *arguments)

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def pause(self, low: float = CALM, high: float | None = None) -> None:
        """Let `low` s pass, or a random time up to `high` s."""
        await asyncio.sleep(low if high is None else self.random.uniform(low, high))

    async def until(
        self, holds: Callable[[], bool], otherwise: str | Callable[[], str], within: float = HEALED_WITHIN
    ) -> None:
        """Return once `holds` (called on a thread) is true; `otherwise` is what is said where it does not come.

        Raises:
            NotHealedError: it is not within so many seconds.
        """
        deadline = time.monotonic() + within
        while not await asyncio.to_thread(holds):
            if time.monotonic() > deadline:
                why = otherwise if isinstance(otherwise, str) else otherwise()
                raise NotHealedError(f"after {within:.0f} s {why}")
            await asyncio.sleep(LOOK_EVERY)

    async def back(self, pids: dict[str, int], within: float = HEALED_WITHIN) -> None:
        """Return once each of these parts is ready as another process."""

        def are_back() -> bool:
            found = {status.name: status for status in self.statuses()}
            return all(name in found and found[name].ready and found[name].pid != pid for name, pid in pids.items())

        await self.until(are_back, f"{', '.join(pids)} not back", within)

    async def started(self, pids: dict[str, int], within: float = HEALED_WITHIN) -> None:
        """Return once each of these parts runs as another process, ready or not."""

        def are_started() -> bool:
            found = {name: process.read(self.layout, name) for name in pids}
            return all(record and record.alive and record.pid != pids[name] for name, record in found.items())

        await self.until(are_started, f"{', '.join(pids)} not started again", within)

    async def ready(self, within: float = HEALED_WITHIN) -> None:
        """Return once every part of the stack is ready."""

        def are_ready() -> bool:
            return all(status.ready for status in self.statuses())

        await self.until(are_ready, "not every part is ready", within)

    async def served(self, mark: Mark, within: float = HEALED_WITHIN) -> None:
        """Return once each table has been acknowledged an order that was due after the mark.

        Raises:
            NotHealedError: one is not within so many seconds.
        """
        deadline = time.monotonic() + within
        while unserved := self.timeline.unserved(self.tables, mark):
            if time.monotonic() > deadline:
                raise NotHealedError(f"{within:.0f} s after {mark.text} not served: {', '.join(unserved[:10])}")
            await asyncio.sleep(LOOK_EVERY / 5)

    def statuses(self) -> list[Status]:
        """Every part; blocks for as long as the slowest answer takes."""
        return client.statuses(self.stack.settings, self.layout)

    def said(self, name: str, pattern: str, since: Mark) -> tuple[float, str] | None:
        """Seconds after the mark at which a part's log says what matches, and the line; None where it does not."""
        return next(self.all_said(name, pattern, since), None)

    def all_said(self, name: str, pattern: str, since: Mark) -> Iterator[tuple[float, str]]:
        """The same of each such line."""
        wanted = re.compile(pattern)
        for line in self.layout.log(name).read_text(encoding="utf-8", errors="replace").splitlines():
            if wanted.search(line) and (when := _time_of(line)) is not None and when >= since.since_epoch - 0.001:
                yield max(0.0, when - since.since_epoch), line

    def noticed(self, mark: Mark, pattern: str, log: str = "supervisor") -> None:
        """Note how long after the mark a log told of the fault."""
        found = self.said(log, pattern, mark)
        if found is None:
            self.outcome.problems.append(f"{log}'s log says nothing of: {mark.text} (wanted: {pattern})")
        else:
            self.outcome.noticed.append(found[0])

    async def settle(self, calm: float = CALM) -> None:
        """Return once all is healed and every table served; note how long the tables waited."""
        await self.ready()
        for mark in self._awaited:
            await self.served(mark)
        await self.served(self.timeline.mark("all is ready", is_fault=False))
        await self.pause(calm)
        self.outcome.served_again += [self.timeline.served_again(mark) for mark in self._awaited]
        self._awaited = []


def _time_of(line: str) -> float | None:
    """The wall clock that a line of a log begins with, or has behind `timestamp=`, in s."""
    found = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)", line)
    return datetime.fromisoformat(found[0]).timestamp() if found else None


def play(
    stack: Stack,
    name: str,
    fault: Fault,
    *,
    seed: int,
    rate: float = 100.0,
    count: int = 24,
    before: float = CALM,
    after: float = CALM,
) -> Outcome:
    """Let a fault happen while `rate` orders/s flow at `count` tables, a tenth each sent twice, stale and again."""
    tables = [f"{name}-{number}" for number in range(1, count + 1)]
    outcome = Outcome()
    scene = Scene(stack, tables, seed, outcome)
    with acks_file() as acks:
        plan = load.Plan(
            url=stack.url,
            tokens=stack.tokens(tables),
            seconds=0,
            rate=rate,
            shares=Shares(0.1, 0.1, 0.1),
            acks=acks,
            answer_within=ANSWER_WITHIN,
            seed=seed,
            heard=scene.timeline.heard,
        )

        async def during() -> None:
            await scene.served(scene.timeline.mark("orders flow", is_fault=False))
            await scene.pause(before)
            scene.timeline.marks.clear()
            try:
                await fault(scene)
                await scene.settle(after)
            except NotHealedError as error:
                outcome.problems.append(f"not healed: {error}")

        result = uvloop.run(load.run(plan, during))
        outcome.timeline = scene.timeline
        outcome.load(result)
        outcome.audit(stack, acks)
    return outcome

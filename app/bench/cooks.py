"""Automatic cooks: they take note of each ticket, and work it off tap by tap."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import orjson

from app.bench.http import LostError, Pool, Response
from app.bench.load import Plan, pool_of

SEEN_EVERY = 0.05  # s between two receipts: a display sends one for all that it has shown meanwhile
MOST_SEEN = 200  # tickets in one
RETRY = 0.2  # s
AGAIN = frozenset({429, 503})
ANSWER_WITHIN = 8.0  # s until a cook's tap is sent again on another connection
BUMPED = frozenset({"seen", "cooking", "ready"})


class Cooks:
    """`count` cooks with one request out each; a ticket is bumped `bumps` times: three serve it."""

    def __init__(self, pool: Pool, token: str, count: int, bumps: int) -> None:
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []  # what no cook should be told
        self._pool = pool
        self._count = count
        self._bumps = bumps
        self._head = f"Host: bench\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self._new: list[str] = []  # tickets to be acknowledged
        self._taps: asyncio.Queue[tuple[str, int]] = asyncio.Queue()  # a ticket at a version
        self._bumped: Counter[str] = Counter()
        self._known: dict[str, int] = {}  # the version at which each ticket was looked at last
        self._busy = 0

    def heard(self, ticket: Mapping[str, Any]) -> None:
        """A display shows this ticket, as it is now."""
        ticket_id, version, state = ticket["ticket_id"], ticket["version"], ticket["state"]
        if version <= self._known.get(ticket_id, 0):
            return
        self._known[ticket_id] = version
        if state == "new":
            self._new.append(ticket_id)
        elif state in BUMPED and self._bumped[ticket_id] < self._bumps:
            self._bumped[ticket_id] += 1
            self._taps.put_nowait((ticket_id, version))

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do, and no answer out."""
        return not (self._new or self._busy or self._taps.qsize())

    async def idle(self, within: float) -> bool:
        """Wait until there is nothing to do; False where that is not so within so many s."""
        deadline = monotonic() + within
        while not self.is_idle:
            if monotonic() > deadline:
                return False
            await asyncio.sleep(SEEN_EVERY)
        return True

    async def run(self) -> None:
        """Cook until cancelled."""
        async with asyncio.TaskGroup() as kitchen:
            kitchen.create_task(self._acknowledge())
            for _ in range(self._count):
                kitchen.create_task(self._cook())

    async def _acknowledge(self) -> None:
        while True:
            await asyncio.sleep(SEEN_EVERY)
            while self._new:
                ids, self._new = self._new[:MOST_SEEN], self._new[MOST_SEEN:]
                self._busy += 1
                answer = await self._answer("/kitchen/seen", {"ticket_ids": ids})
                self._busy -= 1
                self._look("seen", answer, {200})

    async def _cook(self) -> None:
        while True:
            ticket_id, version = await self._taps.get()
            self._busy += 1
            wanted = {"action": "bump", "version": version, "command_id": f"{ticket_id}-{version}"}
            answer = await self._answer(f"/kitchen/tickets/{ticket_id}", wanted)
            self._busy -= 1
            self._look("bump", answer, {200})

    def _look(self, what: str, answer: Response, allowed: set[int]) -> None:
        replayed = " again" if answer.replayed else ""
        self.answers[f"{what} {answer.status}{replayed}"] += 1
        if answer.status not in allowed:
            self.wrong.append(f"{what} was answered {answer.status} {answer.body[:200].decode(errors='replace')}")
        elif what == "seen" and (unknown := json.loads(answer.body)["unknown"]):
            self.wrong.append(f"tickets that a display shows are unknown: {unknown[:3]}")

    async def _answer(self, path: str, wanted: Mapping[str, Any]) -> Response:
        """The answer, however often it has to be asked for: always with the same command's id."""
        body = orjson.dumps(wanted)
        head = f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n".encode()
        while True:
            try:
                answer = await self._pool.send(head + body)
            except LostError:
                self.answers["lost"] += 1
            else:
                if answer.status not in AGAIN:
                    return answer
                self.answers[f"{answer.status}"] += 1
            await asyncio.sleep(RETRY)


@asynccontextmanager
async def cooking(url: str, token: str, count: int, bumps: int) -> AsyncIterator[Cooks]:
    """Cooks at work at this kitchen."""
    plan = Plan(url=url, tokens=(), seconds=0, connections=count + 1, answer_within=ANSWER_WITHIN)
    async with pool_of(plan) as pool:
        cooks = Cooks(pool, token, count, bumps)
        task = asyncio.create_task(cooks.run())
        try:
            yield cooks
            if task.done():
                await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

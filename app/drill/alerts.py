"""What the Prometheus of a stack says: which alerts fire, and when each began to."""

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from app.settings import Settings

ASK_EVERY = 0.2  # s; the rules are evaluated every 2
ANSWER_SECONDS = 5.0
FIRING, PENDING = "firing", "pending"


def states(answer: Mapping[str, Any]) -> dict[str, str]:
    """Alert -> its state, of an answer of `/api/v1/alerts`; one that fires somewhere fires."""
    found: dict[str, str] = {}
    for alert in answer["data"]["alerts"]:
        name = alert["labels"]["alertname"]
        if found.get(name) != FIRING:
            found[name] = alert["state"]
    return found


def told(fired: Mapping[str, float], since: float) -> str:
    """Alerts in the order in which they fired, each with the seconds since a moment."""
    return ", ".join(f"{name} {at - since:.1f}" for name, at in sorted(fired.items(), key=lambda item: item[1]))


class Alerts:
    """The alerts as they are now, and when each began to fire since `begin`; times are `perf_counter`."""

    def __init__(self) -> None:
        self.states: Mapping[str, str] | None = None  # None: nobody has answered yet
        self.fired: dict[str, float] = {}

    def begin(self) -> None:
        """Forget what has fired; what fires now and goes on counts as fired before."""
        self.fired = {}

    def look(self, states: Mapping[str, str], now: float) -> None:
        """Take note of what the server says at a moment."""
        for name in _firing(states) - _firing(self.states or {}):
            self.fired.setdefault(name, now)
        self.states = dict(states)

    def is_calm(self, but: Iterable[str]) -> bool:
        """Whether none fires or is about to, but for some."""
        return self.states is not None and not self.states.keys() - set(but)

    def still_firing(self, names: Iterable[str]) -> set[str]:
        """Those of the names that fire now."""
        return _firing(self.states or {}) & set(names)

    def missing(self, names: Iterable[str]) -> set[str]:
        """Those of the names that have not fired since `begin`."""
        return set(names) - self.fired.keys()


def _firing(states: Mapping[str, str]) -> set[str]:
    return {name for name, state in states.items() if state == FIRING}


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Alerts]:
    """Ask the stack's Prometheus all the time; while it does not answer, nothing changes."""
    alerts, url = Alerts(), f"http://127.0.0.1:{settings.ports.of('prometheus')}/api/v1/alerts"

    async def look() -> None:
        while True:
            with suppress(OSError):
                alerts.look(states(await asyncio.to_thread(_ask, url)), time.perf_counter())
            await asyncio.sleep(ASK_EVERY)

    task = asyncio.create_task(look())
    try:
        yield alerts
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - our own address
        return json.load(answer)

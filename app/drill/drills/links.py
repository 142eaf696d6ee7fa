"""The links to Kafka, Cassandra and Redis become slow, break again and again, or fall silent while orders flow."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial

from app.drill.drill import Drill, fault
from app.drill.scene import Scene
from app.drill.stand import Stand
from app.drill.toxiproxy import LINKS, URL, Links, between, missing

BEHIND_PROXIES = Stand(around=between, missing=missing)

SLOW = 15.0  # s
BREAKING = 10.0  # s
SILENT = 20.0  # s
LATENCY, JITTER = 150, 50  # ms each way: 300 ms ± 100 there and back
WHOLE = "the link is whole"
# Whose log tells of a broken link, and how.
TOLD = {
    "kafka": ("orders-1", r"Kafka does not answer|logger=aiokafka"),
    "cassandra": ("ledger-1", "cassandra takes no orders"),
    "redis": ("orders-1", "store is away.* store=redis"),
}

Happening = Callable[[Links, str], Coroutine[None, None, None]]


async def _slow(links: Links, name: str) -> None:
    await asyncio.to_thread(links.poison, name, "latency", latency=LATENCY, jitter=JITTER)
    await asyncio.sleep(SLOW)


async def _reset(links: Links, name: str) -> None:
    """All connections break; half a second later new ones hold, for another half."""
    end = time.monotonic() + BREAKING
    while time.monotonic() < end:
        await asyncio.to_thread(links.poison, name, "reset_peer", timeout=0)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(links.heal)
        await asyncio.sleep(0.5)


async def _black_hole(links: Links, name: str) -> None:
    """Connections stay open, and nothing comes through."""
    await asyncio.to_thread(links.poison, name, "timeout", timeout=0)
    await asyncio.sleep(SILENT)


async def _broken(scene: Scene, name: str, happening: Happening, text: str, *, is_served: bool, is_told: bool) -> None:
    """The link breaks and heals; with `is_served`, orders go on meanwhile; with `is_told`, a log tells of it."""
    links = Links(scene.stack.environment[URL])
    mark = scene.fault(text)
    try:
        trouble = asyncio.create_task(happening(links, name))
        if is_served:
            await scene.served(mark, within=BREAKING)
        await trouble
    finally:
        await asyncio.to_thread(links.heal)
    if is_served:
        scene.timeline.mark(WHOLE, is_fault=False)
    else:
        scene.healed(WHOLE)
    if is_told:
        log, pattern = TOLD[name]
        scene.noticed(mark, pattern, log)


def _drill(name: str, kind: str, title: str, happening: Happening) -> Drill:
    is_slow, is_kafka = kind == "slow", name == "kafka"
    happens = partial(
        _broken,
        name=name,
        happening=happening,
        text=f"{name}: {title}",
        is_served=is_slow or not is_kafka,
        is_told=not is_slow or name == "redis",  # a slow cache is worse than none
    )
    # A table orders again once its last order is answered: over a slow log that is once a second or so.
    rate = 15.0 if is_slow and is_kafka else 100.0
    return fault(f"link-{name}-{kind}", f"the link to {name.capitalize()}: {title}", happens, BEHIND_PROXIES, rate=rate)


KINDS: tuple[tuple[str, str, Happening], ...] = (
    ("slow", f"{2 * LATENCY} ms ± {2 * JITTER} slower for {SLOW:.0f} s", _slow),
    ("reset", f"reset each second for {BREAKING:.0f} s", _reset),
    ("blackhole", f"silent for {SILENT:.0f} s", _black_hole),
)
DRILLS = tuple(_drill(name, *kind) for name in LINKS for kind in KINDS)

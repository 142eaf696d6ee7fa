"""The links to Kafka, Cassandra and Redis become slow, break again and again, or fall silent while orders flow."""

import asyncio
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
# A slow cache is worse than none; one that breaks off is connected anew, mostly before anybody looks.
TOLD_BY = {"slow": ("redis",), "reset": ("kafka", "cassandra"), "blackhole": LINKS}
# Whose log tells of a broken link, and how.
TOLD = {
    "kafka": ("orders-1", r"Kafka does not answer|logger=aiokafka"),
    "cassandra": ("ledger-1", "cassandra takes no orders"),
    "redis": ("orders-1", "redis cannot be used for the menu"),
}

Happening = Callable[[Links, str, asyncio.Event], Coroutine[None, None, None]]  # until the event


async def _slow(links: Links, name: str, over: asyncio.Event) -> None:
    await asyncio.to_thread(links.poison, name, "latency", latency=LATENCY, jitter=JITTER)
    await over.wait()


async def _reset(links: Links, name: str, over: asyncio.Event) -> None:
    """All connections break; half a second later new ones hold, for another half."""
    while not over.is_set():
        await asyncio.to_thread(links.poison, name, "reset_peer", timeout=0)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(links.heal)
        await asyncio.sleep(0.5)


async def _black_hole(links: Links, name: str, over: asyncio.Event) -> None:
    """Connections stay open, and nothing comes through."""
    await asyncio.to_thread(links.poison, name, "timeout", timeout=0)
    await over.wait()


async def _broken(
    scene: Scene, name: str, happening: Happening, text: str, seconds: float, *, is_served: bool, is_told: bool
) -> None:
    """The link breaks and heals; with `is_served`, orders go on meanwhile; with `is_told`, a log tells of it."""
    links, over = Links(scene.stack.environment[URL]), asyncio.Event()
    mark = scene.fault(text)
    trouble = asyncio.create_task(happening(links, name, over))
    try:
        lasts = asyncio.create_task(asyncio.sleep(seconds))
        if is_served:
            await scene.served(mark)
        await lasts
    finally:
        over.set()
        await trouble
        await asyncio.to_thread(links.heal)
    if is_served:
        scene.timeline.mark(WHOLE, is_fault=False)
    else:
        scene.healed(WHOLE)
    if is_told:
        log, pattern = TOLD[name]
        scene.noticed(mark, pattern, log)


def _drill(name: str, kind: str, title: str, happening: Happening, seconds: float) -> Drill:
    is_slow, is_kafka = kind == "slow", name == "kafka"
    happens = partial(
        _broken,
        name=name,
        happening=happening,
        text=f"{name}: {title}",
        seconds=seconds,
        is_served=is_slow or not is_kafka,
        is_told=name in TOLD_BY[kind],
    )
    # A table orders again once its last order is answered: over a slow log that is once a second or so.
    rate = 15.0 if is_slow and is_kafka else 100.0
    return fault(f"link-{name}-{kind}", f"the link to {name.capitalize()}: {title}", happens, BEHIND_PROXIES, rate=rate)


KINDS: tuple[tuple[str, str, Happening, float], ...] = (
    ("slow", f"{2 * LATENCY} ms ± {2 * JITTER} slower for {SLOW:.0f} s", _slow, SLOW),
    ("reset", f"reset each second for {BREAKING:.0f} s", _reset, BREAKING),
    ("blackhole", f"silent for {SILENT:.0f} s", _black_hole, SILENT),
)
DRILLS = tuple(_drill(name, *kind) for name in LINKS for kind in KINDS)

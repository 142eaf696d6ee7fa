"""A worker sleeps past its session and wakes up as a zombie: it repeats or is refused, and no stale row is believed.

A worker of ours that wakes up ends itself within milliseconds, and with it most of what it had in hand. So that rows do
come late each time, the drill appends them itself: the very records that stood in the changelog when the worker fell
asleep, as a slow network would deliver them.
"""

import asyncio
import re
import signal
from collections.abc import Mapping
from functools import partial

from app.adapters.fatal import EXIT_CODE
from app.audit.log import Topic
from app.drill import late_rows
from app.drill.drill import fault, short
from app.drill.scene import Scene
from app.drill.stand import Stand
from app.drill.timeline import Mark
from app.topics import TABLES_CHANGELOG

WORKERS = ("orders-1", "orders-2")
SESSIONS = 1.5  # that it sleeps
TAKEN_OVER = r'event="partition taken over" partition=(\d+)'
LAG = 12.0  # s after which Kafka may drop a row behind a later one
COMPACTED_WITHIN = 150.0  # s

# Nobody kills the sleeper, or it would not wake up; Kafka compacts while one waits.
SLEEPY = Stand(settings=(("LIVENESS__UNANSWERED", "120"), ("KAFKA__COMPACTION_LAG", f"{LAG:g}")))


async def _sleep(scene: Scene, victim: str) -> None:
    """Put a worker to sleep past its session, so that another one has its tables, and wake it up: it ends itself."""
    kafka, loop = scene.stack.settings.kafka, asyncio.get_running_loop()
    everything = set(range(kafka.partitions))
    mark, begun = scene.fault(f"SIGSTOP {victim}"), loop.time()
    pids = scene.send(signal.SIGSTOP, victim)
    await scene.until(lambda: _taken_over(scene, victim, mark) == everything, f"{victim}'s tables not taken over")
    await asyncio.sleep(begun + SESSIONS * kafka.session_timeout - loop.time())
    awake = scene.timeline.mark(f"SIGCONT {victim}", is_fault=False)
    scene.send(signal.SIGCONT, victim)
    await scene.served(mark)
    await scene.back(pids)
    scene.noticed(awake, r"the event loop stood still", victim)
    if scene.said("supervisor", rf"\b{victim} ended \(exit code {EXIT_CODE}\)", awake) is None:
        scene.outcome.problems.append(f"{victim} did not end itself when it woke up")


def _taken_over(scene: Scene, sleeper: str, since: Mark) -> set[int]:
    """The partitions that other workers have taken over."""
    lines = [line for name in WORKERS if name != sleeper for _, line in scene.all_said(name, TAKEN_OVER, since)]
    return {int(number) for line in lines for number in re.findall(TAKEN_OVER, line)}


async def _asleep(scene: Scene) -> None:
    await _sleep(scene, "orders-1")


async def _stale_rows(scene: Scene) -> None:
    """Late rows that the owner says again, late rows whose owner dies before it can; the log compacted after both."""
    for victim in WORKERS:
        old = await asyncio.to_thread(late_rows.last_of, scene, TABLES_CHANGELOG)
        await _sleep(scene, victim)
        await scene.settle()
        late = scene.timeline.mark(f"{len(old)} old rows arrive", is_fault=False)
        await asyncio.to_thread(late_rows.append, scene, TABLES_CHANGELOG, old)
        await scene.until(partial(_are_said_again, scene, late), "no owner said its rows again")
        ends = await asyncio.to_thread(late_rows.append, scene, TABLES_CHANGELOG, old)
        mark, pids = scene.kill(*WORKERS)
        await scene.back(pids)
        await scene.served(mark)
        await scene.settle()
        await scene.until(partial(_is_compacted, scene, ends), "the changelog is not compacted", COMPACTED_WITHIN)
        mark, pids = scene.kill(*WORKERS)
        await scene.back(pids)
        await scene.served(mark)
        await scene.settle()
    scene.outcome.facts["stale rows"] = "said again by their owner, and believed by no successor, compacted or not"


def _are_said_again(scene: Scene, late: Mark) -> bool:
    return any(scene.said(name, "a stranger wrote rows", late) for name in WORKERS)


def _is_compacted(scene: Scene, ends: Mapping[int, int]) -> bool:
    """Whether below these offsets each table has one row at most."""
    topic = Topic(scene.stack.settings.kafka_bootstrap, TABLES_CHANGELOG)
    try:
        keys = [record.key() for record in topic.read() if record.offset() < ends[record.partition()]]
    finally:
        topic.close()
    return len(keys) == len(set(keys))


DRILLS = (
    fault(
        "zombie",
        "workers sleep past their sessions; old rows arrive late, also compacted",
        _stale_rows,
        SLEEPY,
    ),
)
SHORT = (short("zombie-once", "an order worker stopped past its session", _asleep),)

"""A worker sleeps past its session and wakes up as a zombie: it repeats or is refused, and no stale row is believed."""

import asyncio
import signal

from app.audit.log import Topic
from app.drill.drill import fault
from app.drill.scene import Scene
from app.drill.stand import Stand
from app.topics import TABLES_CHANGELOG

WORKERS = ("orders-1", "orders-2")
PILE_UP = 0.4  # s that Kafka stands still first, so that the worker has rows in hand when it falls asleep
SESSIONS = 1.5  # that it sleeps
ROUNDS = 8  # until a zombie's row was seen to come last, which chance has a part in
LAG = 12.0  # s after which Kafka may drop a row behind a later one
COMPACTED_WITHIN = 150.0  # s
STRANGER = r"a stranger wrote rows"

# Nobody kills the sleeper, or it would not wake up; Kafka compacts while one waits.
SLEEPY = Stand(settings=(("LIVENESS__UNANSWERED", "120"), ("KAFKA__COMPACTION_LAG", f"{LAG:g}")))


async def _sleep(scene: Scene, victim: str, *, with_rows_in_hand: bool) -> bool:
    """Put a worker to sleep past its session and wake it up; whether an owner saw rows of it that came too late."""
    mark = scene.fault(f"SIGSTOP {victim}")
    if with_rows_in_hand:
        scene.send(signal.SIGSTOP, "kafka-1")
        await asyncio.sleep(PILE_UP)
    pids = scene.send(signal.SIGSTOP, victim)
    if with_rows_in_hand:
        scene.send(signal.SIGCONT, "kafka-1")
    await asyncio.sleep(SESSIONS * scene.stack.settings.kafka.session_timeout)
    awake = scene.timeline.mark(f"SIGCONT {victim}", is_fault=False)
    scene.send(signal.SIGCONT, victim)
    await scene.served(mark)
    await scene.back(pids)
    scene.noticed(awake, r"the event loop stood still", victim)
    await scene.settle()
    return any(scene.said(name, STRANGER, mark) for name in WORKERS)


async def _asleep(scene: Scene) -> None:
    await _sleep(scene, "orders-1", with_rows_in_hand=False)


async def _stale_rows(scene: Scene) -> None:
    """Until a stale row is there; then it is compacted, and each worker's successor reads what is left."""
    seen = rounds = 0
    while rounds < ROUNDS and not seen:
        rounds += 1
        seen += await _sleep(scene, scene.random.choice(WORKERS), with_rows_in_hand=True)
    scene.outcome.facts["zombies"] = f"{rounds}, of which {seen} wrote rows too late, which their owner said again"
    if not seen:
        scene.outcome.problems.append("no zombie wrote a row too late: nothing was shown")
    await _compacted(scene)
    for victim in WORKERS:
        mark, pids = scene.kill(victim)
        await scene.served(mark)
        await scene.back(pids)
        await scene.settle()


async def _compacted(scene: Scene) -> None:
    """Return once Kafka has dropped most of the rows that stand before later ones."""
    before = await asyncio.to_thread(_rows, scene)

    def is_shorter() -> bool:
        return _rows(scene) < before / 2

    await scene.until(is_shorter, "the rows' changelog is not compacted", COMPACTED_WITHIN)
    scene.outcome.facts["compacted"] = f"the changelog of {before} rows to {await asyncio.to_thread(_rows, scene)}"


def _rows(scene: Scene) -> int:
    topic = Topic(scene.stack.settings.kafka_bootstrap, TABLES_CHANGELOG)
    try:
        return sum(1 for _ in topic.read())
    finally:
        topic.close()


DRILLS = (
    fault(
        "zombie",
        "order workers sleep past their sessions with rows in hand, wake up; compaction; their successors die",
        _stale_rows,
        SLEEPY,
        rate=400.0,
    ),
)
SHORT = (fault("zombie-once", "an order worker stopped past its session", _asleep),)

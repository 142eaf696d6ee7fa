"""The ledger dies again and again, and Cassandra's tables are compared meanwhile."""

import asyncio
from collections import Counter

from app.audit.log import AuditError
from app.audit.store import TABLES, Store
from app.drill.drill import fault, short
from app.drill.scene import Scene

KILLS = 50
CAUGHT_UP_WITHIN = 60.0  # s after the last kill, until the tables tell the same


async def _killed(scene: Scene, times: int = KILLS) -> None:
    reader = _Reader(scene)
    reading = asyncio.create_task(reader.run())
    try:
        for _ in range(times):
            await scene.pause(0.2, 1.5)
            mark, pids = scene.kill("ledger-1")
            await scene.started(pids)
            scene.noticed(mark, r"\bledger-1 ended")
    finally:
        reader.over.set()
        await reading
    await scene.ready()
    seconds, disagreeing = await _caught_up(scene)
    scene.outcome.facts["ledger killed"] = f"{times} times; the tables were compared {reader.looks} times meanwhile"
    scene.outcome.facts["orders in only some tables"] = f"at most {reader.most} at a time while it was being killed"
    scene.outcome.facts["disagreeing"] = f"{disagreeing} {seconds:.1f} s after the last kill"
    if disagreeing:
        scene.outcome.problems.append(f"{disagreeing} orders stand in some tables of Cassandra only")
    if not reader.looks:
        scene.outcome.problems.append("the tables were never compared")


async def _killed_once(scene: Scene) -> None:
    await _killed(scene, times=1)


class _Reader:
    """Compares the tables over and over; a write under way shows in some of them first, so it only counts."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.over = asyncio.Event()
        self.looks = 0
        self.most = 0

    async def run(self) -> None:
        """Look until it is over."""
        while not self.over.is_set():
            self.most = max(self.most, await asyncio.to_thread(disagreeing, self._scene))
            self.looks += 1
            await asyncio.sleep(1.0)


async def _caught_up(scene: Scene) -> tuple[float, int]:
    """Seconds until the tables agree on everything that they hold, orders still flowing, and how many do not."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        before = await asyncio.to_thread(_orders_of_each, scene)
        await asyncio.sleep(2.0)
        after = await asyncio.to_thread(_orders_of_each, scene)
        # What one table held two seconds ago must by now stand in all of them.
        apart = sum(1 for order in before if after[order] < len(TABLES))
        if not apart or loop.time() - begun > CAUGHT_UP_WITHIN:
            return loop.time() - begun, apart


def disagreeing(scene: Scene) -> int:
    """Orders that stand in some of the tables and not in others."""
    return sum(1 for count in _orders_of_each(scene).values() if count < len(TABLES))


def _orders_of_each(scene: Scene) -> Counter[bytes]:
    """Order -> in how many of the tables it stands."""
    store = Store(scene.stack.settings)
    try:
        found: Counter[bytes] = Counter()
        for table in TABLES:
            for item in store.orders(table):
                if isinstance(item, str):
                    raise AuditError(item)
                found[item[1][:16]] += 1
        return found
    finally:
        store.close()


DRILLS = (fault("ledger-killed", f"kill -9 of the ledger, {KILLS} times, while a reader compares the tables", _killed),)
SHORT = (short("ledger-killed-once", "kill -9 of the ledger", _killed_once),)

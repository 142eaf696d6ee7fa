"""Each alert is seen to fire by a real fault, and to end with it: a Prometheus watches the stack meanwhile.

    nothing fires ──> the fault ──> its alerts fire ──> the fault is undone ──> what fires only then ──> they are gone

The seconds are printed, and nothing hangs on them: what counts is that the alert comes at all, and goes.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from confluent_kafka import Consumer, Producer, TopicPartition

from app.audit.log import Topic
from app.bench.kitchen import Brigade, at_work, staff_token
from app.bench.stack import Stack
from app.drill.alerts import Alerts, told, watching
from app.drill.drill import BRIEF, Drill
from app.drill.forged import Rows, change_menu_silently
from app.drill.outcome import Outcome
from app.drill.scene import NotHealedError, Scene, play
from app.drill.stand import Stand
from app.drill.timeline import Mark
from app.topics import KITCHEN_APP, ORDER_COMMANDS, ORDER_EVENTS

RATE = 60.0  # orders/s
BRIGADE = Brigade(displays=2, cooks=16)
CALM_WITHIN = 180.0  # s until nothing fires: what looks back a minute needs so long
GONE_WITHIN = 240.0  # s until an alert is gone whose fault is
TAKEN_WITHIN = 10.0  # s

# They look back further than anybody waits here: how long each may go on once its fault is over.
LASTING = {
    "AvailabilityBudgetBurn": "an hour",
    "LatencyBudgetBurn": "an hour",
    "LedgerBudgetBurn": "an hour",
    "KitchenBudgetBurn": "an hour",
    "DeadLetters": "10 minutes",
    "RecoverySlow": "5 minutes",
}
MINUTE = ("ProcessRestarted", "EventLoopBlocked")  # they look back a minute: one drill's may fire in the next one


class House:
    """Displays and cooks at work, who may leave and come back."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._inside = AsyncExitStack()

    async def come(self) -> None:
        """Displays show what there is, and cooks work it off."""
        token = await asyncio.to_thread(staff_token, self._scene.stack)
        await self._inside.enter_async_context(at_work(self._scene.stack, BRIGADE, token))

    async def leave(self) -> None:
        """Nobody is in the kitchen any more."""
        await self._inside.aclose()


Happens = Callable[[Scene, House], AbstractAsyncContextManager[Mark]]  # the fault, undone at the end of the `with`


@dataclass(frozen=True)
class Case:
    """A fault, the alerts that fire while it lasts, and those that fire once it is over."""

    name: str
    title: str
    happens: Happens
    alerts: tuple[str, ...]
    later: tuple[str, ...] = ()
    within: float = 60.0  # s until they fire

    async def play(self, scene: Scene) -> None:
        """Have them fire, and end."""
        house = House(scene)
        async with watching(scene.stack.settings) as alerts:
            await house.come()
            try:
                await self._play(scene, house, alerts)
            finally:
                await house.leave()

    async def _play(self, scene: Scene, house: House, alerts: Alerts) -> None:
        mine = {*self.alerts, *self.later}
        others = {*LASTING, *MINUTE} - mine

        def is_calm() -> bool:
            return alerts.is_calm(others | alerts.still_firing(LASTING))

        await scene.until(is_calm, "an alert fires although all is well", CALM_WITHIN)
        alerts.begin()
        before = alerts.still_firing(mine)  # of a drill before this one; only a stack of its own tells when they come
        async with self.happens(scene, house) as mark:
            await self._fire(scene, alerts, mark, {*self.alerts} - before)
        over = scene.timeline.mark("the fault is undone", is_fault=False)
        await self._fire(scene, alerts, mark, {*self.later} - before)
        if before:
            scene.outcome.facts["fired before the fault"] = ", ".join(sorted(before))
        ending = mine - LASTING.keys()
        await scene.until(lambda: not alerts.still_firing(ending), "an alert fires on without its fault", GONE_WITHIN)
        gone = scene.timeline.mark("its alerts are gone", is_fault=False)
        staying = "".join(f"; {name} may fire for {LASTING[name]}" for name in sorted(mine & LASTING.keys()))
        scene.outcome.facts["gone"] = f"{gone.at - over.at:.1f} s after the fault{staying}"

    async def _fire(self, scene: Scene, alerts: Alerts, mark: Mark, wanted: set[str]) -> None:
        try:
            await scene.until(lambda: not alerts.missing(wanted), "", self.within)
        except NotHealedError:
            missing = ", ".join(sorted(alerts.missing(wanted)))
            scene.outcome.problems.append(f"did not fire within {self.within:.0f} s: {missing}")
        scene.outcome.facts["fired, s after the fault"] = told(alerts.fired, mark.at)


# ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _held(*names: str) -> Happens:
    """They are stopped in order, and stay away."""

    @asynccontextmanager
    async def happens(scene: Scene, house: House) -> AsyncIterator[Mark]:
        del house
        mark = scene.fault(f"{', '.join(names)} held")
        try:
            for name in names:
                await scene.command("hold", name)
            yield mark
        finally:
            scene.healed("they may start")
            for name in names:
                await scene.command("hold", "--release", name)
            await scene.ready()

    return happens


def _killed(name: str) -> Happens:
    @asynccontextmanager
    async def happens(scene: Scene, house: House) -> AsyncIterator[Mark]:
        del house
        mark, pids = scene.kill(name)
        yield mark
        await scene.back(pids)

    return happens


def _frozen(name: str, seconds: float | None = None) -> Happens:
    """It is there and does nothing, for so long or until its alerts fire."""

    @asynccontextmanager
    async def happens(scene: Scene, house: House) -> AsyncIterator[Mark]:
        del house
        mark = scene.fault(f"SIGSTOP {name}")
        scene.send(signal.SIGSTOP, name)
        try:
            if seconds is None:
                yield mark
            else:
                await asyncio.sleep(seconds)
        finally:
            scene.send(signal.SIGCONT, name)
            scene.healed(f"SIGCONT {name}")
        if seconds is not None:
            yield mark

    return happens


def _scaled_away(service: str, count: int = 2) -> Happens:
    @asynccontextmanager
    async def happens(scene: Scene, house: House) -> AsyncIterator[Mark]:
        del house
        mark = scene.fault(f"{service}=0")
        await scene.command("scale", f"{service}=0")
        try:
            yield mark
        finally:
            scene.healed("they may start")
            await scene.command("scale", f"{service}={count}")
            await scene.ready()

    return happens


def _slowed(*names: str, runs: float, stands: float) -> Happens:
    """They have so little time: `runs` s, then none for `stands` s, and so on."""

    @asynccontextmanager
    async def happens(scene: Scene, house: House) -> AsyncIterator[Mark]:
        del house
        mark = scene.fault(f"{', '.join(names)} run {100 * runs / (runs + stands):.0f} % of the time")
        crawling = asyncio.create_task(_crawl(scene, names, runs, stands))
        try:
            yield mark
        finally:
            crawling.cancel()
            await asyncio.gather(crawling, return_exceptions=True)
            scene.send(signal.SIGCONT, *names)
            scene.healed("at full speed again")

    return happens


async def _crawl(scene: Scene, names: Sequence[str], runs: float, stands: float) -> None:
    while True:
        scene.send(signal.SIGSTOP, *names)
        await asyncio.sleep(stands)
        scene.send(signal.SIGCONT, *names)
        await asyncio.sleep(runs)


@asynccontextmanager
async def _ledger_starts_without_cassandra(scene: Scene, house: House) -> AsyncIterator[Mark]:
    async with _held("redis-1", "cassandra-1")(scene, house) as mark:
        scene.send(signal.SIGKILL, "ledger-1")
        yield mark


# ── the kitchen ───────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _no_displays(scene: Scene, house: House) -> AsyncIterator[Mark]:
    mark = scene.fault("displays and cooks leave")
    await house.leave()
    yield mark
    await house.come()


@asynccontextmanager
async def _orders_passed_over(scene: Scene, house: House) -> AsyncIterator[Mark]:
    """While no kitchen runs somebody sets its group to the end of the orders, and those in between make no tickets."""
    del house
    await scene.command("scale", "kitchen=0")
    await scene.served(scene.timeline.mark("orders without a kitchen", is_fault=False))
    await asyncio.to_thread(_pass_over, scene)
    mark = scene.fault("the kitchen's group set to the end of the orders")
    await scene.command("scale", "kitchen=2")
    yield mark
    await scene.command("scale", "kitchen=0")
    scene.outcome.facts["repair"] = (await scene.command("repair")).replace("\n", "; ").strip("; ")
    await scene.command("scale", "kitchen=2")
    await scene.ready()


def _pass_over(scene: Scene) -> None:
    bootstrap = scene.stack.settings.kafka_bootstrap
    topic, group = Topic(bootstrap, ORDER_EVENTS), Consumer({"bootstrap.servers": bootstrap, "group.id": KITCHEN_APP})
    try:
        ends = [TopicPartition(ORDER_EVENTS, number, end) for number, end in topic.ends().items()]
        group.commit(offsets=ends, asynchronous=False)
    finally:
        topic.close()
        group.close()


# ── what is written by a stranger ─────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _poison(scene: Scene, house: House) -> AsyncIterator[Mark]:
    del house
    producer = Producer({"bootstrap.servers": scene.stack.settings.kafka_bootstrap, "acks": "all"})
    mark = scene.fault("a record that is none")
    producer.produce(ORDER_COMMANDS, b"no command", b"STRANGER")
    if await asyncio.to_thread(producer.flush, TAKEN_WITHIN):
        raise NotHealedError("the record was not taken by Kafka")
    yield mark


@asynccontextmanager
async def _rows_damaged(scene: Scene, house: House) -> AsyncIterator[Mark]:
    """One order is deleted from a table, one's total is changed, and one stands where another one was."""
    del house
    rows = await asyncio.to_thread(Rows, scene.stack.settings)
    try:
        mark = scene.fault("three rows of Cassandra damaged")
        await asyncio.to_thread(rows.damage)
        try:
            yield mark
        finally:
            await asyncio.to_thread(rows.mend)
    finally:
        await asyncio.to_thread(rows.close)


@asynccontextmanager
async def _menus_differ(scene: Scene, house: House) -> AsyncIterator[Mark]:
    """The menu is changed past all who should hear of it, and one worker starts anew: it shows the change."""
    del house
    await asyncio.to_thread(change_menu_silently, scene.stack.settings)
    with redis.Redis.from_url(scene.stack.settings.redis_url) as cache:
        cache.flushall()
    mark, pids = scene.kill("orders-1")
    await scene.back(pids)
    yield mark
    await scene.command("menu", "set", "m60", "description=Told to all")


# ── the disk ──────────────────────────────────────────────────────────────────────────────────────────────────────────

DISK_SIZE = 20  # GB, in a file that has no more than what is written to it
ROOM = 1.5e9  # bytes that are free once the disk is full
FILLER = "filler"


def _no_disk() -> str:
    lacking = [name for name in ("mkfs.ext4", "mount", "fallocate") if shutil.which(name) is None]
    if lacking:
        return f"a disk cannot be made without {', '.join(lacking)}"
    return "" if os.geteuid() == 0 and list(Path("/dev").glob("loop[0-9]*")) else "a disk cannot be mounted here"


@contextmanager
def _own_disk(folder: Path, environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The data folder on a disk of its own, which is a file."""
    del environment
    file, disk = folder / "disk.img", folder / "disk"
    disk.mkdir()
    with file.open("wb") as image:
        image.truncate(DISK_SIZE * 10**9)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(file)], check=True)
    subprocess.run(["mount", "-o", "loop", str(file), str(disk)], check=True)
    try:
        yield {"BISTRO92_DATA_DIR": str(disk)}
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@asynccontextmanager
async def _disk_filled(scene: Scene, house: House) -> AsyncIterator[Mark]:
    del house
    folder = scene.stack.settings.data_dir
    size = int(shutil.disk_usage(folder).free - ROOM)
    mark = scene.fault(f"a file of {size / 1e9:.0f} GB")
    await asyncio.to_thread(_fill, folder / FILLER, size)
    yield mark
    (folder / FILLER).unlink()


def _fill(file: Path, size: int) -> None:
    subprocess.run(["fallocate", "-l", str(size), str(file)], check=True)


# ── the drills ────────────────────────────────────────────────────────────────────────────────────────────────────────

# Limits are on, so that Redis is asked for each order, and so wide that nobody meets them.
SETTINGS = (
    ("OBSERVE", "true"),
    ("LIMITS__ENABLED", "true"),
    ("LIMITS__TABLE_PER_MINUTE", "100000"),
    ("LIMITS__SOURCE_WRITES_PER_MINUTE", "100000"),
    ("LIMITS__SOURCE_READS_PER_MINUTE", "100000"),
    ("LIMITS__ADDRESS_PER_MINUTE", "100000"),
)
WATCHED = Stand(settings=SETTINGS)
# A worker looks for a newer menu by itself once in ten minutes; the auditor looks through all orders in seconds.
RARE = Stand(settings=(*SETTINGS, ("MENU__FRESH", "600"), ("AUDIT__REPEAT_RATE", "500"), ("AUDIT__EVERY", "0.2")))
SMALL_DISK = Stand(settings=SETTINGS, around=_own_disk, missing=_no_disk)

# The broker's outage is the last on its stack: after it orders, tickets and burnt budgets go on being dealt with.
CASES = (
    Case("worker-killed", "kill -9 of an order worker", _killed("orders-1"), ("ProcessRestarted",)),
    Case("worker-held", "an order worker is held", _held("orders-1"), ("WorkerDown",)),
    Case("worker-stopped", "an order worker stands still for 2.5 s", _frozen("orders-2", 2.5), ("EventLoopBlocked",)),
    Case("poison", "a record that is none", _poison, ("DeadLetters",)),
    Case("redis-away", "Redis is held", _held("redis-1"), ("RedisDown", "BreakerOpen")),
    Case("monitor-away", "the monitor is held", _held("monitor-1"), ("MonitorDown",)),
    Case("auditor-away", "the auditor is held", _held("auditor-1"), ("AuditorSilent",)),
    Case("no-displays", "displays and cooks leave", _no_displays, ("DisplaysMissing", "TicketsUnseen")),
    Case(
        "no-kitchen",
        "no kitchen worker runs",
        _scaled_away("kitchen"),
        ("KitchenUnowned", "TargetsMissing"),
        ("KitchenBudgetBurn",),
        within=120.0,
    ),
    Case(
        "no-workers",
        "no order worker runs",
        _scaled_away("orders"),
        ("UnownedPartitions", "TargetsMissing"),
    ),
    Case(
        "kitchen-slow",
        "the kitchen's workers have hardly any time",
        _slowed("kitchen-1", "kitchen-2", runs=0.02, stands=0.6),
        ("KitchenLag",),
        within=90.0,
    ),
    Case(
        "passed-over",
        "orders are passed over by the kitchen",
        _orders_passed_over,
        ("OrdersWithoutTickets", "OrdersLost"),
        within=120.0,
    ),
    Case(
        "cassandra-away",
        "Cassandra is held",
        _held("cassandra-1"),
        ("CassandraDown", "ConsumerLag"),
    ),
    Case(
        "stores-away",
        "Redis and Cassandra are held, and the ledger dies",
        _ledger_starts_without_cassandra,
        ("MenuInDoubt", "WorkerUnready", "UnwrittenEvents", "AuditorSilent"),
        ("LedgerBudgetBurn",),
        within=150.0,
    ),
    Case(
        "broker-killed",
        "kill -9 of the only broker",
        _killed("kafka-1"),
        ("ProcessRestarted", "AcknowledgementGap", "KafkaDown"),
    ),
    Case("broker-frozen", "the only broker stands still", _frozen("kafka-1"), ("AcknowledgementGap", "KafkaDown")),
    Case(
        "broker-away",
        "the only broker is held",
        _held("kafka-1"),
        ("OrdersRefused", "DisplaysBehind", "AvailabilityBudgetBurn", "LatencyBudgetBurn"),
        within=180.0,
    ),
    Case(
        "rows",
        "three rows of Cassandra are damaged",
        _rows_damaged,
        ("OrdersLost", "OrdersDuplicated", "OrdersDiffering"),
        within=240.0,
    ),
    Case("menus", "a change of the menu of which nobody is told", _menus_differ, ("MenusDiffer",)),
    Case("disk", "the disk is filled", _disk_filled, ("DiskFilling",), within=120.0),
)
STANDS = {"rows": RARE, "menus": RARE, "disk": SMALL_DISK}

# Alerts that no drill here has fire, and why.
LEFT = {
    "OldTickets": "an order would have to stay on a display for an hour",
    "RecoverySlow": "a recovery takes less than a second here, and a broker that stands still begins it anew",
}


def _drill(case: Case) -> Drill:
    name = f"alert-{case.name}"

    def run(stack: Stack, seed: int) -> Outcome:
        return play(stack, name, case.play, seed=seed, rate=RATE, before=BRIEF, after=BRIEF)

    title = f"{case.title}: {', '.join((*case.alerts, *case.later))}"
    return Drill(name, title, run, STANDS.get(case.name, WATCHED))


DRILLS = tuple(map(_drill, CASES))

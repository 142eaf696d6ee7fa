"""Faults that last until they are undone: each is a context, and gives the moment from which something is broken."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import redis
from confluent_kafka import Consumer, Producer, TopicPartition

from app.audit.log import Topic
from app.bench.kitchen import Brigade, at_work, staff_token
from app.drill.forged import Rows, change_menu_silently
from app.drill.scene import NotHealedError, Scene
from app.drill.timeline import Mark
from app.topics import KITCHEN_APP, ORDER_COMMANDS, ORDER_EVENTS

BRIGADE = Brigade(displays=2, cooks=16)
TAKEN_WITHIN = 10.0  # s


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


# ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def held(*names: str) -> Happens:
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


def killed(name: str) -> Happens:
    """It is killed, and started again by the supervisor."""

    @asynccontextmanager
    async def happens(scene: Scene, house: House) -> AsyncIterator[Mark]:
        del house
        mark, pids = scene.kill(name)
        yield mark
        await scene.back(pids)

    return happens


def frozen(name: str, seconds: float | None = None) -> Happens:
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


def scaled_away(service: str, count: int = 2) -> Happens:
    """No worker of a service runs; in the end so many do."""

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


@asynccontextmanager
async def ledger_starts_without_cassandra(scene: Scene, house: House) -> AsyncIterator[Mark]:
    """Redis and Cassandra stay away, and a new ledger waits for them."""
    async with held("redis-1", "cassandra-1")(scene, house) as mark:
        scene.send(signal.SIGKILL, "ledger-1")
        yield mark


# ── the kitchen ───────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def no_displays(scene: Scene, house: House) -> AsyncIterator[Mark]:
    """Displays and cooks leave, and orders go on."""
    mark = scene.fault("displays and cooks leave")
    await house.leave()
    yield mark
    await house.come()


@asynccontextmanager
async def orders_passed_over(scene: Scene, house: House) -> AsyncIterator[Mark]:
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
async def poison(scene: Scene, house: House) -> AsyncIterator[Mark]:
    """A record that is none, in the orders' log; it stays there."""
    del house
    producer = Producer({"bootstrap.servers": scene.stack.settings.kafka_bootstrap, "acks": "all"})
    mark = scene.fault("a record that is none")
    producer.produce(ORDER_COMMANDS, b"no command", b"STRANGER")
    if await asyncio.to_thread(producer.flush, TAKEN_WITHIN):
        raise NotHealedError("the record was not taken by Kafka")
    yield mark


@asynccontextmanager
async def rows_damaged(scene: Scene, house: House) -> AsyncIterator[Mark]:
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
async def menus_differ(scene: Scene, house: House) -> AsyncIterator[Mark]:
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


def no_disk() -> str:
    """What this machine lacks for a disk in a file, empty where nothing."""
    lacking = [name for name in ("mkfs.ext4", "mount", "fallocate") if shutil.which(name) is None]
    if lacking:
        return f"a disk cannot be made without {', '.join(lacking)}"
    return "" if os.geteuid() == 0 and list(Path("/dev").glob("loop[0-9]*")) else "a disk cannot be mounted here"


@contextmanager
def own_disk(folder: Path, environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
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
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@asynccontextmanager
async def disk_filled(scene: Scene, house: House) -> AsyncIterator[Mark]:
    """A file takes almost all of the disk that is free."""
    del house
    folder = scene.stack.settings.data_dir
    size = int(shutil.disk_usage(folder).free - ROOM)
    mark = scene.fault(f"a file of {size / 1e9:.0f} GB")
    await asyncio.to_thread(_fill, folder / FILLER, size)
    yield mark
    (folder / FILLER).unlink()


def _fill(file: Path, size: int) -> None:
    subprocess.run(["fallocate", "-l", str(size), str(file)], check=True)

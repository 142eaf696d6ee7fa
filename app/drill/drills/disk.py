"""The disk under Kafka's log is full for a while."""

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.drill.drill import fault
from app.drill.pad import Pad, pads, told
from app.drill.scene import Scene
from app.drill.stand import Stand

BROKER = "kafka-1"
SIZE = "192m"
PIECE = 64 * 1024  # bytes that are written at a time until nothing more goes in
FULL = 40.0  # s that there is no room
REFUSED_WITHIN = 60.0  # s until the broker runs into the full disk


def _mount(folder: Path) -> str:
    """Mount a small disk there; why not, empty where it is."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "bistro92", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        return str(error)
    return done.stderr.strip()


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _missing() -> str:
    with tempfile.TemporaryDirectory(prefix="bistro92-disk-") as folder:
        why = _mount(Path(folder))
        if not why:
            _unmount(Path(folder))
    return f"a small disk cannot be mounted: {why}" if why else ""


@contextmanager
def _around(folder: Path, environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The broker's folder on a disk of its own; all else, Cassandra too, stays where it was."""
    del environment
    disk = folder / BROKER
    disk.mkdir()
    why = _mount(disk)
    if why:
        raise OSError(why)
    try:
        yield {}
    finally:
        _unmount(disk)


def _fill(file: Path) -> int:
    """Write until nothing more goes in; how many bytes went in."""
    written = 0
    with file.open("ab", buffering=0) as output:
        try:
            while True:
                written += output.write(bytes(PIECE))
        except OSError:
            return written


async def _full(scene: Scene) -> None:
    filler = scene.layout.data_dir / BROKER / "filler"
    async with pads(scene.stack, ["disk-PAD"]) as [pad]:
        full = scene.fault("the disk is full")
        over = asyncio.Event()
        keeper = asyncio.create_task(_keep_full(filler, over))
        try:
            await _refused(scene, pad)
            await asyncio.sleep(FULL)
        finally:
            over.set()
            await keeper
            filler.unlink()
        room = scene.healed("there is room again")
        await scene.ready()
        await scene.served(room)
        answer = await pad.order("waits", 0)
        if answer is None or answer.status != 201:
            scene.outcome.problems.append(f"the order that was refused, sent again: {told(answer)}")
    scene.noticed(full, rf"\b{BROKER} ended")
    statuses = await asyncio.to_thread(scene.statuses)
    restarts = ", ".join(f"{status.name} {status.restarts}" for status in statuses if status.restarts)
    scene.outcome.facts["disk"] = f"{SIZE}, full for {FULL:.0f} s after the first 503; started again: {restarts}"


async def _keep_full(filler: Path, over: asyncio.Event) -> None:
    """What the broker frees as it ends is taken, too."""
    while not over.is_set():
        await asyncio.to_thread(_fill, filler)
        await asyncio.sleep(0.2)


async def _refused(scene: Scene, pad: Pad) -> None:
    """Return once an order is answered 503, as every one should be from then on."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + REFUSED_WITHIN
    while True:
        answer = await pad.order("waits", 0)
        if answer is not None and answer.status == 503:
            scene.outcome.facts["answered while full"] = told(answer)
            return
        if loop.time() > deadline:
            scene.outcome.problems.append(f"with a full disk an order was still answered {told(answer)}")
            return
        await asyncio.sleep(0.1)


SMALL_DISK = Stand(around=_around, missing=_missing)
DRILLS = (fault("disk-full", f"the disk under Kafka's log is full for {FULL:.0f} s", _full, SMALL_DISK),)

"""Processes that outlive whoever started them: each has a record, by which any later supervisor finds it again."""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import psutil

from app.stack.layout import Layout, write_atomically
from app.stack.part import Part
from app.stack.plan import GRACES, PART_VARIABLE, SERVICES, service_of

JITTER = 2.0  # s by which a process's start may seem to move: the machine's own is told in whole seconds
BOOT = Path("/proc/sys/kernel/random/boot_id")
LOG_LIMIT = 20 * 1024 * 1024  # bytes; beyond, a log becomes NAME.log.1


@dataclass(frozen=True)
class Record:
    """A process of the stack, as written to `run/NAME.json`."""

    name: str
    pid: int
    created: float  # s since the machine's start, which no set clock moves; process ids are used again
    boot: str  # names that start of the machine, empty where nothing does
    since: str  # when it was created, as UTC ISO time
    restarts: int = 0
    last_exit: str = ""

    @property
    def alive(self) -> bool:
        """Whether that very process runs."""
        try:
            process = psutil.Process(self.pid)
            same = self.boot == _boot() and abs(_created(process) - self.created) < JITTER
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    @property
    def age(self) -> float:
        """Seconds since it was created."""
        return time.time() - psutil.boot_time() - self.created

    def send(self, signal_number: int) -> None:
        """Signal it, and the group that it leads; nothing if it is gone."""
        if not self.alive:
            return
        try:
            os.killpg(self.pid, signal_number)
        except (ProcessLookupError, PermissionError):
            pass


def describe(name: str, pid: int, restarts: int = 0, last_exit: str = "") -> Record:
    """The record of a process that runs.

    Raises:
        psutil.NoSuchProcess: it does not.
    """
    process = psutil.Process(pid)
    since = datetime.fromtimestamp(process.create_time(), UTC).isoformat(timespec="milliseconds")
    return Record(name, pid, _created(process), _boot(), since, restarts, last_exit)


def _created(process: psutil.Process) -> float:
    """Seconds from the machine's start to the process's: both are told by the clock, and move with it."""
    created: float = process.create_time() - psutil.boot_time()
    return created


def _boot() -> str:
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def write(layout: Layout, record: Record) -> None:
    """Keep a record."""
    write_atomically(layout.run / f"{record.name}.json", json.dumps(asdict(record)))


def forget(layout: Layout, name: str) -> None:
    """Drop a record."""
    (layout.run / f"{name}.json").unlink(missing_ok=True)


def read(layout: Layout, name: str) -> Record | None:
    """A process's record, None if it has none (or half of one, after a power cut)."""
    try:
        return Record(**json.loads((layout.run / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def records(layout: Layout) -> dict[str, Record]:
    """Every record by name, of living and ended processes."""
    names = sorted(path.stem for path in layout.run.glob("[a-z]*-[0-9]*.json"))
    return {name: record for name in names if (record := read(layout, name))}


def marker(layout: Layout, name: str) -> str:
    """What a part's environment says of whose it is."""
    return f"{name}@{layout.data_dir}"


def find_unrecorded(layout: Layout) -> None:
    """Write records for processes of this stack that have none: their supervisor died before it could."""
    known = {record.pid for record in records(layout).values() if record.alive}
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(PART_VARIABLE, "")
            leads = os.getsid(process.pid) == process.pid
        except (psutil.Error, OSError):
            continue
        name, _, folder = mark.partition("@")
        if leads and folder == str(layout.data_dir) and process.pid not in known:
            write(layout, describe(name, process.pid))


def rotate(log: Path) -> None:
    """Move a log's content aside once it is too long; whoever appends to it goes on at its start."""
    try:
        if log.stat().st_size > LOG_LIMIT:
            with log.open("rb") as source, log.with_suffix(".log.1").open("wb") as aside:
                shutil.copyfileobj(source, aside)  # up to the end as it is then: little can come before the next line
            os.truncate(log, 0)
    except FileNotFoundError:
        pass


def spawn(layout: Layout, part: Part, environment: Mapping[str, str], cwd: Path) -> subprocess.Popen[bytes]:
    """Start a part in a session of its own, its output appended to its log."""
    log = layout.log(part.name)
    rotate(log)
    with log.open("ab") as output:
        child = subprocess.Popen(
            part.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env={**environment, **part.environment, PART_VARIABLE: marker(layout, part.name)},
            start_new_session=True,
        )
    _share_cores(child.pid)
    return child


def _share_cores(pid: int) -> None:
    """Let the process finish what it is at before one that wakes up takes its core.

    An order wakes five processes in turn. Where they share two cores, each takes the core of another, which had more of
    the same work before it. Left to finish, they do more at a time: an order costs a third less.
    """
    with contextlib.suppress(OSError, AttributeError):  # gone already; no Linux
        os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


async def ended(record: Record) -> None:
    """Return as soon as the process is gone, whoever's child it is."""
    try:
        descriptor = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # no Linux, or an old one
        while record.alive:  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.2)
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    try:
        if record.alive:
            loop.add_reader(descriptor, gone.set)
            await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def stop(layout: Layout, record: Record) -> None:
    """SIGTERM, SIGKILL for what is left of it after its grace, and no record any more."""
    record.send(signal.SIGTERM)
    try:
        async with asyncio.timeout(GRACES.get(service_of(record.name), 10)):
            await ended(record)
    except TimeoutError:
        record.send(signal.SIGKILL)
        await ended(record)
    forget(layout, record.name)


async def stop_everything(layout: Layout) -> None:
    """Stop every process of this data folder in order: the workers, which still need the servers, come first."""
    running = records(layout)
    workers = [record for name, record in running.items() if service_of(name) in SERVICES]
    servers = [record for name, record in running.items() if service_of(name) not in SERVICES]
    for group in (workers, servers):
        await asyncio.gather(*(stop(layout, record) for record in group))


def restarted(old: Record | None, new: Record, last_exit: str) -> Record:
    """The record of a process that takes an ended one's place."""
    return replace(new, restarts=old.restarts + 1 if old else 0, last_exit=last_exit)


def hold_lock(layout: Layout) -> TextIO | None:
    """The supervisor's lock, None if another holds it; it is free again when the process ends, however."""
    lock = layout.lock.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock

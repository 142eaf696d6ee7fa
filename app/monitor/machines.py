"""What each process of the local stack takes of the machine, for Prometheus and for the page."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from app import metrics
from app.metrics import Metrics
from app.stack.client import Status
from app.stack.layout import size_on_disk

FOLDERS_EVERY = 15.0  # s between two looks at how much the folders take


@dataclass(frozen=True)
class Usage:
    """What a process takes."""

    age: float | None = None  # s
    memory: float | None = None  # bytes
    cpu: float | None = None  # of one core, 0 to 1 and above, since the last look
    cpu_seconds: float | None = None


class Machines:
    """Keeps the metrics of `metrics.MACHINES`, each process by its name."""

    def __init__(self, kept: Metrics, data_dir: Path, partitions: int) -> None:
        self._data_dir = data_dir
        self._ready = kept.gauge(metrics.PROCESS_READY)
        self._restarts = kept.counter(metrics.PROCESS_RESTARTS)
        self._age = kept.gauge(metrics.PROCESS_AGE)
        self._cpu = kept.counter(metrics.PROCESS_CPU)
        self._memory = kept.gauge(metrics.PROCESS_MEMORY)
        self._free = kept.gauge(metrics.DISK_FREE)
        self._used = kept.gauge(metrics.DISK_USED)
        self._processes: dict[str, psutil.Process] = {}
        self._counted: dict[str, tuple[int, float]] = {}  # name -> restarts and CPU seconds at the last look
        self._folders_at = self._looked_at = -FOLDERS_EVERY
        kept.gauge(metrics.PARTITIONS).set(partitions)

    def look(self, statuses: Sequence[Status]) -> dict[str, Usage]:
        """Show the processes as they are now."""
        now = time.monotonic()
        found = {status.name: self._one(status, now - self._looked_at) for status in statuses}
        self._looked_at = now
        for name in self._counted.keys() - found.keys():  # scaled away
            del self._counted[name]
            self._processes.pop(name, None)
            for metric in (self._ready, self._restarts, self._age, self._cpu, self._memory):
                metric.remove(name)
        self._look_at_disk(now)
        return found

    def _one(self, status: Status, elapsed: float) -> Usage:
        restarts, seconds = self._counted.get(status.name, (0, 0.0))
        known = status.name in self._counted
        usage = self._usage(status)
        grown = _grown(seconds, usage.cpu_seconds)
        self._counted[status.name] = status.restarts, seconds if usage.cpu_seconds is None else usage.cpu_seconds
        self._ready.labels(status.name).set(status.ready)
        self._restarts.labels(status.name).inc(_grown(restarts, status.restarts))
        self._age.labels(status.name).set(usage.age or 0.0)
        self._cpu.labels(status.name).inc(grown)
        self._memory.labels(status.name).set(usage.memory or 0.0)
        share = grown / elapsed if known and usage.cpu_seconds is not None else None
        return Usage(usage.age, usage.memory, share, usage.cpu_seconds)

    def _usage(self, status: Status) -> Usage:
        if status.pid is None or status.since is None:
            return Usage()
        process = self._processes.get(status.name)
        try:
            if process is None or process.pid != status.pid:
                process = self._processes[status.name] = psutil.Process(status.pid)
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info().rss
        except psutil.Error:  # it has ended meanwhile
            return Usage()
        spent = times.user + times.system + times.children_user + times.children_system
        age = max(0.0, time.time() - datetime.fromisoformat(status.since).timestamp())
        return Usage(age=age, memory=memory, cpu_seconds=spent)

    def _look_at_disk(self, now: float) -> None:
        self._free.set(psutil.disk_usage(str(self._data_dir)).free)
        if now - self._folders_at < FOLDERS_EVERY:
            return
        self._folders_at = now
        for folder in self._data_dir.iterdir():
            if folder.is_dir():
                self._used.labels(folder.name).set(size_on_disk(folder))


def _grown(before: float, now: float | None) -> float:
    """By how much a counter grew, which begins at 0 again with a new process."""
    if now is None:
        return 0.0
    return now - before if now >= before else now

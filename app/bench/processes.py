"""CPU and memory of the processes that take part."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Usage:
    """CPU seconds (user and system) of a process and its children; resident memory in MB, its peak and as it is now."""

    name: str
    pid: int
    cpu: float
    peak_mb: float
    resident_mb: float = 0.0


class Meter:
    """Reads what named processes have used since it was made."""

    def __init__(self, pids: Iterable[tuple[str, int]]) -> None:
        self._pids = list(pids)
        self._before = {pid: _cpu(pid) for _, pid in self._pids}

    def read(self) -> list[Usage]:
        """The use of each process; those that have ended since are left out."""
        usages = []
        for name, pid in self._pids:
            with contextlib.suppress(psutil.Error):
                cpu = max(0.0, _cpu(pid) - self._before[pid])
                usages.append(Usage(name, pid, cpu, _peak_mb(pid), resident_mb(pid)))
        return usages


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu(pid: int) -> float:
    total = 0.0
    with contextlib.suppress(psutil.Error):
        for process in _family(pid):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
    return total


def _peak_mb(pid: int) -> float:
    total = 0.0
    for process in _family(pid):
        with contextlib.suppress(psutil.Error, OSError):
            total += _high_water_kb(process) / 1024
    return total


def resident_mb(pid: int) -> float:
    """What a process and its children hold now, in MB; psutil.NoSuchProcess where it has ended."""
    total = 0.0
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss / 2**20
    return total


def _high_water_kb(process: psutil.Process) -> float:
    """Linux keeps the peak; elsewhere what it takes now has to do."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1])
    return float(process.memory_info().rss) / 1024

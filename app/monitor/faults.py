"""What went wrong, as far as two looks one after the other can tell."""

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT = 50


@dataclass(frozen=True)
class Seen:
    """A process at one look."""

    name: str
    pid: int | None  # None where it does not run, or its page does not answer
    ready: bool
    restarts: int = 0
    last_exit: str = ""


@dataclass(frozen=True)
class Fault:
    """One line of the list."""

    at: float  # s since 1970, UTC
    process: str
    what: str
    over: bool = False  # it tells of an end, not of a beginning


class Faults:
    """The newest faults, newest first."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._away: dict[str, float] = {}  # process -> since when, of those that had been ready
        self._figures: dict[str, float] = {}
        self._faults: deque[Fault] = deque(maxlen=KEPT)

    def look(self, at: float, processes: list[Seen]) -> None:
        """Compare with the last look. What is seen for the first time is starting, which is no fault."""
        for now in processes:
            before = self._seen.get(now.name)
            if before:
                self._compare(at, before, now)
        self._seen = {now.name: now for now in processes}
        for name in self._away.keys() - self._seen.keys():  # scaled away
            del self._away[name]

    def _compare(self, at: float, before: Seen, now: Seen) -> None:
        if now.restarts > before.restarts:
            self._begin(at, now.name, f"ended ({now.last_exit or 'unknown how'}) and was started again")
        elif before.pid is not None and now.pid is None:
            self._begin(at, now.name, "does not run or does not answer")
        elif before.ready and not now.ready:
            self._begin(at, now.name, "is not ready")
        if now.ready and now.name in self._away:
            seconds = at - self._away.pop(now.name)
            self._add(Fault(at, now.name, f"is ready again after {seconds:.0f} s", over=True))

    def _begin(self, at: float, process: str, what: str) -> None:
        self._away.setdefault(process, at)
        self._add(Fault(at, process, what))

    def began_anew(self, at: float, process: str) -> None:
        """A process's counters began anew: it was replaced by another."""
        self._add(Fault(at, process, "began anew: its counters were set back"))

    def figure(self, at: float, process: str, name: str, value: float) -> None:
        """A number that ought to be 0."""
        before = self._figures.get(name, 0.0)
        self._figures[name] = value
        if value > before:
            self._add(Fault(at, process, f"{name}: {value:.0f}"))
        elif before and not value:
            self._add(Fault(at, process, f"{name}: none any more", over=True))

    def _add(self, fault: Fault) -> None:
        self._faults.appendleft(fault)

    def tell(self) -> list[dict[str, Any]]:
        """All that are kept, newest first."""
        return [asdict(fault) for fault in self._faults]

"""A circuit breaker: whether a server that may be away is to be asked. Times are in s, of a clock that only goes on.

    closed ── too many failed ──> open ── its wait is over, somebody asks ──> half open ── the trial failed ──> open
       ^                                                                         │
       └───────────────────────── the trial was answered ───────────────────────┘

While half open one call is out, the trial; all others are rejected. A call counts in the state in which it began: what
was sent before an outage and comes back late is no trial.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

State = Literal["closed", "open", "half_open"]
Happened = Literal["tripped", "tried", "answered", "failed", "abandoned"]

# What is not here changes nothing. `abandoned`: who made the trial gave up on it, which tells nothing of the server.
TRANSITIONS: Mapping[tuple[State, Happened], State] = {
    ("closed", "tripped"): "open",
    ("open", "tried"): "half_open",
    ("half_open", "answered"): "closed",
    ("half_open", "failed"): "open",
    ("half_open", "abandoned"): "open",
}


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a breaker opens, and for how long.

    It opens after `failures` in a row; or where of at least `least` calls of the last `window` s a `share` failed. It
    stays open for `open_for` s, after each trial that failed for twice as long as before, up to `longest`.
    """

    failures: int = 5
    share: float = 0.5
    least: int = 20
    window: float = 10.0
    open_for: float = 1.0
    longest: float = 10.0


SLOTS = 10  # in which a window is counted: it slides by a tenth


@dataclass(slots=True)
class _Slot:
    """Calls that ended in the `number`-th tenth of a window since the clock's beginning."""

    number: int
    calls: int = 0
    failed: int = 0


class Ticket(NamedTuple):
    """Leave to make one call; `round` counts changes of state before it."""

    round: int


class Breaker:
    """Of one server, for one process."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._state: State = "closed"
        self._round = 0
        self._failed_in_a_row = 0
        self._slots: deque[_Slot] = deque()  # those of the window
        self._due = 0.0  # when an open breaker lets a trial through
        self._wait = 0.0  # the last one, 0 before the first
        self.openings = 0
        self.trials = 0
        self.rejected = 0

    def state(self, now: float) -> State:
        """How it stands; half open also when the next call will be the trial."""
        return "half_open" if self._state == "open" and now >= self._due else self._state

    def left(self, now: float) -> float:
        """How many s it will let nobody through."""
        return max(0.0, self._due - now) if self._state == "open" else 0.0

    def enter(self, now: float) -> Ticket | None:
        """Leave to call; None where the call is rejected. Each ticket must come back by `leave`."""
        if self._state == "open" and now >= self._due:
            self._move("tried")
            self.trials += 1
            return Ticket(self._round)
        if self._state != "closed":
            self.rejected += 1
            return None
        return Ticket(self._round)

    def leave(self, ticket: Ticket, happened: Literal["answered", "failed", "abandoned"], now: float) -> None:
        """How a call ended; one that began in an earlier state says nothing of this one."""
        if ticket.round != self._round:
            return
        if self._state == "half_open":
            self._end_trial(happened, now)
        elif happened != "abandoned":
            self._count(now, failed=happened == "failed")

    def _end_trial(self, happened: Happened, now: float) -> None:
        self._move(happened)
        if happened == "answered":
            self._wait = 0.0
            return
        if happened == "failed":
            self._open(now)
        # abandoned: the next call is the trial; nothing was learned, so the wait stays as it was

    def _count(self, now: float, *, failed: bool) -> None:
        rules, slots = self._rules, self._slots
        number = int(now * SLOTS / rules.window)
        if not slots or slots[-1].number != number:
            slots.append(_Slot(number))
            while slots[0].number <= number - SLOTS:
                slots.popleft()
        slots[-1].calls += 1
        slots[-1].failed += failed
        self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
        if failed and (self._failed_in_a_row >= rules.failures or self._is_share_failed()):
            self._move("tripped")
            self._open(now)

    def _is_share_failed(self) -> bool:
        calls = sum(slot.calls for slot in self._slots)
        failed = sum(slot.failed for slot in self._slots)
        return calls >= self._rules.least and failed >= self._rules.share * calls

    def _open(self, now: float) -> None:
        self.openings += 1
        self._wait = min(2 * self._wait, self._rules.longest) if self._wait else self._rules.open_for
        self._due = now + self._wait

    def _move(self, happened: Happened) -> None:
        self._state = TRANSITIONS[self._state, happened]
        self._round += 1
        self._failed_in_a_row = 0
        self._slots.clear()

"""How many requests may come in a time: exact sliding windows, and the hold-off of who goes on all the same.

Judged here for one worker alone, and by `app/adapters/limit_script.py` for all of them together: by the same rules, to
which one suite of tests holds both. Times are whole milliseconds of one clock.
"""

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import Literal

Limited = Literal["", "table", "source", "address", "held_off"]

MINUTE = 60_000
REMEMBERED = 97_200_000  # for so long is an accepted order known: 27 h, longer than its owner promises
IN_FLIGHT = 1_000  # what comes so soon after a refusal was sent before it was read
SHORTEST_HOLD = 2 * IN_FLIGHT  # else a hold would be over before anybody is seen to go on


@dataclass(frozen=True, slots=True)
class Quota:
    """At most so many requests in any time of this length; 0 of them: no limit."""

    name: Literal["table", "source", "address"]
    most: int
    span: int = MINUTE


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that would change something.

    `source` names who sends it, `ticket` this request and no other. An order has a table and its session, and a `mark`
    that is the same where the same order is sent again, and no other order's.
    """

    source: str
    ticket: str
    table: str = ""
    session: int = 0
    mark: bytes = b""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a quota, and in how many ms there is more of it."""

    left: int
    reset: int

    @property
    def with_one_less(self) -> "Standing":
        """After one more was taken; the oldest leaves as before."""
        return Standing(self.left - 1, self.reset)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a request: `refused` by a quota, or taken from both; `wait` ms are enough for both to let it in.

    Of an order that is known to be accepted nothing is taken at its table.
    """

    refused: Literal["", "table", "source"]
    wait: int
    table: Standing
    source: Standing
    is_known: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sender is told: by which limit it was refused, if any, and for how many ms.

    `quota` and `standing` are those of the nearest limit, None where there is none; `ask` is what can be given back.
    """

    limited: Limited = ""
    wait: int = 0
    quota: Quota | None = None
    standing: Standing | None = None
    ask: Ask | None = None
    is_known: bool = False


class Window:
    """The requests of one key that a quota still counts: the time of each by its ticket, the oldest first."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def standing(self, quota: Quota, now: int) -> Standing:
        """What is left; requests that no longer count are forgotten."""
        taken = self._taken
        while taken:
            oldest = next(iter(taken))
            if taken[oldest] > now - quota.span:
                break
            del taken[oldest]
        if not taken:
            return Standing(quota.most, quota.span)
        # With more in it than may be (the limit was lowered), those above must leave as well.
        next_to_leave = next(islice(taken.values(), max(0, len(taken) - quota.most), None))
        return Standing(max(0, quota.most - len(taken)), next_to_leave + quota.span - now)

    def take(self, ticket: str, now: int) -> None:
        """Count a request."""
        self._taken[ticket] = now

    def give_back(self, ticket: str) -> None:
        """Count a request no longer."""
        self._taken.pop(ticket, None)


_NO_WINDOW: tuple[Window | None, int] = (None, 0)


class Windows:
    """Windows by key; at most so many, the one that was looked at longest ago goes first.

    Those that nobody has looked at for a minute are empty, and go too: memory holds a minute's requests, no more.
    """

    def __init__(self, keys: int) -> None:
        self._keys = keys
        self._windows: OrderedDict[str, tuple[Window, int]] = OrderedDict()  # with when it was last looked at

    def of(self, key: str, now: int) -> Window:
        """The key's window, an empty one if there is none."""
        window, _ = self._windows.pop(key, _NO_WINDOW)
        self._windows[key] = (window or Window(), now)
        while len(self._windows) > self._keys or next(iter(self._windows.values()))[1] <= now - MINUTE:
            self._windows.popitem(last=False)
        return self._windows[key][0]

    def give_back(self, key: str, ticket: str) -> None:
        """Count a request of this key no longer."""
        window, _ = self._windows.get(key, _NO_WINDOW)
        if window is not None:
            window.give_back(ticket)


class Writes:
    """The windows of all that changes something, and the orders that are known to be accepted."""

    def __init__(self, table: Quota, source: Quota, keys: int) -> None:
        self._table = table
        self._source = source
        self._keys = keys
        self._tables = Windows(keys)
        self._sources = Windows(keys)
        self._accepted: OrderedDict[tuple[str, int, bytes], int] = OrderedDict()  # -> until when

    def judge(self, ask: Ask, now: int) -> Judgement:
        """Judge a request, and take it from what it counts for.

        A request that its table refuses has been sent all the same: it counts for its source.
        """
        is_known = self._knows(ask, now)
        by_table = ask.table != "" and self._table.most > 0
        of_table, of_source = self._tables.of(ask.table, now), self._sources.of(ask.source, now)
        table = of_table.standing(self._table, now) if by_table else _ALL
        source = of_source.standing(self._source, now) if self._source.most else _ALL
        is_full = table.left == 0 and not is_known
        if source.left == 0:
            return Judgement("source", max(source.reset, table.reset if is_full else 0), table, source, is_known)
        if self._source.most:
            of_source.take(ask.ticket, now)
            source = source.with_one_less
        if is_full:
            return Judgement("table", table.reset, table, source, is_known)
        if by_table and not is_known:
            of_table.take(ask.ticket, now)
            table = table.with_one_less
        return Judgement("", 0, table, source, is_known)

    def give_back(self, ask: Ask, *, also_source: bool) -> None:
        """Let a request count no longer for its table, nor, if `also_source`, for who sent it."""
        self._tables.give_back(ask.table, ask.ticket)
        if also_source:
            self._sources.give_back(ask.source, ask.ticket)

    def accepted(self, ask: Ask, now: int) -> None:
        """Know the order from now on."""
        key = ask.table, ask.session, ask.mark
        if key not in self._accepted and len(self._accepted) >= self._keys:
            self._accepted.popitem(last=False)
        self._accepted[key] = now + REMEMBERED

    def _knows(self, ask: Ask, now: int) -> bool:
        return bool(ask.mark) and self._accepted.get((ask.table, ask.session, ask.mark), now) > now


_ALL = Standing(-1, 0)  # of a quota that there is not


@dataclass(slots=True)
class _Hold:
    begun: int
    until: int


class HoldOffs:
    """Who was refused is held off for that time; who goes on meanwhile twice as long each time, up to `longest` ms.

    Who kept still until a hold was over has no past. At most so many are remembered, the oldest goes first.
    """

    def __init__(self, longest: int, keys: int) -> None:
        self._longest = longest
        self._keys = keys
        self._holds: OrderedDict[str, _Hold] = OrderedDict()

    def hold(self, key: str, wait: int, now: int) -> int:
        """Hold somebody off for at least `wait` ms; for how long it is."""
        if key not in self._holds and len(self._holds) >= self._keys:
            self._holds.popitem(last=False)
        length = max(wait, SHORTEST_HOLD)
        self._holds[key] = _Hold(now, now + length)
        return length

    def wait(self, key: str, now: int) -> int:
        """For how many ms more the sender of a request that has just come is held off; 0: it is not."""
        hold = self._holds.get(key)
        if hold is None:
            return 0
        if now >= hold.until:
            del self._holds[key]
            return 0
        if now - hold.begun >= IN_FLIGHT:
            doubled = min(2 * (hold.until - hold.begun), self._longest)
            hold.begun, hold.until = now, max(hold.until, now + doubled)
        return hold.until - now

"""What the auditor knows of the kitchen: whether each table's orders have their tickets, without keeping the orders.

    events: orders of each table, and the sum of their lines ──┐
    kitchen's offsets: up to where it is done with the events ─┼─> table by table: as many, and the same lines
    tickets: orders that have all of theirs, and their lines ──┘

Only the newest orders are known with each version of their tickets; of the others it is enough to count.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.audit.lines import MASK, Lines
from app.audit.orders import Place
from app.audit.patience import Patience
from app.audit.places import Places
from app.audit.tickets import Part, Tickets

KEPT = 10_000  # newest orders of which all that was told is known: a ticket told again, and late, is found among these
NAMED = 5  # orders of a table that are said to lack tickets


@dataclass(slots=True)
class Progress:
    """Up to where the kitchen is done with the events of one partition.

    It copies them into a log of its own first. What it had copied by a look is done with once it is done with all that
    this log held right after; while orders come, that is only known of a look some time ago.
    """

    done: int = 0  # the offset before which each order's tickets were told of
    _look: tuple[int, int] | None = None

    def look(self, copied: int, end: int, decided: int) -> int:
        """Note what it has copied, where its own log ended after that, and up to where it is done with that."""
        if decided >= end:
            self.done, self._look = max(self.done, copied), None
        elif self._look is None:
            self._look = copied, end
        elif decided >= self._look[1]:
            self.done, self._look = max(self.done, self._look[0]), (copied, end)
        return self.done


@dataclass(slots=True)
class _Table:
    """One table's orders as the events tell of them, and those that have their tickets."""

    partition: int = 0
    newest: Place | None = None
    told: int = 0
    made: int = 0
    difference: int = 0  # of the sums of lines, events less tickets
    spared: int = 0  # orders more, or fewer, than tickets when the first look found a log that was cut
    spared_difference: int = 0
    asked: tuple[int, int] | None = None  # how many must have tickets once the events before an offset are done with
    missed: int = 0  # orders that had none then

    @property
    def wanted(self) -> int:
        """How many must have tickets once all that is told of is done with."""
        return self.told - self.spared

    def spare(self, count: int) -> None:
        """Do without the tickets of so many orders, whichever they are."""
        self.spared, self.spared_difference = count, self.difference

    def differs(self, *, is_done: bool) -> bool:
        """Whether as many have tickets, but of other lines."""
        is_even = self.made == self.wanted and (is_done or not self.spared)
        return is_even and self.difference != self.spared_difference


@dataclass
class Kitchen:
    """Orders and their tickets. `say` is told of what begins or ceases to be amiss; a book's `patience` judges it."""

    say: Callable[[str], None]
    patience: Patience
    duplicated: dict[str, None] = field(default_factory=dict)
    contrary: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tables: dict[str, _Table] = {}
        self._made = Places()  # orders that have all of their tickets
        self._newest = Tickets(KEPT)
        self._touched: set[str] = set()
        self._began = False
        self.count = 0  # of orders that have all of their tickets

    # ── what the logs tell ────────────────────────────────────────────────────────────────────────────────────────────

    def order(self, place: Place, lines: Lines, partition: int) -> None:
        """An order that the events tell of for the first time."""
        table = self._table(place.table)
        table.partition, table.told = partition, table.told + 1
        table.newest = max(table.newest or place, place)
        table.difference = (table.difference + lines.digest) & MASK

    def ticket(self, part: Part, *, is_whole: bool) -> None:
        """A message of the kitchen; its log `is_whole` while nothing has left it by its age."""
        if part.place not in self._newest and self._made.has(part.place):
            return  # all of it was told of long ago
        if (amiss := self._newest.add(part)) is not None:
            self._keep(self.duplicated if amiss.kind == "duplicated" else self.contrary, amiss.kind, amiss.text)
        if part.place in self._newest.incomplete or not self._made.add(part.place, is_whole=is_whole):
            return
        self.count += 1
        table = self._table(part.place.table)
        table.made += 1
        table.difference = (table.difference - self._newest.lines(part.place).digest) & MASK

    def unreadable(self, text: str) -> None:
        """A record tells of nothing that there can be."""
        self._keep(self.contrary, "differing", text)

    def _keep(self, kept: dict[str, None], kind: str, text: str) -> None:
        if text not in kept and len(kept) < KEPT:
            kept[text] = None
            self.say(f"{kind}: {text}")

    def _table(self, name: str) -> _Table:
        self._touched.add(name)
        return self._tables.setdefault(name, _Table())

    # ── held against one another ──────────────────────────────────────────────────────────────────────────────────────

    def compare(self, now: float, ends: Mapping[int, int], done: Mapping[int, int], *, is_whole: bool) -> None:
        """Hold tickets against events.

        `done`: up to where the kitchen was done with the events, by partition; then the tickets were read to their
        ends, and then the events, up to `ends`. Unless the logs are whole at first, what lacks then is not asked for.
        """
        if not self._began and not is_whole:
            for table in self._tables.values():
                table.spare(table.told - table.made)
                if table.newest is not None:
                    self._made.begin_behind(table.newest)
        self._began = True
        gaps = Counter(place.table for place in self._made.gaps)
        for name in self._touched | gaps.keys():
            table = self._tables[name]
            if 0 < table.spared > table.told - table.made:  # it was still to come
                table.spare(max(0, table.told - table.made))
            end, until = ends.get(table.partition, 0), done.get(table.partition, 0)
            self._find_missed(name, table, gaps[name], end, until, now)
            differs = table.differs(is_done=until >= end)
            if self.patience.note(("lines", name), differs, now):
                state = "are not those" if differs else "are again those"
                self.say(f"the lines of table {name}'s tickets {state} of its orders: `python -m app audit` names them")
            is_beyond = table.made > table.wanted
            if self.patience.note(("beyond", name), is_beyond, now):
                state = f"for {table.made - table.wanted} orders" if is_beyond else "for none any more"
                self.say(f"table {name} has tickets {state} that the log does not tell of")
            if table.asked is None and not differs and not is_beyond:
                self._touched.discard(name)

    def _find_missed(self, name: str, table: _Table, gaps: int, end: int, done: int, now: float) -> None:
        """Count the orders without tickets that the kitchen is done with."""
        if table.asked is None and (table.made < table.wanted or gaps):
            table.asked = table.wanted, end
        if table.asked is None or done < table.asked[1]:
            return
        table.missed = max(gaps, table.asked[0] - table.made, 0)
        table.asked = (table.wanted, end) if table.missed else None
        if self.patience.note(("tickets", name), table.missed > 0, now):
            names = f": {self._names(name)}" if table.missed else ""
            orders = f"{table.missed} orders without all of their tickets" if table.missed else "all of its tickets"
            self.say(f"table {name} has {orders}{names}")

    def _names(self, table: str) -> str:
        places = sorted({place for place in (*self._made.gaps, *self._newest.incomplete) if place.table == table})
        return "; ".join(map(str, places[:NAMED])) or "the last ones"

    # ── figures ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def lost(self) -> int:
        """Orders that the kitchen is done with, and that lack tickets."""
        lasting = (name for name in self._touched if ("tickets", name) in self.patience.lasting)
        return sum(self._tables[name].missed for name in lasting)

    @property
    def behind(self) -> int:
        """Orders whose tickets are still to come, as far as is known."""
        lacking = (max(0, table.wanted - table.made) for table in map(self._tables.__getitem__, self._touched))
        return max(0, sum(lacking) - self.lost)

    @property
    def differing(self) -> int:
        """Messages that contradict others or cannot be read, and tables whose tickets are not those of their orders."""
        lasting = self.patience.lasting
        return len(self.contrary) + sum(
            (word, name) in lasting for word in ("lines", "beyond") for name in self._touched
        )

"""What the auditor knows: how many orders each source tells of, and what has been amiss for how long.

No clock and no I/O: every `now` is in s of any clock that runs on, and the same one each time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.audit.check import absent, contrary
from app.audit.kitchen import Kitchen
from app.audit.orders import Found, Order, Place, id_of, same_id
from app.audit.patience import Patience
from app.audit.places import Places
from app.domain.row import Row, newer

MOST_AMISS = 10_000  # orders and records kept by name; with as many, nothing further is looked for

Say = Callable[[str], None]
Told = tuple[Place, Found]  # what a row of Cassandra tells
Key = tuple[Place, Found]  # what an event tells; another event at the same place has a key of its own


@dataclass
class Missing:
    """An order that tables of Cassandra lack, and when it is to be looked for again."""

    order: Order
    tables: list[str]
    look_at: float


@dataclass
class Book:
    """The auditor's knowledge; `say` is told of whatever begins or ceases to be amiss."""

    grace: float
    say: Say
    rows: dict[str, Row] = field(default_factory=dict)  # without their order ids
    acknowledged: int = 0
    told: Places = field(default_factory=Places)  # by the log, up to its end
    looked_for: Places = field(default_factory=Places)  # in Cassandra
    expired: dict[str, int] = field(default_factory=dict)
    missing: dict[Key, Missing] = field(default_factory=dict)
    duplicated: dict[Key, str] = field(default_factory=dict)
    contrary: dict[Key, str] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._patience = Patience(self.grace)
        self.kitchen = Kitchen(self.say, self._patience)
        self._touched: set[str] = set()
        self._gaps: set[Place] = set()  # those noted
        # Table -> what one source counted when the other told of less.
        self._short: dict[str, int] = {}  # the row's orders, the events being fewer
        self._ahead: dict[str, int] = {}  # the events, the row's orders being fewer
        self._began = False

    # ── what the log tells ────────────────────────────────────────────────────────────────────────────────────────────

    def row(self, table: str, row: Row) -> None:
        """A record of a table's changelog."""
        before = self.rows.get(table)
        now = newer(before, row)
        if now is not before:
            self.acknowledged += now.placed - (before.placed if before else 0)
            self.rows[table] = Row(session=now.session, version=now.version, placed=now.placed, offset=now.offset)
            self._touched.add(table)

    def event(self, order: Order, *, is_whole: bool, partition: int = 0) -> None:
        """A record of the events; the log `is_whole` while nothing has left it by its age."""
        try:
            if self.told.add(order.place, is_whole=is_whole):
                self._touched.add(order.place.table)
                self.kitchen.order(order.place, order.lines, partition)
        except ValueError as error:
            self.differ(f"{order}: {error}")

    def compare(self, now: float, *, is_whole: bool) -> None:
        """Hold rows against events, both read to their ends since the last time, the rows first."""
        if not self._began and not is_whole:
            lacking = {table: self._placed(table) - self._told(table) for table in self.rows}
            self.expired = {table: count for table, count in lacking.items() if count > 0}
        self._began = True
        for place in self._gaps | self.told.gaps:
            is_gap = place in self.told.gaps
            # A row that has counted it in vain for long told of it before its place was known.
            known = ("short", place.table) in self._patience.lasting
            if self._patience.note(place, is_gap, now, at_once=known):
                self.say(f"the order at {place} is {'lost: the log lacks it' if is_gap else 'found again'}")
        self._gaps = set(self.told.gaps)
        for table in self._touched | self._short.keys() | self._ahead.keys():
            placed, told = self._placed(table), self._told(table)
            self._compare("short", self._short, table, told, placed, now)
            self._compare("ahead", self._ahead, table, placed, told, now)
        self._touched.clear()

    def _compare(self, word: str, marks: dict[str, int], table: str, fewer: int, more: int, now: float) -> None:
        """Note whether `fewer` is behind `more`, a while ago as now."""
        # Orders go on meanwhile: what one source told is held against what the other tells at a later time.
        key = word, table
        if fewer >= marks.get(table, more) and (key not in self._patience.lasting or fewer >= more):
            marks.pop(table, None)
            if self._patience.note(key, False, now):
                self.say(f"table {table}'s row and the log agree again")
        if fewer < more:
            marks.setdefault(table, more)
            if self._patience.note(key, True, now):
                self.say(f"table {table}'s row counts {self._placed(table)} orders, the log {self._told(table)}")

    def _placed(self, table: str) -> int:
        row = self.rows.get(table)
        return (row.placed if row else 0) - self.expired.get(table, 0)

    def _told(self, table: str) -> int:
        return self.told.of_table(table)

    # ── what Cassandra holds ──────────────────────────────────────────────────────────────────────────────────────────

    def look(self, order: Order, held: Mapping[str, Told | None], now: float) -> None:
        """What each table holds where an order belongs that the ledger is done with."""
        try:
            self.looked_for.add(order.place, is_whole=False)
        except ValueError:
            return  # the events' own reader tells of it
        key = order.place, order.found
        found = {table: told[1] if told else None for table, told in held.items()}
        self._find_missing(key, order, absent(found), now)
        doubles = [
            f"{order}, {table} has {id_of(told[1])} at {told[0]}"
            for table, told in held.items()
            if told and (told[0] != order.place or not same_id(told[1], order.found))
        ]
        self._set(self.duplicated, key, doubles, "duplicated")
        other = None if doubles else contrary(order.found, found)
        self._set(self.contrary, key, [f"{order}, {other} tells it in another way"] if other else [], "differing")

    def _find_missing(self, key: Key, order: Order, tables: list[str], now: float) -> None:
        if tables:
            self.missing[key] = Missing(order, tables, now + self.grace / 2)
        else:
            self.missing.pop(key, None)
        if self._patience.note(key, bool(tables), now):
            state = f"lost: it is missing in {', '.join(tables)}" if tables else "found again"
            self.say(f"{order} is {state}")

    def _set(self, kept: dict[Key, str], key: Key, texts: list[str], word: str) -> None:
        """Keep what is amiss about an order, or drop it."""
        if not texts and kept.pop(key, None) is not None:
            self.say(f"no longer {word}: {id_of(key[1])} at {key[0]}")
        if texts and key not in kept:
            kept[key] = texts[0]
            self.say(f"{word}: {texts[0]}")

    def due(self, now: float) -> list[Order]:
        """The missing orders that are to be looked for again."""
        return [missing.order for missing in self.missing.values() if missing.look_at <= now]

    def start_over(self) -> None:
        """A source was away: nothing that was seen before counts as having lasted."""
        self._patience.start_over()

    def differ(self, text: str) -> None:
        """A record tells of nothing that there can be."""
        if text not in self.unreadable and not self.is_full:
            self.unreadable.add(text)
            self.say(f"differing: {text}")

    # ── figures ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_full(self) -> bool:
        """Whether so much is amiss that there is no use in looking on."""
        amiss = len(self.missing) + len(self.duplicated) + len(self.contrary) + len(self.unreadable)
        return amiss >= MOST_AMISS

    @property
    def lost(self) -> int:
        """Orders that are missing, for good as far as can be told."""
        return self._lost_events() + sum(key in self._patience.lasting for key in self.missing) + self.kitchen.lost

    def _lost_events(self) -> int:
        by_table: dict[str, int] = {}
        for key in self._patience.lasting:
            if isinstance(key, Place):
                by_table[key.table] = by_table.get(key.table, 0) + 1
        for table in self._short:
            if ("short", table) in self._patience.lasting:
                by_table[table] = max(by_table.get(table, 0), self._placed(table) - self._told(table))
        return sum(by_table.values())

    @property
    def differing(self) -> int:
        """Orders that two sources tell in different ways."""
        ahead = (table for table in self._ahead if ("ahead", table) in self._patience.lasting)
        return (
            len(self.contrary)
            + len(self.unreadable)
            + self.kitchen.differing
            + sum(max(1, self._told(table) - self._placed(table)) for table in ahead)
        )

    def in_cassandra(self, table: str) -> int:
        """Orders of those looked for that a table held."""
        return self.looked_for.count - len({m.order.place for m in self.missing.values() if table in m.tables})

    def oldest_missing(self) -> int | None:
        """When the oldest order was placed (ms since 1970, UTC) that a table lacks."""
        return min((missing.order.placed_at for missing in self.missing.values()), default=None)

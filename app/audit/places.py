"""Which places the log has told of, without keeping a single order: how far each table is.

A table's events come in the order of its versions; whatever comes again stands at or below that mark. So for weeks of
orders it is enough to know a table's session and version, and the places that were passed over.
"""

from app.audit.orders import MOST_VERSIONS, Place

MOST_GAPS = 1000  # of one leap that are kept by name


class Places:
    """Places that were told of, each counted once."""

    def __init__(self) -> None:
        self.count = 0
        self.gaps: set[Place] = set()  # passed over and not told of since
        self._tables: dict[str, list[int]] = {}  # session, version, orders of all sessions

    def of_table(self, table: str) -> int:
        """How many of a table's places were told of."""
        return self._tables[table][2] if table in self._tables else 0

    def has(self, place: Place) -> bool:
        """Whether a place was told of."""
        known = self._tables.get(place.table, (0, 0))
        return place[1:] <= (known[0], known[1]) and place not in self.gaps

    def begin_behind(self, place: Place) -> None:
        """Take all of a table's places up to this one for told of, uncounted: the log has them no longer."""
        known = self._tables.setdefault(place.table, [0, 0, 0])
        known[:2] = max((known[0], known[1]), place[1:])
        self.gaps = {gap for gap in self.gaps if gap.table != place.table}

    def add(self, place: Place, *, is_whole: bool = True) -> bool:
        """Note a place; whether it is new. Unless the log `is_whole`, a table's first place may be any.

        Raises:
            ValueError: there can be no such version.
        """
        table, session, version = place
        if not 1 <= version <= MOST_VERSIONS:
            raise ValueError(f"{version} is no version of a table after an order")
        is_first = table not in self._tables
        known = self._tables.setdefault(table, [0, 0, 0])
        if (session, version) <= (known[0], known[1]):
            if place not in self.gaps:
                return False
            self.gaps.discard(place)
        else:
            below = known[1] if session == known[0] else 0
            if is_whole or not is_first:
                passed = range(max(below + 1, version - MOST_GAPS), version)
                self.gaps.update(Place(table, session, number) for number in passed)
            known[:2] = session, version
        known[2] += 1
        self.count += 1
        return True

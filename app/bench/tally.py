"""What is counted while the load runs."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import IO

import orjson

from app.bench.series import Series

KEPT_VIOLATIONS = 20

# A table, when its order should have been sent, and when it had its 201 (`perf_counter`).
Acknowledged = Callable[[str, float, float], None]


class Tally:
    """Counts and latencies (s) since `begin`; violations count from the start, whether warm or not."""

    def __init__(self, acks: Path | None = None, heard: Acknowledged | None = None, *, is_long: bool = False) -> None:
        """`heard` is told of every acknowledged order, also outside of the measured time; `is_long`: see `Series`."""
        self.series = Series(is_long=is_long)
        self._acks: IO[bytes] | None = acks.open("wb") if acks else None
        self._heard = heard
        self.violations = 0
        self.first_violations: list[str] = []
        self.unknown = 0
        self.begin()

    @property
    def latencies(self) -> Sequence[float]:
        """Of each acknowledged order, in s."""
        return self.series.latencies

    def begin(self) -> None:
        """Forget what was counted: the measurement starts here."""
        self.began = perf_counter()
        self.ended = 0.0
        self.series.begin(self.began)
        self.statuses: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()

    def end(self) -> None:
        """The measurement ends; what comes after it is checked, not counted."""
        self.ended = perf_counter()
        self.series.end(self.ended)

    def answer(self, status: str) -> None:
        """An answer came: its status, or `lost`."""
        if not self.ended:
            self.statuses[status] += 1

    def kind(self, kind: str) -> None:
        """A request of this kind was sent on top of the plain orders."""
        if not self.ended:
            self.kinds[kind] += 1

    def acknowledged(self, table: str, since: float) -> None:
        """An order that should have been sent at `since` has its first 201."""
        now = perf_counter()
        if self._heard is not None:
            self._heard(table, since, now)
        if self.ended:
            return
        self.series.add(now - since, now)

    def note(self, table: str, session: int, version: int, order_id: str, client_order_id: str) -> None:
        """Write an acknowledged order down, for the audit."""
        if self._acks is not None:
            line = {
                "table": table,
                "session": session,
                "version": version,
                "order_id": order_id,
                "client_order_id": client_order_id,
            }
            self._acks.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def violation(self, table: str, wrong: str | None) -> None:
        """Count a breach of the contract, where `wrong` is one."""
        if wrong is None:
            return
        self.violations += 1
        if len(self.first_violations) < KEPT_VIOLATIONS:
            self.first_violations.append(f"{table}: {wrong}")

    def close(self) -> None:
        """The file of acknowledged orders is whole."""
        if self._acks is not None:
            self._acks.close()

"""A stack that does not come up fails its drill, and only that one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.bench.stack import StackFailedError
from app.drill import run
from app.drill.drill import Drill
from app.drill.outcome import Outcome
from app.drill.stand import Stand


class BrokenFirst(Stand):
    """Does not come up the first time."""

    opened: list[int] = []  # noqa: RUF012 - of all its copies

    @contextmanager
    def open(self, offset: int) -> Iterator[Any]:
        self.opened.append(offset)
        if len(self.opened) == 1:
            raise StackFailedError("not ready after 240 s: redis-1")
        yield object()


def test_a_stack_that_does_not_come_up_fails_its_drill_and_no_other(tmp_path: Path) -> None:
    stand, said = BrokenFirst(), list[str]()
    drills = [Drill(name, name, lambda stack, seed: Outcome(), stand) for name in ("first", "second", "third")]
    finished = run.run(drills, seed=1, folder=tmp_path, offset=6000, say=said.append)
    assert [one.failed for one in finished] == [True, False, False]
    assert "FAILED: no stack: not ready after 240 s: redis-1" in said[0]
    assert stand.opened == [6000, 6000]


@pytest.mark.parametrize("outcome", [None, Outcome()])
def test_what_was_not_run_or_went_well_has_not_failed(outcome: Outcome | None) -> None:
    assert not run.Finished(Drill("a", "b", lambda stack, seed: Outcome(), Stand()), outcome).failed

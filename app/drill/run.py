"""Runs drills one after another, each on the kind of stack that it needs, and keeps what they found."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from app.audit.log import AuditError
from app.bench.load import LoadError
from app.bench.stack import Stack, StackFailedError
from app.drill import picture
from app.drill.drill import Drill
from app.drill.outcome import Outcome
from app.drill.stand import Stand
from app.drill.timeline import median

Say = Callable[[str], None]

COLUMNS = ("drill", "orders", "noticed s", "served again s", "longest gap s", "slowest s", "retries", "audit", "")
ROW = "{:<24} {:>7} {:>11} {:>14} {:>13} {:>9} {:>7}  {:<22} {}"


@dataclass(frozen=True)
class Finished:
    """A drill that was run, or why it was not."""

    drill: Drill
    outcome: Outcome | None
    not_run: str = ""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether anything was not as promised."""
        return self.outcome is not None and bool(self.outcome.problems)

    @property
    def row(self) -> str:
        """The line of the table."""
        outcome = self.outcome
        if outcome is None:
            return f"{self.drill.name:<24} not run: {self.not_run}"
        line, report = outcome.timeline, outcome.report
        return ROW.format(
            self.drill.name,
            report.acknowledged if report else "-",
            _spread(outcome.noticed),
            _spread(outcome.served_again),
            f"{line.longest_gap()[1]:.2f}" if line else "-",
            f"{line.slowest():.2f}" if line else "-",
            outcome.retries,
            f"lost={report.lost} duplicated={report.duplicated}" if report else "none",
            f"FAILED: {outcome.problems[0]}" if outcome.problems else "ok",
        ).rstrip()


def _spread(seconds: Sequence[float]) -> str:
    """Median and highest; one number where there is only one."""
    if not seconds:
        return "-"
    return f"{median(seconds):.2f} {max(seconds):.2f}" if len(seconds) > 1 else f"{seconds[0]:.2f}"


def table(finished: Sequence[Finished]) -> Iterator[str]:
    """All drills, one below the other; where there are two seconds, they are median and highest."""
    yield ROW.format(*COLUMNS).rstrip()
    yield from (one.row for one in finished)


def run(drills: Sequence[Drill], *, seed: int, folder: Path, offset: int, say: Say) -> list[Finished]:
    """Run the drills in their order, with a stack for each run of equal stands; pictures and results go to `folder`."""
    finished: list[Finished] = []
    with ExitStack() as open_stack:
        current: tuple[Stand, Stack] | None = None
        for number, drill in enumerate(drills):
            lacking = drill.stand.missing()
            if lacking:
                one = Finished(drill, None, lacking)
            else:
                try:
                    if current is None or current[0] != drill.stand or (finished and finished[-1].failed):
                        open_stack.close()
                        current = drill.stand, open_stack.enter_context(drill.stand.open(offset))
                    one = run_one(drill, current[1], seed + number)
                except StackFailedError as error:  # it did not come up: the next drill tries with one of its own
                    current = None
                    one = Finished(drill, Outcome(problems=[f"no stack: {error}"]))
            finished.append(one)
            keep(one, folder)
            tell(one, say)
    return finished


def run_one(drill: Drill, stack: Stack, seed: int) -> Finished:
    """Run a drill on a stack that stands; what breaks it off is one of its problems."""
    begun = time.monotonic()
    try:
        outcome = drill.run(stack, seed)
    except (LoadError, AuditError, StackFailedError, TimeoutError, OSError) as error:
        outcome = Outcome(problems=[f"broken off: {error}"])
    return Finished(drill, outcome, seconds=time.monotonic() - begun)


def tell(one: Finished, say: Say) -> None:
    """One line, and what else there is to know of a drill."""
    say(one.row)
    if one.outcome is not None:
        for name, fact in one.outcome.facts.items():
            say(f"    {name}: {fact}")
        for problem in one.outcome.problems:
            say(f"    PROBLEM {problem}")


def keep(one: Finished, folder: Path) -> None:
    """Write picture and figures down."""
    folder.mkdir(parents=True, exist_ok=True)
    outcome = one.outcome
    if outcome is None:
        return
    if outcome.timeline is not None:
        report = outcome.report
        verdict = f"lost={report.lost} duplicated={report.duplicated}" if report else "no audit"
        drawing = picture.draw(f"{one.drill.name}: {one.drill.title}", verdict, outcome.timeline)
        (folder / f"{one.drill.name}.svg").write_text(drawing, encoding="utf-8")
    found = {
        "drill": one.drill.name,
        "seconds": round(one.seconds, 1),
        "noticed": outcome.noticed,
        "served_again": outcome.served_again,
        "longest_gap": outcome.timeline.longest_gap()[1] if outcome.timeline else None,
        "slowest": outcome.timeline.slowest() if outcome.timeline else None,
        "retries": outcome.retries,
        "facts": outcome.facts,
        "problems": outcome.problems,
        "audit": dataclasses.asdict(outcome.report) if outcome.report else None,
        "marks": [[round(mark.at - outcome.timeline.began, 3), mark.text] for mark in outcome.timeline.marks]
        if outcome.timeline
        else [],
    }
    (folder / f"{one.drill.name}.json").write_text(json.dumps(found, indent=2), encoding="utf-8")

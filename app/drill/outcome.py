"""What a drill found."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.audit.check import Report
from app.audit.run import audit, read_acknowledgements
from app.bench.load import Result
from app.bench.report import counts
from app.bench.stack import Stack
from app.drill.timeline import Timeline

AUDIT_WAIT = 60.0  # s for the ledger to catch up
AGAIN = ("503", "429", "lost")  # answers after which a pad sends the same order once more


@dataclass
class Outcome:
    """What a drill found: facts to print in order, and what went wrong.

    `noticed` and `served_again` hold seconds from each fault: until a log told of it, and until the table that waited
    longest was served; `retries` counts requests that had to be sent once more.
    """

    facts: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    noticed: list[float] = field(default_factory=list)
    served_again: list[float] = field(default_factory=list)
    retries: int = 0
    report: Report | None = None
    timeline: Timeline | None = None

    def load(self, result: Result) -> None:
        """Take over what a load found."""
        self.facts["orders"] = f"{result.orders} in {result.seconds:.1f} s, p99 {result.p99:.1f} ms"
        self.facts["answers"] = counts(result.answers)
        if result.kinds:
            self.facts["among them"] = counts(result.kinds)
        self.facts["violations"] = str(result.violations)
        self.retries += sum(result.answers.get(status, 0) for status in AGAIN)
        self.problems += result.first_violations
        if result.unknown:
            self.problems.append(f"{result.unknown} orders got no answer to the end")

    def audit(self, stack: Stack, acks: Path) -> None:
        """Have the stack audited, with what the pads were told."""
        with acks.open() as lines:
            report = audit(stack.settings, read_acknowledgements(lines), AUDIT_WAIT)
        self.report = report
        self.facts["audit"] = str(report)
        if not report.is_clean:
            self.problems += report.problems or [f"the audit says: {report}"]


@contextmanager
def acks_file() -> Iterator[Path]:
    """A file for acknowledged orders, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bistro92-acks-") as folder:
        yield Path(folder) / "acks.jsonl"


def tables(name: str, count: int) -> list[str]:
    """Table numbers that no other drill uses."""
    return [f"{name}-{number}" for number in range(1, count + 1)]

"""What the processes' logs say of an order."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# Of the journal (app/adapters/journal.py).
ANSWERED, DECIDED, WRITTEN, ACKNOWLEDGED = "order answered", "order decided", "order written", "events acknowledged"
JOURNAL = (ANSWERED, DECIDED, WRITTEN)  # of one order each

_FACT = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)=("(?:[^"\\]|\\.)*"|\S*)')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Line:
    """A line of a process's log; `at` is in ms since 1970, UTC."""

    process: str
    at: float
    event: str
    facts: Mapping[str, str]

    def number(self, name: str) -> int | None:
        """A fact that is a whole number, None where there is none."""
        told = self.facts.get(name, "")
        return int(told) if told.isdecimal() else None


def parse(process: str, text: str) -> Line | None:
    """The line of this text, None where it is not in the form of our logs."""
    facts = {name: _plain(value) for name, value in _FACT.findall(text)}
    try:
        at = 1000 * datetime.fromisoformat(facts.pop("timestamp")).timestamp()
    except (KeyError, ValueError):
        return None
    facts.pop("level", None)
    return Line(process, at, facts.pop("event", ""), facts)


def search(logs: Path, *needles: str) -> Iterator[Line]:
    """The lines that hold all of these texts, of every process, also of logs that were moved aside."""
    wanted = [needle.encode() for needle in needles]
    for path in sorted(logs.glob("*.log*")):
        process = path.name.partition(".log")[0]
        try:
            with path.open("rb") as log:
                found = [text for text in log if all(needle in text for needle in wanted)]
        except OSError:
            continue
        for text in found:
            line = parse(process, text.decode(errors="replace"))
            if line is not None:
                yield line


def acknowledgement(lines: Iterable[Line], offset: int) -> Line | None:
    """The first of these lines that acknowledges the event at this offset."""
    found = [
        line
        for line in lines
        if (first := line.number("first")) is not None
        and (last := line.number("last")) is not None
        and first <= offset <= last
    ]
    return min(found, key=lambda line: line.at, default=None)


def _plain(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value[:1] == '"' else value

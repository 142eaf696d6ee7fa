"""A measurement as a file, and a later one compared with it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from app.bench import machine
from app.bench.figures import Figures, compared
from app.stack.layout import write_atomically

SCHEMA = 1


class SavedError(Exception):
    """A file cannot be used; the message says which and why."""


class Saved(msgspec.Struct):
    """A measurement: `figures` are those of the median run, `runs` those of each, `results` all that was found."""

    schema: int
    command: str
    options: dict[str, Any]
    date: str
    revision: str
    machine: dict[str, str]
    figures: dict[str, float]
    runs: list[dict[str, float]]
    results: Any = None


@dataclass(frozen=True)
class Measured:
    """What a command found, to be saved or compared."""

    command: str
    options: Mapping[str, Any]
    figures: Figures
    runs: Sequence[Figures]
    results: Any

    def save(self, path: Path) -> None:
        """Write it down; SavedError where that cannot be."""
        document = Saved(
            schema=SCHEMA,
            command=self.command,
            options=dict(self.options),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            revision=machine.revision(),
            machine=machine.describe(),
            figures=self.figures,
            runs=list(self.runs),
            results=self.results,
        )
        try:
            write_atomically(path, json.dumps(msgspec.to_builtins(document), indent=2) + "\n")
        except OSError as error:
            raise SavedError(f"{path} cannot be written: {error.strerror}") from error

    def against(self, then: Saved) -> Iterator[str]:
        """A table of both, and what makes them hard to compare."""
        yield f"then: {then.date}, {then.revision or 'no revision'}"
        yield from compared(then.figures, self.figures, ("then", "now"))
        if then.command != self.command:
            yield f"warning: then it was `bench {then.command}`, now `bench {self.command}`"
        yield from _differences("machine", then.machine, machine.describe())
        yield from _differences("option", then.options, self.options)


def read(path: Path) -> Saved:
    """A saved measurement.

    Raises:
        SavedError: the file cannot be read, or is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SavedError(f"{path} cannot be read: {error.strerror}") from error
    try:
        saved = msgspec.json.decode(data, type=Saved)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SavedError(f"{path} is no file that `bench --save` wrote: {error}") from error
    if saved.schema != SCHEMA:
        raise SavedError(f"{path} is of schema {saved.schema}, this program reads {SCHEMA}")
    return saved


def _differences(what: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        before, after = then.get(name), now.get(name)
        if before != after:
            yield f"warning: another {what}: {name} was {before}, is {after}"

"""Values that know the lines they stand in, for files that people write."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_DEPTH = 40
_INT_DIGITS = 18

_path_parts = re.compile(r"[^.\[\]]+")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a line of a text; the first is 1."""

    line: int
    text: str


class UnreadableError(Exception):
    """The text is no YAML, or no JSON."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.mistake = Mistake(line, text)


@dataclass(frozen=True, slots=True)
class Marked:
    """A value and the line where it begins, or its name does; `inner` are the values in a list or by their names."""

    line: int
    inner: "str | int | Decimal | bool | list[Marked] | dict[str, Marked] | None"

    def plain(self) -> Any:
        """The value itself."""
        if isinstance(self.inner, dict):
            return {name: value.plain() for name, value in self.inner.items()}
        if isinstance(self.inner, list):
            return [value.plain() for value in self.inner]
        return self.inner

    def line_of(self, path: str) -> int:
        """The line of what stands at a path like `groups[0].name`, or of what would hold it."""
        here = self
        for part in _path_parts.findall(path):
            if isinstance(here.inner, dict) and part in here.inner:
                here = here.inner[part]
            elif isinstance(here.inner, list) and part.isdecimal() and int(part) < len(here.inner):
                here = here.inner[int(part)]
            else:
                break
        return here.line


def enter(found: dict[str, Marked], name: str, value: Marked, mistakes: list[Mistake]) -> None:
    """Put a value under its name, where a name that stands twice is a mistake."""
    if name in found:
        mistakes.append(Mistake(value.line, f"{name!r} stands twice, first in line {found[name].line}"))
    found[name] = value


def number(text: str) -> int | Decimal | str:
    """The number that JSON writes so; the text where there is none that large."""
    try:
        return int(text) if len(text) <= _INT_DIGITS and text.lstrip("-").isdecimal() else Decimal(text)
    except InvalidOperation:
        return text

"""YAML as values that know the lines they stand in.

A number is kept as it was written, never as a float; only `true` and `false` are no text, so that `no` is a word.
A name that stands twice in one place is a mistake, where usual readers take the last.
"""

import re
from decimal import Decimal
from typing import Any

import yaml

from app.adapters.marked import MAX_DEPTH, Marked, Mistake, UnreadableError, enter, number

MAX_VALUES = 5_000_000  # YAML names a value and repeats it; a few lines could mean more than any memory holds

# A word with an exponent is no number to YAML, and is written without quotes.
_yaml_number = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 10,000 dishes: seconds rather than a minute


def read_yaml(text: str, mistakes: list[Mistake]) -> Marked:
    """The one document of a YAML text; adds to `mistakes` what is wrong and hinders no further reading.

    Raises:
        UnreadableError: it is no YAML.
    """
    try:
        return _Yaml(text, mistakes).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(filter(None, (error.context, error.problem)))
        raise UnreadableError(mark.line + 1 if mark else 1, f"no YAML: {said}") from error
    except yaml.YAMLError as error:
        line = text.encode(errors="replace").count(b"\n", 0, getattr(error, "position", 0)) + 1
        raise UnreadableError(line, f"no YAML: {' '.join(str(error).split())}") from error


class _Yaml:
    """Makes values of YAML's events, since the library's own composer dies of nesting that is deep enough."""

    def __init__(self, text: str, mistakes: list[Mistake]) -> None:
        self._next = _Loader(text).get_event
        self._mistakes = mistakes
        self._named: dict[str, tuple[Marked, int, int]] = {}
        self._values = 0

    def document(self) -> Marked:
        """All of it."""
        self._next()  # the stream's beginning
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return Marked(1, None)
        value = self._read(self._next(), 0)
        self._next()  # the document's end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise UnreadableError(_line(event), "no menu: a second document begins")
        return value

    def _read(self, event: yaml.Event, depth: int) -> Marked:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event.anchor or "", line, depth)
        assert isinstance(event, yaml.NodeEvent)
        self._count(line, depth, 1)
        if getattr(event, "tag", None):
            self._mistakes.append(Mistake(line, "no tags like !this are allowed"))
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Marked] = []
            while not isinstance(inner := self._next(), yaml.SequenceEndEvent):
                items.append(self._read(inner, depth + 1))
            value = Marked(line, items)
        elif isinstance(event, yaml.MappingStartEvent):
            value = Marked(line, self._mapping(depth))
        else:
            assert isinstance(event, yaml.ScalarEvent)
            value = Marked(line, _scalar(event.value) if event.implicit[0] else event.value)
        if event.anchor:
            self._named[event.anchor] = (value, *_extent(value))
        return value

    def _mapping(self, depth: int) -> dict[str, Marked]:
        found: dict[str, Marked] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            line = _line(event)
            name = event.value if isinstance(event, yaml.ScalarEvent) else None
            if name is None:
                self._read(event, depth + 1)
                self._mistakes.append(Mistake(line, "a name is a word, no list, mapping or repetition"))
            value = self._read(self._next(), depth + 1)
            if name is not None:
                enter(found, name, Marked(line, value.inner), self._mistakes)
        return found

    def _repeated(self, name: str, line: int, depth: int) -> Marked:
        if name not in self._named:
            raise UnreadableError(line, f"no YAML: nothing before it is named &{name}")
        value, size, height = self._named[name]
        self._count(line, depth + height, size)
        return Marked(line, value.inner)

    def _count(self, line: int, depth: int, values: int) -> None:
        self._values += values
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise UnreadableError(line, "no menu: it is nested too deeply, or repeats itself too often")


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1


def _extent(value: Marked) -> tuple[int, int]:
    """How many values there are, and how deep they are nested."""
    inner = value.inner.values() if isinstance(value.inner, dict) else value.inner
    if isinstance(inner, str | int | Decimal | None):
        return 1, 0
    extents = [_extent(one) for one in inner]
    return 1 + sum(size for size, _ in extents), 1 + max((height for _, height in extents), default=0)


def _scalar(text: str) -> str | int | Decimal | bool | None:
    """What a word without quotes means."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    return number(text) if _yaml_number.fullmatch(text) else text

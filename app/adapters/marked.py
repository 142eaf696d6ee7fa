"""YAML and JSON as values that know the lines they stand in.

A number is kept as it was written, never as a float; only `true` and `false` are no text, so that `no` is a word.
A name that stands twice in one place is a mistake, where usual readers take the last.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

MAX_DEPTH = 40
MAX_VALUES = 5_000_000  # YAML names a value and repeats it; a few lines could mean more than any memory holds
_INT_DIGITS = 18

# A word with an exponent is no number to YAML, and is written without quotes.
_yaml_number = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_path_parts = re.compile(r"[^.\[\]]+")
_space = re.compile(r"[ \t\n\r]*")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 10,000 dishes: a second rather than a minute


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
                _enter(found, name, Marked(line, value.inner), self._mistakes)
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


def _enter(found: dict[str, Marked], name: str, value: Marked, mistakes: list[Mistake]) -> None:
    if name in found:
        mistakes.append(Mistake(value.line, f"{name!r} stands twice, first in line {found[name].line}"))
    found[name] = value


def _scalar(text: str) -> str | int | Decimal | bool | None:
    """What a word without quotes means."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    return number(text) if _yaml_number.fullmatch(text) else text


def number(text: str) -> int | Decimal | str:
    """The number that JSON writes so; the text where there is none that large."""
    try:
        return int(text) if len(text) <= _INT_DIGITS and text.lstrip("-").isdecimal() else Decimal(text)
    except InvalidOperation:
        return text


def read_json(text: str, mistakes: list[Mistake]) -> Marked:
    """The value of a JSON text; adds to `mistakes` what is wrong and hinders no further reading.

    Raises:
        UnreadableError: it is no JSON.
    """
    reader = _Json(text, mistakes)
    try:
        value = reader.read(0)
        reader.end()
    except json.JSONDecodeError as error:
        raise UnreadableError(error.lineno, f"no JSON: {error.msg}") from error
    return value


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


class _Json:
    """Walks lists and objects by itself, to know their lines; the rest is the standard library's."""

    def __init__(self, text: str, mistakes: list[Mistake]) -> None:
        self._text = text
        self._mistakes = mistakes
        self._at = 0
        self._counted, self._line = 0, 1
        decoder = json.JSONDecoder(parse_float=number, parse_int=number, parse_constant=_no_constant)
        self._decode = decoder.raw_decode

    def read(self, depth: int) -> Marked:
        """The value from here on."""
        begins = self._peek()
        line = self._line
        if depth > MAX_DEPTH:
            raise UnreadableError(line, "no menu: it is nested too deeply")
        if begins == "[":
            items: list[Marked] = []
            while self._goes_on("]", is_first=not items):
                items.append(self.read(depth + 1))
            return Marked(line, items)
        if begins == "{":
            return Marked(line, self._object(depth))
        return Marked(line, self._value())

    def end(self) -> None:
        """Nothing may follow."""
        if self._peek():
            self._fail("nothing was expected any more")

    def _object(self, depth: int) -> dict[str, Marked]:
        found: dict[str, Marked] = {}
        is_first = True
        while self._goes_on("}", is_first=is_first):
            is_first = False
            if self._peek() != '"':
                self._fail("a name in double quotes was expected")
            line, name = self._line, self._value()
            if self._peek() != ":":
                self._fail("':' was expected")
            self._at += 1
            _enter(found, str(name), Marked(line, self.read(depth + 1).inner), self._mistakes)
        return found

    def _goes_on(self, closing: str, *, is_first: bool) -> bool:
        """Step over what is before the next member; False where it was the end."""
        if is_first:
            self._at += 1  # over the bracket
        begins = self._peek()
        if begins == closing:
            self._at += 1
            return False
        if is_first:
            return True
        if begins != ",":
            self._fail(f"',' or '{closing}' was expected")
        self._at += 1
        if self._peek() == closing:
            self._fail(f"no comma is allowed before '{closing}'")
        return True

    def _value(self) -> Any:
        try:
            value, self._at = self._decode(self._text, self._at)
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            self._fail(str(error))
        return value

    def _peek(self) -> str:
        """The next character that is no space, empty at the end; counts the lines up to it."""
        space = _space.match(self._text, self._at)
        assert space is not None
        self._at = space.end()
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._text[self._at : self._at + 1]

    def _fail(self, said: str) -> None:
        raise json.JSONDecodeError(said, self._text, self._at)

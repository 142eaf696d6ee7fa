"""JSON as values that know the lines they stand in.

A number is kept as it was written, never as a float. A name that stands twice in one object is a mistake.
"""

import json
import re
from typing import Any

from app.adapters.marked import MAX_DEPTH, Marked, Mistake, UnreadableError, enter, number

_space = re.compile(r"[ \t\n\r]*")


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
            enter(found, str(name), Marked(line, self.read(depth + 1).inner), self._mistakes)
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

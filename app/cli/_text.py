"""Bytes and texts of others, shown on a terminal."""

from datetime import UTC, datetime

DUMP_BYTES = 4096  # of a value that is no text
LINE_BYTES = 16


def iso(milliseconds: int) -> str:
    """A time, to the second, UTC."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{milliseconds} ms"


def plain(text: str) -> str:
    """The text on one line, and without what a terminal would obey."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def printable(data: bytes | None) -> str:
    """Bytes on one line: as text where they are text, else as hex digits."""
    if data is None:
        return "-"
    try:
        return plain(data.decode())
    except UnicodeDecodeError:
        return f"0x{data.hex()}"


def readable(value: bytes | None) -> str:
    """A value as text where it is text, else as a hex dump of its beginning."""
    if value is None:
        return "(null)"
    try:
        return "\n".join(map(plain, value.decode().split("\n")))
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and len(value) - error.start < 4:  # cut within a character
            return readable(value[: error.start])
    shown = value[:DUMP_BYTES]
    lines = [_dumped(at, shown[at : at + LINE_BYTES]) for at in range(0, len(shown), LINE_BYTES)]
    more = len(value) - len(shown)
    return "\n".join([*lines, f"… {more} bytes more"] if more else lines)


def _dumped(at: int, part: bytes) -> str:
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
    return f"{at:08x}  {part.hex(' '):<{3 * LINE_BYTES}} {text}"

"""Tables and their tokens, as `python -m app token` prints them."""

from collections.abc import Iterable


class TokensError(Exception):
    """The tokens cannot be used; the message says why."""


def parse(lines: Iterable[str], wanted: int) -> list[tuple[str, str]]:
    """The first `wanted` tables with their tokens, of lines `TABLE TOKEN`.

    Raises:
        TokensError: a line is none of these, or there are too few.
    """
    tokens = []
    for line in lines:
        words = line.split()
        if len(words) == 2:
            tokens.append((words[0], words[1]))
        elif words:
            raise TokensError(f"not a line TABLE TOKEN: {line.strip()[:80]}")
    if len(tokens) < wanted:
        raise TokensError(f"{wanted} tables are wanted, but there are tokens of {len(tokens)} only")
    return tokens[:wanted]

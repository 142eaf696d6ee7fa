"""What a token says of who holds it."""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["pad", "kitchen", "manager", "operator", "worker"]
ROLES: frozenset[str] = frozenset(get_args(Role))
STAFF: frozenset[str] = frozenset({"kitchen", "manager", "operator"})
MANAGERS: frozenset[str] = frozenset({"manager", "operator"})
MAX_NAME = 64  # characters


@dataclass(frozen=True, slots=True)
class Claims:
    """The holder of a token: a pad has its table and that table's session, staff and workers have neither.

    `expires` is in seconds since 1970, UTC. Staff may have a `name`, for people to read: it opens nothing.
    """

    role: Role
    expires: int
    table: str = ""
    session: int = 0
    name: str = ""

    @property
    def who(self) -> str:
        """Who it is, for the menu's history: `manager anna`, or `manager` alone."""
        return f"{self.role} {self.name}".rstrip()


def is_name(text: str) -> bool:
    """Whether this can stand in a history or a log as somebody's name: one short line of plain text."""
    return 0 < len(text) <= MAX_NAME and text.isprintable() and text == text.strip()

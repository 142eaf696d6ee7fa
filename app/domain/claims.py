"""What a token says of who holds it."""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["pad", "kitchen", "manager", "operator", "worker"]
ROLES: frozenset[str] = frozenset(get_args(Role))
STAFF: frozenset[str] = frozenset({"kitchen", "manager", "operator"})


@dataclass(frozen=True, slots=True)
class Claims:
    """The holder of a token: a pad has its table and that table's session, staff and workers have neither.

    `expires` is in seconds since 1970, UTC.
    """

    role: Role
    expires: int
    table: str = ""
    session: int = 0

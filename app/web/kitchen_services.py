"""What the kitchen's views need of the rest; the composition root fills it in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.ports import UNLIMITED, Edge, Limiter
from app.settings import Settings
from app.web.board import Board
from app.web.services import Tokens


@dataclass(frozen=True)
class KitchenServices:
    """All that the kitchen's views use.

    `behind` tells for how many s the board could not be brought up to date; 0 while it is. `ready` and `checks` are as
    those of the orders' views.
    """

    settings: Settings
    board: Board
    edge: Edge
    tokens: Tokens
    ready: Callable[[], str | None]
    checks: Callable[[], Mapping[str, str]]
    behind: Callable[[], float]
    limiter: Limiter = UNLIMITED

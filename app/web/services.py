"""What the views need of the rest; the composition root fills it in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from app.domain.claims import Claims
from app.domain.house_clock import HouseClock
from app.ports import (
    NO_JOURNAL,
    OPEN_DOOR,
    UNLIMITED,
    UNWATCHED,
    Admission,
    Edge,
    Journal,
    Limiter,
    LiveMenu,
    MenuEditor,
    OrderStore,
    OrderWatch,
    Owners,
)
from app.settings import Settings

MenuResult = Literal["fresh", "not_modified", "stale", "failed"]
Answered = Callable[[MenuResult], None]


def unheard(result: MenuResult) -> None:
    """Nobody counts how requests for the menu are answered."""


class Tokens(Protocol):
    """Tells who holds a token."""

    def verify(self, token: str) -> Claims | None:
        """Who holds this token; None for one that is forged, expired or not of this deployment."""
        ...


class Door(Protocol):
    """What tells who may come in; of the orders' views and the kitchen's."""

    @property
    def settings(self) -> Settings: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def limiter(self) -> Limiter: ...


class Conditions(Protocol):
    """What tells how a worker is."""

    @property
    def ready(self) -> Callable[[], str | None]: ...
    @property
    def checks(self) -> Callable[[], Mapping[str, str]]: ...


@dataclass(frozen=True)
class Services:
    """All that the views use.

    `ready` gives None when orders can be taken, else the reason why not; `checks` tells of each condition `ok`, or in
    words what is wrong. Neither asks anything outside. `kitchen` is the way to who decides on tickets. `menu_answered`
    hears how each request for the menu ended.
    """

    settings: Settings
    edge: Edge
    kitchen: Edge
    owners: Owners
    store: OrderStore
    menu: LiveMenu
    editor: MenuEditor
    clock: HouseClock
    tokens: Tokens
    ready: Callable[[], str | None]
    checks: Callable[[], Mapping[str, str]]
    watch: OrderWatch = UNWATCHED
    journal: Journal = NO_JOURNAL
    menu_answered: Answered = unheard
    limiter: Limiter = UNLIMITED
    admission: Admission = OPEN_DOOR

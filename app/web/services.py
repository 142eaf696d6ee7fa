"""What the views need of the rest; the composition root fills it in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from app.domain.claims import Claims
from app.ports import Edge, Journal, Menu, NoJournal, OrderStore, Owners
from app.settings import Settings


class Tokens(Protocol):
    """Tells who holds a token."""

    def verify(self, token: str) -> Claims | None:
        """Who holds this token; None for one that is forged, expired or not of this deployment."""
        ...


@dataclass(frozen=True)
class Services:
    """All that the views use. `ready` gives None when orders can be taken, else the reason why not."""

    settings: Settings
    edge: Edge
    owners: Owners
    store: OrderStore
    menu: Menu
    tokens: Tokens
    ready: Callable[[], str | None]
    journal: Journal = field(default_factory=NoJournal)

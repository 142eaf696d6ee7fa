"""What the views and agents need of the outside; adapters give it, the composition root hands it over."""

from collections.abc import Sequence
from typing import Protocol

from app.domain.menu import MenuItem
from app.messages import Answer, Command, OrderPlaced, TableState


class UnavailableError(Exception):
    """The answer cannot be had now: not ready, owner away, deadline passed. The guest may send the same again."""


class Edge(Protocol):
    """The way of a command to its table's owner and of the answer back."""

    @property
    def address(self) -> str:
        """Where the owner is to answer: a command's `reply_to`."""
        ...

    def new_request_id(self) -> str:
        """A random id that names a request at this worker."""
        ...

    async def ask(self, command: Command) -> Answer:
        """Append the command to the log and wait for its owner's answer.

        Raises:
            UnavailableError: no answer within the view's deadline, or too much waits already.
        """
        ...


class Owners(Protocol):
    """Reads from the row of the worker that owns a table, wherever that is."""

    async def table(self, table: str) -> TableState:
        """How the table stands.

        Raises:
            UnavailableError: its owner cannot answer for certain.
        """
        ...

    async def order(self, table: str | None, order_id: str) -> OrderPlaced | None:
        """An accepted order as the log tells it; None where its table's owner knows no such order.

        `table` None asks every owner: for staff, who may read any table's orders.

        Raises:
            UnavailableError: an owner cannot answer for certain.
        """
        ...

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[OrderPlaced]:
        """Accepted orders of a session by version, those above `after_version`, as the log tells them.

        For what Cassandra does not have yet; ids older than the replay promise are not found.

        Raises:
            UnavailableError: the table's owner cannot answer for certain.
        """
        ...


class Menu(Protocol):
    """The menu as this worker knows it, in memory; refreshed behind the scenes from Cassandra through Redis."""

    def items(self) -> Sequence[MenuItem]:
        """Every dish, in the menu's order; UnavailableError where none was ever fetched."""
        ...

    def find(self, item_id: str) -> MenuItem | None:
        """The dish with this id; UnavailableError where no menu was ever fetched."""
        ...


class OrderStore(Protocol):
    """Orders as the ledger has written them to Cassandra; it may lag."""

    async def order(self, order_id: str) -> OrderPlaced | None:
        """The order with this id; UnavailableError while Cassandra is away."""
        ...

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[OrderPlaced]:
        """A session's orders by version, those above `after_version`; UnavailableError while Cassandra is away."""
        ...

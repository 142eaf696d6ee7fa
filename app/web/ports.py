"""What the views need of the rest; the composition root hands it over."""

from collections.abc import Sequence
from typing import Protocol

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


class OrderStore(Protocol):
    """Orders as the ledger has written them to Cassandra; it may lag."""

    async def order(self, order_id: str) -> OrderPlaced | None:
        """The order with this id; UnavailableError while Cassandra is away."""
        ...

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[OrderPlaced]:
        """A session's orders by version, those above `after_version`; UnavailableError while Cassandra is away."""
        ...

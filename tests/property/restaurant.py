"""Commands as the views append them, for the property tests."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from app.agents import partition as partition_module
from app.domain import row as row_module
from app.domain.ids import fingerprint, order_id
from app.messages import Asked, CloseSession, Line, NoteCancelled, OpenSession, PlaceOrder

HOUR = 3_600_000

Read = Asked | NoteCancelled  # what an owner decides on


def place(
    client_id: str,
    *,
    table: str = "T1",
    session: int = 1,
    version: int = 0,
    quantity: int = 1,
    refusal: str = "",
) -> PlaceOrder:
    """An order of so many salmons."""
    lines = (Line("m1", "Grilled Salmon", quantity, 1899),)
    return PlaceOrder(
        request_id="r",
        reply_to="here",
        table=table,
        session=session,
        version=version,
        client_order_id=client_id,
        order_id=order_id(table, session, client_id),
        fingerprint=fingerprint(lines, ""),
        lines=lines,
        total=quantity * 1899,
        currency="EUR",
        refusal=refusal,
    )


def open_session(session: int = 1, table: str = "T1") -> OpenSession:
    """A party sits down."""
    return OpenSession(request_id="r", reply_to="here", table=table, session=session)


def close_session(session: int = 1, table: str = "T1") -> CloseSession:
    """A party leaves."""
    return CloseSession(request_id="r", reply_to="here", table=table, session=session)


def cancel(
    version: int, *, session: int = 1, table: str = "T1", client_id: str = "a", total: int = 1899
) -> NoteCancelled:
    """The kitchen has cancelled the order that stands at this version."""
    return NoteCancelled(
        table=table,
        session=session,
        order_id=order_id(table, session, client_id),
        version=version,
        total=total,
        placed_at=1,
        at=2,
    )


@contextmanager
def chunks_of(count: int) -> Iterator[None]:
    """Chunks of so few ids that short runs fill many."""
    patched: dict[str, Any] = {"CHUNK_IDS": count, "CHUNK_BYTES": count * row_module.ID_BYTES}
    with ExitStack() as patches:
        for module in (row_module, partition_module):
            patches.enter_context(mock.patch.multiple(module, **patched))
        yield

"""Finds in the rows and chunks of a table where its orders stand in the log."""

from dataclasses import dataclass

from app.domain.ids import id_hash
from app.domain.row import CHUNK_IDS, NO_ROW, AcceptedId, Row, accepted_ids
from app.tables.rows import Chunks
from app.tables.session_ids import NO_IDS


@dataclass(frozen=True, slots=True)
class Place:
    """An accepted order: its session, its version once accepted, and its command's offset."""

    session: int
    version: int
    offset: int


def find_order(table: str, rows: dict[str, Row], chunks: Chunks, order_id: str) -> Place | None:
    """Where the order with this id was accepted; None where neither the row nor a chunk knows it."""
    row = rows.get(table, NO_ROW)
    wanted = id_hash(order_id)
    known = row.find(wanted)
    if known is not None:
        return _place(row.session, known)
    for session in range(row.session, 0, -1):
        for chunk in chunks.get((table, session), NO_IDS).that_may_hold(wanted):
            known = chunk.find(wanted)
            if known is not None and (session < row.session or known.version < row.version):
                return _place(session, known)
    return None


def orders_of_session(table: str, rows: dict[str, Row], chunks: Chunks, session: int, after: int) -> list[Place]:
    """Where the session's orders with a version above `after` were accepted, by version, as far as the ids are kept."""
    row = rows.get(table, NO_ROW)
    found: dict[int, Place] = {}
    for chunk in chunks.get((table, session), ()):
        for known in accepted_ids(chunk.ids, chunk.number * CHUNK_IDS):
            if session < row.session or known.version < row.version:
                found[known.version + 1] = _place(session, known)
    if session == row.session:
        for known in accepted_ids(row.ids, row.base):
            found[known.version + 1] = _place(session, known)
    return [found[version] for version in sorted(found) if version > after]


def _place(session: int, known: AcceptedId) -> Place:
    return Place(session, known.version + 1, known.offset)

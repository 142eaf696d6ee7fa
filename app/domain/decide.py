"""What becomes of a command: decided from the table's row and the command alone.

No menu, no clock, no second topic: two workers that read the same commands decide the same, and a repeat repeats.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

from app.domain.ids import id_hash
from app.domain.row import AcceptedId, Chunk, Row, encode_id

RULES = 1  # a change of the rules is a new number in the command; the old rules stay

HOUR_MS = 3_600_000

# Published is a day. The three hours above it are for a broker whose clock is set forward: the log's time is its own.
REPLAY_MS = 27 * HOUR_MS
# A chunk is deleted a day after the last command that could have asked for it.
DELETE_MS = REPLAY_MS + 24 * HOUR_MS


class Placing(Protocol):
    """The command that places an order, as decided on."""

    @property
    def table(self) -> str: ...
    @property
    def session(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def order_id(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def refusal(self) -> str: ...
    @property
    def total(self) -> int: ...


class OfSession(Protocol):
    """A command that opens or closes the session that it names."""

    @property
    def session(self) -> int: ...


class OfOrder(Protocol):
    """A command that tells of an order by its place."""

    @property
    def session(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def total(self) -> int: ...


@dataclass(frozen=True, slots=True)
class At:
    """Where and when a command stands in its log: offset, and log time in ms."""

    offset: int
    time: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The order stands: `row` follows, the order found the table at `version`.

    `again` marks a command that was read a second time: row, event and answer go out once more.
    """

    row: Row
    version: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """The order id was accepted before, at `version`: the first answer again, and nothing else."""

    version: int


@dataclass(frozen=True, slots=True)
class IdReused:
    """The order id was accepted before, with other lines."""


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """The token's session is not the one that is open."""


@dataclass(frozen=True, slots=True)
class InvalidItem:
    """The view refused the items; `detail` says why."""

    detail: str


@dataclass(frozen=True, slots=True)
class VersionConflict:
    """The order was meant for another version of the table; `current` is its version."""

    current: int


@dataclass(frozen=True, slots=True)
class RefusedBefore:
    """The command was read before and refused then: nothing is done, and why is no longer known."""


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """A session was opened or closed: the event goes out, and the row where the command changed it."""

    row: Row
    session: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class SessionUnchanged:
    """Nothing to open or close; `row` tells how the table stands."""

    row: Row


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An order was cancelled: the event goes out, and `row`. `again`: it was so before, and the row is as it was."""

    row: Row
    again: bool = False


@dataclass(frozen=True, slots=True)
class NothingCancelled:
    """There is no such order."""


OrderDecision = Accepted | Replayed | IdReused | SessionClosed | InvalidItem | VersionConflict | RefusedBefore
SessionDecision = SessionChanged | SessionUnchanged
CancelDecision = Cancelled | NothingCancelled


def decide(row: Row, chunks: Collection[Chunk], command: Placing, at: At) -> OrderDecision:
    """Decide on an order; `chunks` are those of the command's table and session."""
    known_hash = id_hash(command.order_id)
    known = find_known(row, chunks, command.session, known_hash, at)
    if known is not None:
        return _decide_known(row, command, at, known)
    if at.offset <= row.offset:
        return RefusedBefore()
    if command.session != row.session or not row.is_open:
        return SessionClosed()
    if command.refusal:
        return InvalidItem(command.refusal)
    if command.version != row.version:
        return VersionConflict(row.version)
    entry = encode_id(known_hash, bytes.fromhex(command.fingerprint), at.offset)
    after = replace(
        row,
        version=row.version + 1,
        placed=row.placed + 1,
        total=row.total + command.total,
        offset=at.offset,
        time=max(row.time, at.time),
        ids=row.ids + entry,
    )
    return Accepted(after, row.version)


def find_known(row: Row, chunks: Collection[Chunk], session: int, known_hash: bytes, at: At) -> AcceptedId | None:
    """The accepted order id with this hash, in the row or in a chunk that still counts.

    Only the chunks of earlier sessions expire. When an id leaves the row, and what stamp its chunk bears, depends on
    when Kafka acknowledged what: two owners differ in it. In an earlier session nothing is accepted either way, but in
    the row's own one owner would accept anew what the other one answers again.
    """
    known = row.find(known_hash) if session == row.session else None
    if known is not None:
        return known
    for chunk in chunks:
        if session != row.session and at.time - chunk.stamp > REPLAY_MS:
            continue
        known = chunk.find(known_hash)
        # A chunk may have reached Kafka whose row did not: then its ids are accepted only when they are read again.
        if known is not None and (session < row.session or (session == row.session and known.version < row.version)):
            return known
    return None


def is_outlived(row: Row, session: int, chunk: Chunk, acked: At) -> bool:
    """Whether no command can ask for this chunk of a session any more, so that it may be deleted.

    `acked` is the last command of the partition that was acked. What comes after it may be read again, and must then
    find the chunk; so the row's session must have been opened by then, too.
    """
    return session < row.session and row.opened_offset <= acked.offset and acked.time - chunk.stamp > DELETE_MS


def _decide_known(row: Row, command: Placing, at: At, known: AcceptedId) -> OrderDecision:
    if at.offset == known.offset:
        return Accepted(row, known.version, again=True)
    if at.offset < known.offset:
        return RefusedBefore()
    if bytes.fromhex(command.fingerprint) != known.fingerprint:
        return IdReused()
    return Replayed(known.version)


def decide_open(row: Row, command: OfSession, at: At) -> SessionDecision:
    """Decide on opening the session that the command names, which must be the one after the last."""
    if at.offset > row.offset:
        if row.is_open or command.session != row.session + 1:
            return SessionUnchanged(row)
        return SessionChanged(
            Row(
                session=command.session,
                is_open=True,
                placed=row.placed,
                offset=at.offset,
                opened_offset=at.offset,
                time=max(row.time, at.time),
                opened_at=at.time,
            ),
            command.session,
        )
    # Read before. Whether it was this command that opened the session or an equal one, its event says the same.
    if 0 < command.session <= row.session:
        return SessionChanged(row, command.session, again=True)
    return SessionUnchanged(row)


def decide_close(row: Row, command: OfSession, at: At) -> SessionDecision:
    """Decide on closing the session that the command names."""
    if at.offset > row.offset:
        if not row.is_open or command.session != row.session:
            return SessionUnchanged(row)
        after = replace(row, is_open=False, offset=at.offset, time=max(row.time, at.time))
        return SessionChanged(after, command.session)
    if 0 < command.session < row.session or (command.session == row.session and not row.is_open):
        return SessionChanged(row, command.session, again=True)
    return SessionUnchanged(row)


def decide_cancelled(row: Row, command: OfOrder, at: At) -> CancelDecision:
    """Decide on what the kitchen says was cancelled: it alone knows whether that was possible."""
    if 0 < command.session < row.session:
        return Cancelled(row, again=True)  # the party has left: its row is gone, and the event is for who keeps orders
    if command.session != row.session or command.version < 1:
        return NothingCancelled()
    if command.version in row.cancelled:
        return Cancelled(row, again=True)
    # Read before, and not cancelled then: the row had not come to this version.
    if at.offset <= row.offset or command.version > row.version:
        return NothingCancelled()
    after = replace(
        row,
        total=row.total - command.total,
        offset=at.offset,
        time=max(row.time, at.time),
        cancelled=tuple(sorted((*row.cancelled, command.version))),
    )
    return Cancelled(after)

"""How many connections a worker holds, and which go first where more come.

Whoever opens connections and asks nothing must not keep out those who order. So a worker goes on accepting, since what
it left to the kernel would wait there unseen, pads and strangers alike. Where it is full it closes the connection that
was silent longest, first of those on which nothing was ever asked. A newcomer is sent away only where all are at work.
"""

import resource
from typing import Protocol

from aiohttp import web

KEPT_FILES = 256  # for logs, Kafka, Cassandra, Redis and the other workers
RESERVED = 64  # connections at the worker's own port: its supervisor and the other workers must always get through
LOOKS = 64  # at connections until a newcomer is sent away: so many at work in a row, nearly all are


class Connection(Protocol):
    """A connection as the crowd sees it."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing is asked on it now."""
        ...

    @property
    def has_asked(self) -> bool:
        """Whether anything was asked on it, ever."""
        ...

    def hang_up(self) -> None:
        """Close it at once."""
        ...


class Crowd:
    """The open connections, in the order in which they were last heard of."""

    def __init__(self, most: int) -> None:
        """Of `most` there may be less: as many as the process may have files open."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most = most if files == resource.RLIM_INFINITY else max(1, min(most, files - KEPT_FILES))
        self.reserved_port = 0
        self._new: dict[Connection, None] = {}  # nothing was asked yet
        self._known: dict[Connection, None] = {}
        self.hung_up = 0
        self.sent_away = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._new) + len(self._known)

    def come(self, connection: Connection, port: int) -> bool:
        """One more at this port of ours: whether it may stay."""
        room = self.most + (RESERVED if port and port == self.reserved_port else 0)
        if len(self) >= self.most and not self._make_room() and len(self) >= room:
            self.sent_away += 1
            return False
        self._new[connection] = None
        return True

    def heard(self, connection: Connection) -> None:
        """Something came on it; one whose first request comes byte by byte is not known by that."""
        if connection.has_asked:
            self.leave(connection)
            self._known[connection] = None

    def leave(self, connection: Connection) -> None:
        """It is gone."""
        self._new.pop(connection, None)
        self._known.pop(connection, None)

    def _make_room(self) -> bool:
        """Hang up on the one that may go first; whether there was one."""
        for connections in (self._new, self._known):
            for _ in range(min(LOOKS, len(connections))):
                connection = next(iter(connections))
                del connections[connection]
                if connection.is_silent and (connections is self._known or not connection.has_asked):
                    connection.hang_up()
                    self.hung_up += 1
                    return True
                self._known[connection] = None
        return False


CROWD = web.AppKey("crowd", Crowd)

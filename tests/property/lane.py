"""The way of the model's records to a topic."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Lane:
    """One topic's partition as a producer sees it: sent, delivered and known to be delivered, each in order."""

    queue: deque[Any] = field(default_factory=deque)
    sent: int = 0
    delivered: int = 0
    acked: int = 0
    known: int = 0  # the place in the changelog before which all is one's own, acknowledged, or was read
    _arrived: deque[tuple[int, bool]] = field(default_factory=deque)  # and not acknowledged

    def send(self, record: Any) -> None:
        """Hand over a record."""
        self.queue.append(record)
        self.sent += 1

    def arrive(self, offset: int, *, skip_strangers: bool) -> Any:
        """The next record, which arrives at this offset."""
        self._arrived.append((offset, skip_strangers))
        self.delivered += 1
        return self.queue.popleft()

    def acknowledge(self, count: int) -> None:
        """The worker hears that so many records more have arrived."""
        for _ in range(min(count, len(self._arrived))):
            offset, skip_strangers = self._arrived.popleft()
            if offset == self.known or skip_strangers:
                self.known = offset + 1
            self.acked += 1

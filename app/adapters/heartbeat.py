"""When the group's coordinator last answered a heartbeat of this worker."""

import time
from typing import Any

from app.settings import Settings

MARGIN = 0.2  # of the session: between the coordinator's clock and ours, and until the read is answered


class Heartbeat:
    """Watches the heartbeats of Faust's consumer. Can go when aiokafka tells when the last one was answered.

    While the last answered one is younger than the session time-out less a margin, no other worker can own what this
    one owns.
    """

    def __init__(self, settings: Settings) -> None:
        self._valid_for = settings.kafka.session_timeout * (1 - MARGIN)
        self._answered = 0.0

    def watch(self, app: Any) -> None:
        """Begin, once the app's consumer has joined its group; the consumer runs in a thread of its own."""
        coordinator = app.consumer._thread._consumer._coordinator
        if hasattr(coordinator, "watched_by_bistro92"):
            return
        send = coordinator._do_heartbeat

        async def watched() -> Any:
            began = time.monotonic()  # the session is counted from no earlier than this
            answered = await send()
            if answered:
                self._answered = began
            return answered

        coordinator._do_heartbeat = watched
        coordinator.watched_by_bistro92 = True

    def joined(self) -> None:
        """The group has just assigned partitions: as good as a heartbeat."""
        self._answered = time.monotonic()

    @property
    def is_fresh(self) -> bool:
        """Whether what this worker owns is still its own for certain."""
        return time.monotonic() - self._answered < self._valid_for

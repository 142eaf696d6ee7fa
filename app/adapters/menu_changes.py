"""The topic `menu-changes`: every worker reads all of it, each on its own."""

import asyncio
from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import KafkaError, KafkaException, Message

from app.adapters.follower import Followed, Follower
from app.adapters.librdkafka import link_config
from app.adapters.polled_producer import PolledProducer
from app.messages import BadMessageError, MenuChanged, decode_menu_change, encode
from app.ports import Fatal, LogReader, UnavailableError
from app.settings import Settings
from app.topics import MENU_CHANGES

log = structlog.get_logger(__name__)

KEY = b"menu"
RETRY_SECONDS = 1.0
# A lost worker or broker must not make it be told hours later: whoever reads asks the store anyway.
TOLD_WITHIN_MS = 60_000


class MenuAnnouncer:
    """Tells of changes."""

    def __init__(self, settings: Settings) -> None:
        config = {**link_config(settings, "bistro92-menu"), "message.timeout.ms": TOLD_WITHIN_MS}
        self._settings = settings
        self._config = config
        self._producer: PolledProducer | None = None

    async def announce(self, change: MenuChanged, wait: float) -> bool:
        """Tell of a change; whether Kafka has acknowledged it within `wait` s. It is tried on for a minute."""
        if self._producer is None:  # made when first needed: most workers never tell of any
            self._producer = PolledProducer("menu", self._config)
        loop = asyncio.get_running_loop()
        told: asyncio.Future[bool] = loop.create_future()

        def set_told(is_told: bool) -> None:
            if not told.done():
                told.set_result(is_told)

        def delivered(error: KafkaError | None, message: Message) -> None:
            del message
            if error is not None:
                log.warning("a change of the menu was not told of", revision=change.revision, reason=str(error))
            if not loop.is_closed():
                loop.call_soon_threadsafe(set_told, error is None)

        try:
            self._producer.produce(MENU_CHANGES, encode(change), KEY, partition=0, on_delivery=delivered)
            async with asyncio.timeout(wait):
                return await told
        except (BufferError, KafkaException, TimeoutError):
            return False

    def stop(self) -> None:
        """Give what is under way a second, and end; blocks."""
        if self._producer is not None:
            self._producer.stop(1.0)


class MenuChanges:
    """Follows the changes from the last one on; `heard` is called on the event loop with each one's revision.

    0 stands for what cannot be read: it may be a change.
    """

    def __init__(self, settings: Settings, reader: LogReader, heard: Callable[[int], None], fatal: Fatal) -> None:
        self._reader = reader
        self._heard = heard
        self._follower = Follower(settings, MENU_CHANGES, arrived=self._arrived, has_room=lambda: True, fatal=fatal)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, as soon as Kafka answers."""
        self._task = asyncio.get_running_loop().create_task(self._start(), name="menu-changes")

    async def _start(self) -> None:
        while True:
            try:
                end = await self._reader.end(MENU_CHANGES, 0)
            except UnavailableError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._follower.follow({0: max(end - 1, 0)})
                return

    def _arrived(self, partition: int, records: Sequence[Followed]) -> None:
        del partition
        for record in records:
            self._heard(_revision(record))

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._follower.stop()


def _revision(record: Followed) -> int:
    try:
        return decode_menu_change(record.value).revision
    except BadMessageError as error:
        log.warning("not a change of the menu, or a newer release's", offset=record.offset, reason=str(error))
        return 0

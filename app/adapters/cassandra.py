"""The connection to Cassandra: made behind the scenes, kept, and its errors turned into ours.

The driver does its network work on libev's thread; results come to the event loop by `call_soon_threadsafe`. What
blocks (connecting, preparing) is done on a thread of our own, so that a service starts and runs without Cassandra.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any, Literal

import structlog
from cassandra import ConsistencyLevel
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    ResponseFuture,
    Session,
)
from cassandra.connection import ConnectionException
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    HostStateListener,
    TokenAwarePolicy,
)
from cassandra.query import BoundStatement, PreparedStatement, tuple_factory

from app.adapters.batch import RowEncoder, RowProtocol
from app.ports import UnavailableError
from app.settings import Settings

log = structlog.get_logger(__name__)

PROTOCOL = 5  # Cassandra 4 and newer; named, since negotiating it costs a connection each time
RECONNECT_SECONDS = 1.0  # the driver's own policy waits up to ten minutes, and gives up after 64 attempts
FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 5.0

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the driver's times are UTC, without the zone
_MILLISECOND = timedelta(milliseconds=1)

# Hears of each request, and how many s its answer took; None where there was none, or an error.
Called = Callable[[Literal["read", "write"], float | None], None]


def new_cluster(settings: Settings, hosts: Sequence[str] | None = None, timeout: float | None = None) -> Cluster:
    """A cluster object of the settings' nodes (or `hosts`), not connected yet; `shutdown` it also after a failure.

    `timeout` in s is that of a request for which none is given; by default the one of reads.
    """
    routing = TokenAwarePolicy(DCAwareRoundRobinPolicy(settings.cassandra.data_center))
    profile = ExecutionProfile(
        load_balancing_policy=routing,
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=timeout or settings.cassandra.read_timeout,
        row_factory=tuple_factory,
    )
    return Cluster(
        hosts or settings.cassandra_hosts,
        port=settings.cassandra_client_port,
        protocol_version=PROTOCOL,
        connection_class=LibevConnection,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        reconnection_policy=ConstantReconnectionPolicy(RECONNECT_SECONDS, max_attempts=None),
        connect_timeout=5,
        idle_heartbeat_interval=5,  # s; a node that went without a word is noticed within two of these
        idle_heartbeat_timeout=5,
    )


def describe(error: BaseException) -> str:
    """A driver's error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


class NotConnectedError(UnavailableError):
    """Cassandra was not reached yet since the process's start; nothing was sent."""


def is_away(error: Exception) -> bool:
    """Whether a call that failed tells that Cassandra is away, for a breaker; what was not sent costs nobody a wait."""
    return isinstance(error, UnavailableError) and not isinstance(error, NotConnectedError)


def milliseconds_of(moment: datetime) -> int:
    """A time as the driver gives it, which is UTC without saying so, in ms since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


class Statement:
    """A statement that is prepared as soon as Cassandra answers."""

    __slots__ = ("_encoder", "consistency", "cql", "prepared")

    def __init__(self, cql: str, consistency: int | None = None) -> None:
        self.cql = cql
        self.consistency = consistency
        self.prepared: PreparedStatement | None = None
        self._encoder: RowEncoder | None = None

    def take(self, prepared: PreparedStatement) -> None:
        """Cassandra has prepared it."""
        prepared.consistency_level = self.consistency
        self._encoder = RowEncoder(prepared)
        self.prepared = prepared

    @property
    def encoder(self) -> RowEncoder:
        """What makes rows of a `RowBatch` by it; NotConnectedError before Cassandra was reached for the first time."""
        if self._encoder is None:
            raise NotConnectedError("Cassandra has not answered yet")
        return self._encoder

    def bind(self, parameters: Sequence[object]) -> BoundStatement:
        """The statement with its values; NotConnectedError before Cassandra was reached for the first time."""
        if self.prepared is None:
            raise NotConnectedError("Cassandra has not answered yet")
        return self.prepared.bind(parameters)


class _Breaks(HostStateListener):  # type: ignore[misc]
    """Counts, on the driver's threads and on the loop; a count that another overwrote is still another number."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, error: Exception) -> None:
        """A request failed; one that was only too slow says nothing about what was written before."""
        if isinstance(error, (ConnectionException, NoHostAvailable)):
            self.count += 1

    def on_down(self, host: object) -> None:
        """A node's connections broke."""
        del host
        self.count += 1

    def on_up(self, host: object) -> None:
        """A node answers again."""

    def on_add(self, host: object) -> None:
        """A node was added."""

    def on_remove(self, host: object) -> None:
        """A node was removed."""


class CassandraSession:
    """One process's connection, shared by all that read and write; `prepare` everything, then `start`."""

    def __init__(self, settings: Settings, called: Called = lambda *_: None) -> None:
        self._settings = settings
        self._called = called
        self._statements: list[Statement] = []
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._breaks = _Breaks()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._connect, name="cassandra-connect", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether Cassandra was reached and everything prepared, once; it may be away again since."""
        return self._session is not None

    @property
    def breaks(self) -> int:
        """How often a node was seen to go away."""
        return self._breaks.count

    def prepare(self, cql: str, consistency: int | None = None) -> Statement:
        """Have this statement prepared when the connection is made; without a `consistency` it has LOCAL_QUORUM."""
        assert not self._thread.is_alive(), "prepare before start"
        statement = Statement(cql, consistency)
        self._statements.append(statement)
        return statement

    def start(self) -> None:
        """Connect in the background, trying for ever."""
        # What the driver says of every failed attempt, with a traceback, we say once per outage.
        logging.getLogger("cassandra").setLevel(logging.CRITICAL)
        self._thread.start()

    async def stop(self) -> None:
        """Give up connecting, or close the connection."""
        self._stopping.set()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(timeout=LAST_RETRY_SECONDS)
        if self._cluster is not None:
            self._cluster.shutdown()

    def _connect(self) -> None:
        delay = FIRST_RETRY_SECONDS
        said = ""
        while not self._stopping.is_set():
            cluster = new_cluster(self._settings)
            cluster.register_listener(self._breaks)
            try:
                session = cluster.connect(self._settings.cassandra.keyspace)
                for statement in self._statements:
                    statement.take(session.prepare(statement.cql))
                session.client_protocol_handler = RowProtocol
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
                cluster.shutdown()
                reason = describe(error)
                if type(error).__name__ != said:  # once per kind: the text holds what changes each time
                    said = type(error).__name__
                    log.warning("cassandra cannot be used yet, trying on", reason=reason)
                self._stopping.wait(delay)
                delay = min(delay * 2, LAST_RETRY_SECONDS)
            else:
                self._cluster, self._session = cluster, session
                log.info("cassandra is connected", hosts=self._settings.cassandra_hosts)
                return

    async def rows(self, statement: Statement, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """All rows of a query, page by page.

        Raises:
            UnavailableError: Cassandra is away, too slow or refuses.
        """
        bound = statement.bind(parameters)
        rows: list[tuple[Any, ...]] = []
        try:
            future = self._send(bound, self._settings.cassandra.read_timeout)
            rows += await self._result("read", future) or ()
            while future.has_more_pages:
                future.start_fetching_next_page()
                rows += await self._result("read", future) or ()
        except UnavailableError:
            raise
        except Exception as error:  # the driver's errors have no common base
            self._breaks.note(error)
            raise UnavailableError(f"Cassandra: {describe(error)}") from error
        return rows

    async def write(self, query: object) -> None:
        """Execute a bound statement or a batch.

        Raises:
            UnavailableError: it is not known to have been written.
        """
        try:
            await self._result("write", self._send(query, self._settings.cassandra.write_timeout))
        except UnavailableError:
            raise
        except Exception as error:  # the driver's errors have no common base
            self._breaks.note(error)
            raise UnavailableError(f"Cassandra: {describe(error)}") from error

    async def _result(self, kind: Literal["read", "write"], response: ResponseFuture) -> Any:
        began = perf_counter()
        try:
            result = await _result(response)
        except BaseException:  # an asker that gave up had no answer either
            self._called(kind, None)
            raise
        self._called(kind, perf_counter() - began)
        return result

    def _send(self, query: object, timeout: float) -> ResponseFuture:
        if self._session is None:
            raise NotConnectedError("Cassandra has not answered yet")
        return self._session.execute_async(query, timeout=timeout)


async def _result(response: ResponseFuture) -> Any:
    """What the driver answers next: rows, or None; raises what the driver reports."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def done(value: object) -> None:
        if not future.done():
            future.set_result(value)

    def failed(error: BaseException) -> None:
        if not future.done():
            future.set_exception(error)

    def hand_over(function: Any, value: object) -> None:
        if not loop.is_closed():  # an answer after the end of the process's loop is nobody's
            loop.call_soon_threadsafe(function, value)

    response.add_callbacks(
        callback=lambda value: hand_over(done, value),
        errback=lambda error: hand_over(failed, error),
    )
    return await future

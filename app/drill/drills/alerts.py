"""Each alert is seen to fire by a real fault, and to end with it: a Prometheus watches the stack meanwhile.

    nothing fires ──> the fault ──> its alerts fire ──> the fault is undone ──> what fires only then ──> they are gone

The seconds are printed, and nothing hangs on them: what counts is that the alert comes at all, and goes.
"""

from dataclasses import dataclass

from app.bench.stack import Stack
from app.drill.alerts import Alerts, told, watching
from app.drill.drill import BRIEF, Drill
from app.drill.faults import (
    Happens,
    House,
    disk_filled,
    frozen,
    held,
    killed,
    ledger_starts_without_cassandra,
    menus_differ,
    no_disk,
    no_displays,
    orders_passed_over,
    own_disk,
    poison,
    rows_damaged,
    scaled_away,
)
from app.drill.outcome import Outcome
from app.drill.scene import NotHealedError, Scene, play
from app.drill.stand import Stand
from app.drill.timeline import Mark

RATE = 30.0  # orders/s; with displays and cooks each makes ten requests more
CALM_WITHIN = 180.0  # s until nothing fires: what looks back a minute needs so long
GONE_WITHIN = 240.0  # s until an alert is gone whose fault is

# They look back further than anybody waits here: how long each may go on once its fault is over.
LASTING = {
    "AvailabilityBudgetBurn": "an hour",
    "LatencyBudgetBurn": "an hour",
    "LedgerBudgetBurn": "an hour",
    "KitchenBudgetBurn": "an hour",
    "DeadLetters": "10 minutes",
    "RecoverySlow": "5 minutes",
}
MINUTE = ("ProcessRestarted", "EventLoopBlocked")  # they look back a minute: one drill's may fire in the next one


@dataclass(frozen=True)
class Case:
    """A fault, the alerts that fire while it lasts, and those that fire once it is over."""

    name: str
    title: str
    happens: Happens
    alerts: tuple[str, ...]
    later: tuple[str, ...] = ()
    within: float = 60.0  # s until they fire

    async def play(self, scene: Scene) -> None:
        """Have them fire, and end."""
        house = House(scene)
        async with watching(scene.stack.settings) as alerts:
            await house.come()
            try:
                await self._play(scene, house, alerts)
            finally:
                await house.leave()

    async def _play(self, scene: Scene, house: House, alerts: Alerts) -> None:
        mine = {*self.alerts, *self.later}
        others = {*LASTING, *MINUTE} - mine

        def is_calm() -> bool:
            return alerts.is_calm(others | alerts.still_firing(LASTING))

        def alarm() -> str:
            return f"an alert fires although all is well: {', '.join(sorted((alerts.states or {}).keys() - others))}"

        await scene.until(is_calm, alarm, CALM_WITHIN)
        alerts.begin()
        before = alerts.still_firing(mine)  # of a drill before this one; only a stack of its own tells when they come
        async with self.happens(scene, house) as mark:
            await self._fire(scene, alerts, mark, {*self.alerts} - before)
        over = scene.timeline.mark("the fault is undone", is_fault=False)
        await self._fire(scene, alerts, mark, {*self.later} - before)
        if before:
            scene.outcome.facts["fired before the fault"] = ", ".join(sorted(before))
        ending = mine - LASTING.keys()
        await scene.until(lambda: not alerts.still_firing(ending), "an alert fires on without its fault", GONE_WITHIN)
        gone = scene.timeline.mark("its alerts are gone", is_fault=False)
        staying = "".join(f"; {name} may fire for {LASTING[name]}" for name in sorted(mine & LASTING.keys()))
        scene.outcome.facts["gone"] = f"{gone.at - over.at:.1f} s after the fault{staying}"

    async def _fire(self, scene: Scene, alerts: Alerts, mark: Mark, wanted: set[str]) -> None:
        try:
            await scene.until(lambda: not alerts.missing(wanted), "", self.within)
        except NotHealedError:
            missing = ", ".join(sorted(alerts.missing(wanted)))
            scene.outcome.problems.append(f"did not fire within {self.within:.0f} s: {missing}")
        scene.outcome.facts["fired, s after the fault"] = told(alerts.fired, mark.at)


# ── the drills ────────────────────────────────────────────────────────────────────────────────────────────────────────

# Limits are on, so that Redis is asked for each order, and so wide that nobody meets them.
SETTINGS = (
    ("OBSERVE", "true"),
    ("LIMITS__ENABLED", "true"),
    ("LIMITS__TABLE_PER_MINUTE", "100000"),
    ("LIMITS__SOURCE_WRITES_PER_MINUTE", "100000"),
    ("LIMITS__SOURCE_READS_PER_MINUTE", "100000"),
    ("LIMITS__ADDRESS_PER_MINUTE", "100000"),
)
WATCHED = Stand(settings=SETTINGS)
# A worker looks for a newer menu by itself once in ten minutes; the auditor looks through all orders in seconds.
RARE = Stand(settings=(*SETTINGS, ("MENU__FRESH", "600"), ("AUDIT__REPEAT_RATE", "500"), ("AUDIT__EVERY", "0.2")))
SMALL_DISK = Stand(settings=SETTINGS, around=own_disk, missing=no_disk)

# The broker's outage is the last on its stack: after it orders, tickets and burnt budgets go on being dealt with.
CASES = (
    Case("worker-killed", "kill -9 of an order worker", killed("orders-1"), ("ProcessRestarted",)),
    Case("worker-held", "an order worker is held", held("orders-1"), ("WorkerDown",)),
    Case("worker-stopped", "an order worker stands still for 2.5 s", frozen("orders-2", 2.5), ("EventLoopBlocked",)),
    Case("poison", "a record that is none", poison, ("DeadLetters",)),
    Case("redis-away", "Redis is held", held("redis-1"), ("RedisDown", "BreakerOpen")),
    Case("monitor-away", "the monitor is held", held("monitor-1"), ("MonitorDown",)),
    Case("auditor-away", "the auditor is held", held("auditor-1"), ("AuditorSilent",)),
    Case("no-displays", "displays and cooks leave", no_displays, ("DisplaysMissing", "TicketsUnseen")),
    Case(
        "no-kitchen",
        "no kitchen worker runs",
        scaled_away("kitchen"),
        ("KitchenUnowned", "TargetsMissing"),
        ("KitchenBudgetBurn",),
        within=120.0,
    ),
    Case(
        "no-workers",
        "no order worker runs",
        scaled_away("orders"),
        ("UnownedPartitions", "TargetsMissing"),
    ),
    Case(
        "cassandra-away",
        "Cassandra is held",
        held("cassandra-1"),
        ("CassandraDown", "ConsumerLag"),
    ),
    Case(
        "stores-away",
        "Redis and Cassandra are held, and the ledger dies",
        ledger_starts_without_cassandra,
        ("MenuInDoubt", "WorkerUnready", "UnwrittenEvents", "AuditorSilent"),
        ("LedgerBudgetBurn",),
        within=150.0,
    ),
    Case(
        "broker-killed",
        "kill -9 of the only broker",
        killed("kafka-1"),
        ("ProcessRestarted", "AcknowledgementGap", "KafkaDown"),
    ),
    Case("broker-frozen", "the only broker stands still", frozen("kafka-1"), ("AcknowledgementGap", "KafkaDown")),
    Case(
        "broker-away",
        "the only broker is held",
        held("kafka-1"),
        ("OrdersRefused", "DisplaysBehind", "AvailabilityBudgetBurn", "LatencyBudgetBurn"),
        within=180.0,
    ),
    Case(
        "rows",
        "three rows of Cassandra are damaged",
        rows_damaged,
        ("OrdersLost", "OrdersDuplicated", "OrdersDiffering"),
        within=240.0,
    ),
    Case("menus", "a change of the menu of which nobody is told", menus_differ, ("MenusDiffer",)),
    Case(
        "passed-over",
        "orders are passed over by the kitchen",
        orders_passed_over,
        ("OrdersWithoutTickets", "OrdersLost"),
        within=120.0,
    ),
    Case("disk", "the disk is filled", disk_filled, ("DiskFilling",), within=120.0),
)
STANDS = {"passed-over": RARE, "rows": RARE, "menus": RARE, "disk": SMALL_DISK}

# Alerts that no drill here has fire, and why.
LEFT = {
    "KitchenLag": "with a fiftieth of its time the kitchen lags for 5.5 s, and answers too few scrapes for it to last",
    "OldTickets": "an order would have to stay on a display for an hour",
    "RecoverySlow": "a recovery takes less than a second here; a quota of Kafka's slows only one of a long log",
}


def _drill(case: Case) -> Drill:
    name = f"alert-{case.name}"

    def run(stack: Stack, seed: int) -> Outcome:
        return play(stack, name, case.play, seed=seed, rate=RATE, before=BRIEF, after=BRIEF)

    title = f"{case.title}: {', '.join((*case.alerts, *case.later))}"
    return Drill(name, title, run, STANDS.get(case.name, WATCHED))


DRILLS = tuple(map(_drill, CASES))

"""Orders, displays that follow the kitchen's streams, and cooks at work: from the 201 to the card."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic, perf_counter

from app.bench import load, profile
from app.bench.cooks import Cooks, cooking
from app.bench.displays import ALL, Cuts, Display, following, stations_of
from app.bench.figures import Figures
from app.bench.load import Plan, Result
from app.bench.report import columns, counts
from app.bench.series import percentile
from app.bench.stack import Stack
from app.bench.tally import Tally
from app.bench.tickets import Counted, TicketLog
from app.ticket_messages import split_ticket_id

QUIET_SECONDS = 20.0  # for the cooks to end, and for the last changes to reach each display
LOOK_SECONDS = 0.05
CUT_SECONDS = 240.0  # for all cuts
KITCHEN = "kitchen-"
TABLE = "KITCHEN"


class Receipts(Tally):
    """Keeps when each order had its 201 (`perf_counter`)."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[str, float] = {}

    def note(self, table: str, session: int, version: int, order_id: str, client_order_id: str) -> None:
        """An order was acknowledged just now."""
        super().note(table, session, version, order_id, client_order_id)
        self.at[order_id] = perf_counter()


@dataclass(frozen=True)
class Brigade:
    """Who works in the kitchen: displays, the first of which shows all; cooks, and how often they bump a ticket."""

    displays: int = 4
    cooks: int = 64
    bumps: int = 3
    cuts: int = 0  # by one display more, of all stations
    seed: int | None = None
    sampler: str | None = None  # the program that samples the kitchen's workers, in one more run


@dataclass(frozen=True)
class AtRate:
    """What came of one rate; latencies in ms, from the 201 to each card of the order on each display that shows it."""

    rate: float
    orders: Result
    cards: int
    before: int  # cards that came ahead of their 201; they count as 0 ms
    p50: float
    p99: float
    max: float
    events: int  # that all displays were told of
    again: int  # messages that came to the topic again
    displays: list[Counted]
    answers: dict[str, int]
    cutter: Counted | None = None
    problems: list[str] = field(default_factory=list)
    profile: list[str] = field(default_factory=list)  # where the kitchen's CPU goes

    @property
    def kitchen_cpu(self) -> float:
        """Of all kitchen workers, ms per order."""
        return round(sum(use.cpu_ms_per_order for use in self.orders.processes if use.name.startswith(KITCHEN)), 4)

    @property
    def kitchen_cores(self) -> float:
        """Of all kitchen workers, CPU s in each s."""
        return round(self.kitchen_cpu * self.orders.orders_per_second / 1000, 3)

    @property
    def missing(self) -> int:
        """Versions of tickets that a display was not told of."""
        return sum(len(one.missing) for one in self.displays)

    @property
    def repeated(self) -> int:
        """Versions of tickets that a display was told of again."""
        return sum(one.repeated + one.went_back for one in self.displays)


class Kitchen:
    """Displays and cooks at work on a stack."""

    def __init__(self, stack: Stack, displays: Sequence[Display], cooks: Cooks, log: TicketLog) -> None:
        self.stack = stack
        self.displays = displays
        self.cooks = cooks
        self.log = log

    async def quiet(self, within: float = QUIET_SECONDS) -> bool:
        """Wait until the cooks have nothing to do and each display shows what the log says; False where that fails."""
        deadline = monotonic() + within
        while await self.cooks.idle(deadline - monotonic()):
            await asyncio.to_thread(self.log.read)
            if self.log.is_told(self.displays) and self.cooks.is_idle:
                return True
            if monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.to_thread(self.log.read)
        return False

    async def caught_up(self, within: float = QUIET_SECONDS) -> bool:
        """Wait until each display shows what the log says now, while orders go on; False where that takes too long."""
        await asyncio.to_thread(self.log.read)
        deadline = monotonic() + within
        while not await asyncio.to_thread(self.log.is_told, self.displays):
            if monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    async def counted(self) -> list[Counted]:
        """Each display compared with the log."""
        return await asyncio.to_thread(self.log.compare, self.displays)


@asynccontextmanager
async def at_work(stack: Stack, brigade: Brigade, token: str) -> AsyncIterator[Kitchen]:
    """A brigade whose displays have their snapshots; a client that cuts its connection is the last of them.

    Raises:
        LoadError: the kitchen does not answer.
        AuditError: nor does Kafka.
    """
    url = stack.settings.kitchen_url
    async with AsyncExitStack() as open_ones:
        cooks = await open_ones.enter_async_context(cooking(url, token, brigade.cooks, brigade.bumps))
        displays = [
            Display(url, token, station, heard=None if number else cooks.heard)
            for number, station in enumerate(stations_of(brigade.displays, stack.settings.restaurant.stations))
        ]
        if brigade.cuts:
            displays.append(Display(url, token, ALL, cuts=Cuts(brigade.cuts, brigade.seed)))
        await open_ones.enter_async_context(following(displays))
        log = await asyncio.to_thread(TicketLog, stack.settings)
        try:
            yield Kitchen(stack, displays, cooks, log)
        finally:
            await asyncio.to_thread(log.close)


async def run(
    stack: Stack,
    brigade: Brigade,
    rates: Sequence[float],
    *,
    tables: int,
    seconds: float,
    warmup: float,
    say: Callable[[str], None] = lambda _: None,
) -> list[AtRate]:
    """Orders at each rate in turn, each with displays of its own.

    Raises:
        LoadError: nobody answers, or there is no menu.
        AuditError: Kafka does not answer.
    """
    tokens = await asyncio.to_thread(stack.tokens, [f"{TABLE}-{number}" for number in range(1, tables + 1)])
    staff = await asyncio.to_thread(staff_token, stack)
    pids = await asyncio.to_thread(stack.pids)
    found: list[AtRate] = []
    for number, rate in enumerate(rates):
        plan = Plan(stack.url, tokens, seconds, warmup if not number else min(warmup, load.WARM_AGAIN), rate, pids=pids)
        found.append(await _at_rate(stack, brigade, plan, rate, staff))
        say(f"{rate:g} orders/s: done")
    return found


def staff_token(stack: Stack) -> str:
    """A cook's token."""
    return stack.command("token", "--role", "kitchen", "--name", "bench").split()[-1]


async def _at_rate(stack: Stack, brigade: Brigade, plan: Plan, rate: float, token: str) -> AtRate:
    tally, problems = Receipts(), list[str]()
    async with at_work(stack, brigade, token) as kitchen, load.pool_of(plan) as pool:
        house = load.Seated(plan, pool, tally)
        await house.sit_down()

        async def cuts_are_done() -> None:
            try:
                async with asyncio.timeout(CUT_SECONDS):
                    cutters = kitchen.displays[brigade.displays :]
                    while any(one.cut < brigade.cuts for one in cutters):  # noqa: ASYNC110 - they cut by themselves
                        await asyncio.sleep(LOOK_SECONDS)
            except TimeoutError:
                problems.append(f"in {CUT_SECONDS:.0f} s not all connections were cut")

        orders = await house.run(plan.warmup, cuts_are_done)
        measured = tally.began, tally.ended
        sampled = await _sampled(brigade.sampler, house, plan, orders) if brigade.sampler else []
        if not await kitchen.quiet():
            problems.append(f"{QUIET_SECONDS:.0f} s after the last order not all was cooked and shown")
        displays = await kitchen.counted()
    latencies, before = _latencies(tally, measured, kitchen.displays[: brigade.displays])
    problems += [*orders.first_violations, *kitchen.cooks.wrong[:10], *_wrong(kitchen.log, displays)]
    p50, p99, highest = (percentile(latencies, share) for share in (0.5, 0.99, 1.0))
    return AtRate(
        rate,
        orders,
        cards=len(latencies),
        before=before,
        p50=p50,
        p99=p99,
        max=highest,
        events=sum(len(display.times) for display in kitchen.displays),
        again=kitchen.log.again,
        displays=displays[: brigade.displays],
        answers=dict(sorted(kitchen.cooks.answers.items())),
        cutter=displays[-1] if brigade.cuts else None,
        problems=problems,
        profile=sampled,
    )


async def _sampled(program: str, house: load.Seated, plan: Plan, orders: Result) -> list[str]:
    """One more run, which is slower for being looked at and does not count."""
    found: dict[str, Counter[str]] = {}
    kitchens = [(name, pid) for name, pid in plan.pids if name.startswith(KITCHEN)]

    async def look() -> None:
        found.update(await profile.sampled(program, kitchens, plan.seconds))

    await house.run(load.WARM_AGAIN, look)
    return list(profile.table(found, orders.processes))


def _latencies(tally: Receipts, measured: tuple[float, float], displays: Sequence[Display]) -> tuple[list[float], int]:
    """Of each card of an order that was acknowledged in the measured time, in s, ordered; and how many were ahead."""
    latencies, before = [], 0
    for display in displays:
        for name, at in display.first.items():
            acknowledged = tally.at.get(split_ticket_id(name)[0])
            if acknowledged is None or not measured[0] <= acknowledged <= measured[1]:
                continue
            before += at < acknowledged
            latencies.append(max(0.0, at - acknowledged))
    return sorted(latencies), before


def _wrong(log: TicketLog, displays: Sequence[Counted]) -> list[str]:
    wrong = [f"ticket {name} says two things at version {version}" for name, version in log.differing[:5]]
    for number, one in enumerate(displays, 1):
        if one.missing:
            wrong.append(f"display {number} ({one.station}) lacks {len(one.missing)} versions: {one.missing[:3]}")
        if one.repeated and one.snapshots == 1:
            wrong.append(f"display {number} ({one.station}) was told of {one.repeated} versions again")
        if one.went_back:
            wrong.append(f"display {number} ({one.station}): {one.went_back} tickets went back in their version")
    return wrong


def lines(found: AtRate) -> list[str]:
    """The figures, for people."""
    orders = found.orders
    kitchens = [use for use in orders.processes if use.name.startswith(KITCHEN)]
    facts = [
        ("orders/s", f"{orders.orders_per_second:,.1f} ({orders.orders} orders in {orders.seconds:g} s)"),
        ("order p50, p99, max ms", f"{orders.p50:.1f}  {orders.p99:.1f}  {orders.max:.1f}"),
        ("from the 201 to the card: p50, p99, max ms", f"{found.p50:.1f}  {found.p99:.1f}  {found.max:.1f}"),
        ("cards", f"{found.cards:,}, {found.before:,} of them ahead of their 201"),
        ("displays", f"{len(found.displays)}, {found.events:,} events of tickets in all"),
        ("missing, repeated on a display", f"{found.missing}, {found.repeated}"),
        ("messages that came again to the topic", f"{found.again}"),
        ("connections, broken", _sums(found.displays)),
        ("cooks were answered", counts(found.answers)),
        ("kitchen workers: CPU ms per order, cores", f"{found.kitchen_cpu:.2f}, {found.kitchen_cores:.2f}"),
        *((use.name, f"{use.cpu_ms_per_order:.2f} ms per order, peak {use.peak_mb:.0f} MB") for use in kitchens),
        (
            "CPU ms per order of the others",
            ", ".join(f"{use.name} {use.cpu_ms_per_order:.2f}" for use in orders.processes if use not in kitchens),
        ),
        ("load generator, displays and cooks", f"{orders.generator_cpu:.2f} ms per order"),
    ]
    if found.cutter is not None:
        cutter = found.cutter
        facts.append(
            (
                "a client that cut its connection",
                f"{cutter.cut} times: {cutter.received} of {cutter.expected} versions, {len(cutter.missing)} missing, "
                f"{cutter.repeated + cutter.went_back} repeated, {cutter.snapshots} snapshots",
            )
        )
    return [
        f"{found.rate:g} orders/s wanted",
        *columns(facts),
        *(f"  {wrong}" for wrong in found.problems),
        *found.profile,
    ]


def _sums(displays: Sequence[Counted]) -> str:
    return f"{sum(one.connections for one in displays)}, {sum(one.broken for one in displays)}"


def figures(found: Sequence[AtRate]) -> Figures:
    """The key figures by name."""
    figures: Figures = {}
    for one in found:
        at = f"at {one.rate:g}/s"
        figures |= {
            f"orders/s, {at}": one.orders.orders_per_second,
            f"order p99 ms, {at}": one.orders.p99,
            f"card p50 ms, {at}": one.p50,
            f"card p99 ms, {at}": one.p99,
            f"card max ms, {at}": one.max,
            f"missing, {at}": one.missing,
            f"repeated, {at}": one.repeated,
            f"CPU ms per order, kitchen, {at}": one.kitchen_cpu,
        }
        figures |= {
            f"memory MB, {use.name}, {at}": use.peak_mb for use in one.orders.processes if use.name.startswith(KITCHEN)
        }
        if one.cutter is not None:
            figures |= {
                f"missing of the client that cuts, {at}": len(one.cutter.missing),
                f"repeated of the client that cuts, {at}": one.cutter.repeated + one.cutter.went_back,
            }
    return figures

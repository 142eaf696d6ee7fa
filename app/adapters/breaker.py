"""A circuit breaker round calls to a server: one that is away costs nobody a wait, and is not asked by everybody."""

import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import structlog

from app.domain import breaker as domain
from app.domain.breaker import BreakerRules, State
from app.ports import UnavailableError
from app.settings import Breakers

log = structlog.get_logger(__name__)

T = TypeVar("T")


class OpenError(UnavailableError):
    """The call was not made: its server did not answer lately."""


class Guard(Protocol):
    """Makes a call, or refuses to."""

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask()` gives.

        Raises:
            OpenError: it was not asked.
        """
        ...


class Unguarded:
    """Makes every call: for tools that ask once."""

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask()` gives."""
        return await ask()


UNGUARDED = Unguarded()


def rules_of(settings: Breakers) -> BreakerRules:
    """The settings' rules."""
    return BreakerRules(
        failures=settings.failures,
        share=settings.share,
        least=settings.least,
        window=settings.window,
        open_for=settings.open_for,
        longest=settings.longest,
    )


class Breaker:
    """Round all calls of one process to the server `name`, on one event loop; each call bounds itself in time."""

    def __init__(
        self,
        name: str,
        rules: BreakerRules,
        counts: Callable[[Exception], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`counts` tells of an error whether the server failed; any other one is an answer, too."""
        self.name = name
        self._breaker = domain.Breaker(rules)
        self._counts = counts
        self._clock = clock
        self._opened_at = 0.0

    @property
    def state(self) -> State:
        """How it stands."""
        return self._breaker.state(self._clock())

    @property
    def openings(self) -> int:
        """How often it has opened."""
        return self._breaker.openings

    @property
    def trials(self) -> int:
        """Calls that were let through to see whether the server answers again."""
        return self._breaker.trials

    @property
    def rejected(self) -> int:
        """Calls that were not made."""
        return self._breaker.rejected

    def words(self) -> str:
        """`ok`, or how it stands."""
        state = self.state
        if state == "closed":
            return "ok"
        since = f"{self.name} has not answered for {self._clock() - self._opened_at:.0f} s"
        if state == "open":
            return f"{since}, and is asked again in {self._breaker.left(self._clock()):.1f} s"
        return f"{since}, and the next call finds out whether it does"

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask()` gives.

        Raises:
            OpenError: it was not asked.
        """
        ticket = self.enter()
        if ticket is None:
            raise OpenError(f"{self.name} did not answer lately, and is not asked now")
        try:
            result = await ask()
        except Exception as error:
            self.leave(ticket, failed=self._counts(error))
            raise
        except BaseException:  # whoever asked gave up
            self._breaker.leave(ticket, "abandoned", self._clock())
            raise
        self.leave(ticket, failed=False)
        return result

    def enter(self) -> domain.Ticket | None:
        """Leave for one call, to be brought back by `leave`; None where it is rejected."""
        return self._breaker.enter(self._clock())

    def leave(self, ticket: domain.Ticket, *, failed: bool) -> None:
        """The call of this ticket was answered, or not."""
        openings, was_closed = self._breaker.openings, self.state == "closed"
        self._breaker.leave(ticket, "failed" if failed else "answered", self._clock())
        if was_closed and self._breaker.openings > openings:
            self._opened_at = self._clock()
            log.warning("a breaker opens", server=self.name)
        elif not was_closed and self.state == "closed":
            away = round(self._clock() - self._opened_at, 1)
            log.info("a breaker closes", server=self.name, away=away, openings=self._breaker.openings)


class BatchBreaker:
    """The same for who sends what many ask for in one batch after the other: a batch counts as one call."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._ticket: domain.Ticket | None = None

    def may_ask(self) -> bool:
        """Whether to join the next batch; while a trial is under way nobody may."""
        if self._ticket is not None:
            return self._breaker.state == "closed"
        self._ticket = self._breaker.enter()
        return self._ticket is not None

    def told(self, answered: bool) -> None:
        """A batch was answered, or not in time."""
        ticket, self._ticket = self._ticket or self._breaker.enter(), None
        if ticket is not None:
            self._breaker.leave(ticket, failed=not answered)

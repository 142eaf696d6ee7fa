"""Admission of order requests by what the system can take, as this worker sees it.

view ── asks ──> Admission <── each answer: when it was asked for ── edge
                     ^
                     └── every half second: how long the oldest command waits ── lags
"""

import time
from collections.abc import Callable

import structlog

from app.domain import admission as domain
from app.domain.admission import AdmissionRules
from app.settings import Admission as AdmissionSettings
from app.settings import Settings

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5


class OrderAdmission:
    """One worker's; on one event loop, its properties on any thread."""

    def __init__(
        self, rules: AdmissionRules, lag: Callable[[], float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`lag` tells for how many s the oldest command of this worker's partitions has waited."""
        self._clock = clock
        self._lag = lag
        self._admission = domain.Admission(rules, clock())
        self._is_limited = False
        self.refused = 0

    @property
    def share(self) -> float:
        """Of the order requests that come in, the part that is let through."""
        return self._admission.share

    def wait_of(self, table: str) -> int:
        """0 where an order of this table may be appended; else how many s its pad is to wait."""
        seconds = self._admission.ask(table, self._clock())
        self.refused += seconds > 0
        return seconds

    def answered(self, asked_at: float) -> None:
        """What was appended at `asked_at` (`time.monotonic`) was decided on."""
        self._admission.answered(asked_at, self._clock())

    async def look(self) -> None:
        """Look at the log; to be called every `LOOK_SECONDS`."""
        self._admission.behind(self._lag(), self._clock())
        is_limited = self.share < 1
        if is_limited and not self._is_limited:
            log.warning("orders come faster than they can be taken: some are refused", share=round(self.share, 2))
        self._is_limited = is_limited


def is_enabled(settings: Settings) -> bool:
    """Whether orders are refused by load; not where all limits are off, so that it can be measured what there is."""
    return settings.admission.enabled and settings.limits.enabled


def rules_of(settings: AdmissionSettings) -> AdmissionRules:
    """The settings' rules."""
    return AdmissionRules(
        target=settings.target,
        lag=settings.lag,
        usual=settings.usual,
        usual_within=settings.usual_within,
        longest=settings.longest,
    )

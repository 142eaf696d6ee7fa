"""How many order requests are let through, so that what is let through is answered soon. Times are in s, forward only.

    rate let through            ╭ soon faster: the system may have recovered
                      ___------'
        |\\        _--'   ^ what could be taken before: up to there quickly, near it slowly
        | \\     /
        |  `___/  <- a part less, once answers come late

So it swings round what the system can take, and is without a limit soon after the last late answer. Guests who order as
usual are always let through; the others share what is left of the rate.

A wait counts only if it began after the last cut. Else what still waits from before would cut again and again: as with
a network's window, there is one cut for each way there and back.
"""

import math
from dataclasses import dataclass

from app.domain.usual import Usual

FRESH, SLOW = 0.3, 0.1  # weight of the newest step in a rate: of what comes, and of what is taken
ENOUGH_ANSWERS = 8  # to say whether they are late
A_WHOLE = 1 - 1e-9  # for one request: shares add up to a little less than they should
FREE = 10.0  # times what could be taken before: from there on nothing is limited


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """When requests are refused, and how many.

    Answers are late where half of those of `step` s took longer than `target` s, or where the log is behind by more
    than `lag` s. The rate is then cut to `cut` of what was answered, all of which it reaches again after `back` s; but
    never below `floor` a second, since a machine that is only slow is not to be closed.
    As usual are `usual` orders at once, and as many in each further `usual_within` s.
    """

    target: float = 0.1
    lag: float = 2.0
    step: float = 0.1
    cut: float = 0.9
    back: float = 1.0
    floor: float = 10.0
    usual: int = 5
    usual_within: float = 60.0
    longest: int = 30  # s that a guest is asked to wait at most


class Admission:
    """Of one process."""

    def __init__(self, rules: AdmissionRules, now: float) -> None:
        self._rules = rules
        self._guests = Usual(rules.usual, rules.usual_within)
        self._usual, self._beyond = _Rate(FRESH), _Rate(FRESH)
        self._through, self._answers = _Rate(SLOW), _Rate(SLOW)
        self._share = 1.0  # of those beyond the usual
        self._credit = 0.0  # towards the next of these that goes through: evenly spread, not by chance
        self._in_time = self._late = 0  # answers to what was let through after the last cut, not judged yet
        self._lag = 0.0
        self._step_ends = now + rules.step
        self._cut_at = self._grows_from = -math.inf
        self._could = math.inf  # requests per step, as it was at the last cut

    @property
    def share(self) -> float:
        """Of the requests that come in, the part that is let through, as of the last step."""
        usual, beyond = self._usual.of_step, self._beyond.of_step
        return (usual + self._share * beyond) / (usual + beyond) if usual + beyond > 0.01 else 1.0

    def ask(self, name: str, now: float) -> int:
        """0 where a request of this guest is let through; else after how many s to ask again."""
        self._step_to(now)
        beyond = self._guests.ask(name, now)
        if not beyond:
            self._usual.count += 1
        else:
            self._beyond.count += 1
            self._credit += self._share
            if self._credit < A_WHOLE:
                return min(self._rules.longest, 1 + beyond // self._rules.usual)
            self._credit -= 1
        self._through.count += 1
        return 0

    def answered(self, asked_at: float, now: float) -> None:
        """A request that was let through at `asked_at` has its answer."""
        self._step_to(now)
        self._answers.count += 1
        if asked_at < self._cut_at:
            return
        if now - asked_at > self._rules.target:
            self._late += 1
        else:
            self._in_time += 1

    def behind(self, lag: float, now: float) -> None:
        """The oldest command in the log waits for so long; to be told now and then, also while nobody asks."""
        self._step_to(now)
        self._lag = lag

    def _step_to(self, now: float) -> None:
        if now < self._step_ends:
            return
        steps = 1 + int((now - self._step_ends) / self._rules.step)
        self._step_ends += steps * self._rules.step
        for rate in (self._usual, self._beyond, self._through, self._answers):
            rate.end_step(steps)
        if self._is_late(now):
            self._could = max(self._rules.floor * self._rules.step, self._through.of_step / 2, self._answers.of_step)
            self._cut_at = self._grows_from = now
        elif self._lag > self._rules.lag:
            self._grows_from = now
        self._share = min(1.0, max(0.0, self._limit(now) - self._usual.of_step) / max(self._beyond.of_step, 1e-9))

    def _is_late(self, now: float) -> bool:
        is_late = self._lag > self._rules.lag and now - self._lag >= self._cut_at
        if self._late + self._in_time >= ENOUGH_ANSWERS:
            is_late = is_late or self._late > self._in_time
            self._late = self._in_time = 0
        return is_late

    def _limit(self, now: float) -> float:
        """Requests per step that may go through now."""
        if math.isinf(self._could):
            return self._could
        rules = self._rules
        since = (now - self._grows_from) / rules.back - 1.0
        factor = 1 + (1 - rules.cut) * since**3
        if factor > FREE:
            self._could = math.inf
        return self._could * factor


class _Rate:
    """How many in a step, smoothed."""

    def __init__(self, weight: float) -> None:
        self.count = 0
        self._weight = weight
        self.of_step = 0.0

    def end_step(self, steps: int) -> None:
        """This step has ended, and as many more without any as make `steps`."""
        self.of_step += self._weight * (self.count - self.of_step)
        self.of_step *= (1 - self._weight) ** (steps - 1)
        self.count = 0

"""The circuit breaker, whatever is asked of it and whenever: never two trials, never shut for longer than it may be."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain.breaker import TRANSITIONS, Breaker, BreakerRules, Ticket

RULES = BreakerRules(failures=3, share=0.5, least=10, window=10.0, open_for=1.0, longest=4.0)


class Guests(RuleBasedStateMachine):
    """Guests who call, and whose calls end in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.breaker = Breaker(RULES)
        self.out: list[Ticket] = []
        self.trial: Ticket | None = None
        self.opened_at = 0.0
        self.openings = 0

    @rule(seconds=st.sampled_from((0.0, 0.01, 0.5, 1.0, 3.0, 20.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def somebody_calls(self) -> None:
        before, trials = self.breaker.state(self.now), self.breaker.trials
        ticket = self.breaker.enter(self.now)
        assert (ticket is not None) or before != "closed"
        if self.breaker.trials > trials:
            assert before == "half_open"
            assert self.trial is None, "a second trial while one is out"
            self.trial = ticket
        if ticket is not None:
            self.out.append(ticket)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), happened=st.sampled_from(("answered", "failed", "failed", "abandoned")))
    def a_call_ends(self, data: st.DataObject, happened: str) -> None:
        ticket = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        before = self.breaker.state(self.now)
        self.breaker.leave(ticket, happened, self.now)  # type: ignore[arg-type]  # drawn from the three
        after = self.breaker.state(self.now)
        if ticket == self.trial:
            self.trial = None
            assert after == {"answered": "closed", "failed": "open", "abandoned": "half_open"}[happened]
        elif before != "closed":
            assert after == before, "a call from before is no trial"
        elif happened != "failed":
            assert after == "closed"

    @invariant()
    def nobody_is_kept_out_for_longer_than_the_longest_wait(self) -> None:
        if self.breaker.openings > self.openings:
            self.openings, self.opened_at = self.breaker.openings, self.now
        left = self.breaker.left(self.now)
        assert 0 <= left <= RULES.longest
        if self.breaker.state(self.now) == "open":
            assert self.now - self.opened_at + left <= RULES.longest + 1e-6

    @invariant()
    def it_is_half_open_for_one_call_only(self) -> None:
        if self.trial is not None:
            assert self.breaker.state(self.now) == "half_open"
            assert self.breaker.enter(self.now) is None


TestGuests = Guests.TestCase


def fails(breaker: Breaker, now: float) -> None:
    ticket = breaker.enter(now)
    assert ticket is not None
    breaker.leave(ticket, "failed", now)


def succeeds(breaker: Breaker, now: float) -> None:
    ticket = breaker.enter(now)
    assert ticket is not None
    breaker.leave(ticket, "answered", now)


@given(st.integers(1, 20), st.floats(0, 1e6))
def test_it_opens_after_so_many_failures_in_a_row_and_not_before(failures: int, now: float) -> None:
    breaker = Breaker(BreakerRules(failures=failures, least=1000))
    for _ in range(failures - 1):
        fails(breaker, now)
    succeeds(breaker, now)
    for _ in range(failures - 1):
        fails(breaker, now)
        assert breaker.state(now) == "closed"
    fails(breaker, now)
    assert breaker.state(now) == "open"


def outcomes(calls: list[bool], every: float) -> Breaker:
    """Calls that end `every` s, whether each was answered."""
    breaker = Breaker(RULES)
    for number, answered in enumerate(calls):
        if breaker.state(number * every) == "closed":
            (succeeds if answered else fails)(breaker, number * every)
    return breaker


def test_a_server_that_fails_every_second_time_is_no_longer_asked() -> None:
    assert outcomes([True, False] * 5, every=0.1).openings == 1
    assert outcomes([True, False] * 4, every=0.1).openings == 0, "too few to say so"
    assert outcomes([True, False] * 50, every=2.0).openings == 0, "too few in the window"
    assert outcomes([True, True, False] * 50, every=0.1).openings == 0


def test_it_waits_longer_each_time_up_to_a_bound_and_begins_anew_after_an_answer() -> None:
    breaker, now, waits = Breaker(RULES), 0.0, []
    for _ in range(3):
        fails(breaker, now)
    for _ in range(5):
        waits.append(breaker.left(now))
        assert breaker.enter(now + waits[-1] * 0.99) is None
        now += waits[-1]
        fails(breaker, now)
    assert waits == [1, 2, 4, 4, 4]
    now += breaker.left(now)
    succeeds(breaker, now)
    assert breaker.state(now) == "closed"
    for _ in range(3):
        fails(breaker, now)
    assert breaker.left(now) == 1


def test_every_state_can_be_left_and_a_trial_ends_it_either_way() -> None:
    assert {state for state, _ in TRANSITIONS} == set(TRANSITIONS.values()) == {"closed", "open", "half_open"}
    assert {after for (state, _), after in TRANSITIONS.items() if state == "half_open"} == {"closed", "open"}


def test_what_failed_long_ago_is_forgotten_in_tenths_of_the_window() -> None:
    breaker = Breaker(BreakerRules(failures=1000, share=0.5, least=10, window=10.0))
    for number in range(9):
        fails(breaker, number * 0.01)
    for number in range(30):
        succeeds(breaker, 11.0 + number * 0.01)
    fails(breaker, 12.0)
    assert breaker.state(12.0) == "closed"

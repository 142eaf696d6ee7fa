"""Admission in virtual time: a rush on a model of the house, and what must hold whatever comes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.admission import Admission, AdmissionRules
from app.domain.usual import KEPT, Usual
from tests.property.rush import House, Phase, table

CALM, RUSH = 10, 60
SETTLED = 8  # s of the rush after which the share is to have settled


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("capacity", [200, 1000])
def test_a_rush_of_three_times_what_can_be_taken_does_not_bring_the_house_down(capacity: int, workers: int) -> None:
    house = House(capacity, seed=1, workers=workers).play([Phase(CALM, 0.5), Phase(RUSH, 3), Phase(CALM, 0.5)])
    print(table(house))
    seconds = [house.seconds[number] for number in range(CALM + RUSH + CALM)]
    rush, settled, after = seconds[CALM : CALM + RUSH], seconds[CALM + SETTLED : CALM + RUSH], seconds[CALM + RUSH :]
    # Orders are taken nearly as fast as they can be,
    assert sum(second.through for second in rush) >= 0.9 * capacity * RUSH
    # soon, since those that could not be are refused,
    assert all(second.wait(0.99) < 0.6 for second in settled)
    assert sorted(second.wait(0.5) for second in settled)[len(settled) // 2] < 0.15
    # evenly: over any five seconds it is the third that can be taken,
    for start in range(len(settled) - 5):
        share = sum(second.share for second in settled[start : start + 5]) / 5
        assert 0.2 < share < 0.5, f"from {CALM + SETTLED + start} s on"
    # never from those who order as usual,
    assert sum(second.usual_through for second in rush) == sum(second.usual for second in rush) > 100
    # and all is as before within five seconds, without a limit.
    calm = max(second.wait(0.99) for second in seconds[2:CALM])
    assert all(second.wait(0.99) <= 2 * calm for second in after[5:])
    assert all(second.through == second.offered for second in after[5:])


def test_nobody_is_refused_while_all_is_answered_soon() -> None:
    house = House(1000, seed=2).play([Phase(30, 0.7)])
    assert all(second.through == second.offered for second in house.seconds.values())


def test_limits_open_when_the_house_recovers_while_the_flood_goes_on() -> None:
    house = House(300, seed=3).play([Phase(20, 3)])
    house.capacity = 1200
    house.play([Phase(20, 0.75)])
    late = [house.seconds[number] for number in range(30, 40)]
    assert sum(second.through for second in late) >= 0.99 * sum(second.offered for second in late)


def crowded() -> tuple[Admission, float]:
    """A worker that has just cut to next to nothing, and when."""
    admission, now = Admission(AdmissionRules(usual=2, longest=5, floor=1.0), 0.0), 0.0
    for number in range(100):
        now = number * 0.01
        admission.ask(f"T{number}", now)
        admission.answered(now - 1.0, now)
    return admission, now


def test_whoever_floods_is_told_to_wait_longer_and_longer_up_to_a_bound() -> None:
    admission, now = crowded()
    told = [admission.ask("flood", now) for _ in range(1000)]
    assert told[:2] == [0, 0], "its first orders are as anybody's"
    refused = [wait for wait in told if wait]
    assert len(refused) > 500
    assert refused == sorted(refused)
    assert (refused[0], refused[-1]) == (1, 5)


def test_a_house_that_waited_for_its_log_is_open_soon_after() -> None:
    """An outage says little of what can be taken: what waited is late, and is one cut."""
    admission, now = Admission(AdmissionRules(), 0.0), 0.0
    while now < 10:
        if not admission.ask("flood", now):
            admission.answered(now - 0.02, now)
        now += 0.01
    for second in range(20):  # Kafka is away; pads send again
        admission.behind(float(second), now)
        now += 1.0
        admission.ask("flood", now)
    for number in range(300):  # and is back: what waited is answered
        admission.answered(now - 8.0, now + number / 1000)
    now += 0.3
    admission.behind(0.0, now)
    refused = 0
    for number in range(500):
        asked_at = now + number * 0.01
        if admission.ask("flood", asked_at):
            refused += 1
        else:
            admission.answered(asked_at - 0.02, asked_at)
    assert refused < 50


def test_what_waited_from_before_a_cut_does_not_cut_again() -> None:
    """The queue from before drains, ever slower; all of it is late, whatever is let through now."""
    admission, cut_at, shares = Admission(AdmissionRules(usual=1), 0.0), 0.0, []
    for number in range(1, 500):
        now = number * 0.01
        admission.ask("flood", now)
        if number > 100 and not cut_at:
            admission.answered(now - 1.0, now)
            cut_at = now if admission.share < 1 else 0.0
        elif cut_at and number % 4 == 0:
            admission.answered(cut_at - 0.01, now)
        if cut_at:
            shares.append(admission.share)
    assert min(shares) == shares[0] < 0.5
    assert shares[-1] == 1


def test_as_long_as_the_log_is_behind_less_is_let_through() -> None:
    admission, now, shares = Admission(AdmissionRules(), 0.0), 0.0, []
    for step in range(3000):
        now = step * 0.01
        admission.ask("flood", now)
        admission.behind(min(now, 5.0) if now < 20 else 0.0, now)
        shares.append(admission.share)
    assert max(shares[:200]) == 1
    assert max(shares[300:2000]) < 0.7
    assert min(shares[2800:]) == 1, "it has caught up"


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "answer", "late", "behind"]), st.floats(0, 3), st.sampled_from("abc")),
        max_size=200,
    )
)
@settings(deadline=None)
def test_whatever_comes_the_share_is_one_and_guests_as_usual_are_let_through(
    events: list[tuple[str, float, str]],
) -> None:
    rules = AdmissionRules(usual=3, usual_within=60, longest=7)
    admission, now = Admission(rules, 0.0), 0.0
    asked: dict[str, list[float]] = {name: [] for name in "abc"}
    for what, seconds, name in events:
        now += seconds
        match what:
            case "ask":
                wait = admission.ask(name, now)
                assert 0 <= wait <= rules.longest
                asked[name].append(now)
                if sum(at > now - rules.usual_within for at in asked[name]) <= rules.usual:
                    assert wait == 0
            case "answer":
                admission.answered(now, now)
            case "late":
                admission.answered(now - 1.0, now)
            case _:
                admission.behind(seconds, now)
        assert 0 <= admission.share <= 1


def test_a_house_full_of_strangers_is_forgotten_and_not_kept_in_memory() -> None:
    usual = Usual(2, 60.0)
    for number in range(2 * KEPT):
        assert usual.ask(f"stranger-{number}", number / 1000) == 0
    assert len(usual) <= KEPT
    assert [usual.ask("T1", 100.0) for _ in range(4)] == [0, 0, 1, 2]
    assert usual.ask("T1", 130.0) == 0, "half a minute later one more is as usual"
    assert usual.ask("T1", 130.0) == 3
    assert usual.ask("T1", 250.0) == 0
    assert [usual.ask("T1", 250.0) for _ in range(2)] == [0, 1], "all is as at first"

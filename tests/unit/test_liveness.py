"""When a worker ends itself: by given times, with a Kafka that answers or does not."""

from collections.abc import Collection, Mapping

import pytest

from app.domain.liveness import LOOK_SECONDS, Limits, Liveness, Vitals

LIMITS = Limits(stall=4, unready=45, stuck=30)


class Log:
    """Kafka: one partition, its first offset and its end; `asked` counts the questions."""

    def __init__(self, end: int = 10, first: int = 0) -> None:
        self.first, self.end = first, end
        self.is_away = False
        self.asked = 0

    def __call__(self, partitions: Collection[int]) -> Mapping[int, tuple[int, int]] | None:
        self.asked += 1
        return None if self.is_away else dict.fromkeys(partitions, (self.first, self.end))


def ended_at(
    liveness: Liveness, log: Log, seconds: range, *, ready: bool = True, place: int | None = None
) -> int | None:
    """The second in which the process ends; `place` None: it is done with all there is."""
    for now in seconds:
        vitals = Vitals(now, ready, places={0: log.end if place is None else place})
        if liveness.check(now, vitals, log) is not None:
            return now
    return None


def test_a_loop_that_turns_is_no_reason() -> None:
    assert Liveness(LIMITS).stalled(now=104, last=100) is None


def test_a_loop_that_stood_still_for_longer_than_a_session_ends_the_process_whatever_kafka_says() -> None:
    log = Log()
    log.is_away = True
    assert "stood still for 4.5 s" in str(Liveness(LIMITS).check(104.5, Vitals(100, is_ready=True), log))
    assert log.asked == 0


def test_a_worker_that_gets_no_table_ends() -> None:
    assert ended_at(Liveness(LIMITS), Log(), range(100), ready=False) == 46


def test_a_worker_that_gets_its_tables_in_time_goes_on() -> None:
    liveness, log = Liveness(LIMITS), Log()
    assert ended_at(liveness, log, range(45), ready=False) is None
    assert ended_at(liveness, log, range(45, 50)) is None
    assert ended_at(liveness, log, range(50, 94), ready=False) is None


def test_a_recovery_that_goes_on_is_no_hang() -> None:
    liveness, log = Liveness(LIMITS), Log()
    for now in range(1000):
        assert liveness.check(now, Vitals(now, is_ready=False, recovered=now // 40), log) is None
    assert liveness.check(1045, Vitals(1045, is_ready=False, recovered=24), log) is not None


def test_an_outage_of_kafka_ends_no_process_and_its_time_does_not_count() -> None:
    liveness, log = Liveness(LIMITS), Log()
    log.is_away = True
    assert ended_at(liveness, log, range(1000), ready=False) is None
    log.is_away = False
    assert ended_at(liveness, log, range(1000, 1001), ready=False) is None
    assert ended_at(liveness, log, range(1001, 1100), ready=False) is not None


def test_a_partition_that_stands_still_with_records_to_work_on_ends_the_process() -> None:
    ended = ended_at(Liveness(LIMITS), Log(end=10), range(100), place=9)
    assert ended is not None
    assert LIMITS.stuck < ended <= LIMITS.stuck + 2 * LOOK_SECONDS


def test_a_partition_of_several_that_stands_still_is_enough_and_is_named() -> None:
    liveness, reason = Liveness(LIMITS), None
    for now in range(100):
        reason = reason or liveness.check(now, Vitals(now, is_ready=True, places={0: now, 1: 3}), Log(end=1000))
    assert "partitions [1] have records" in str(reason)


def test_nothing_to_do_is_no_reason() -> None:
    assert ended_at(Liveness(LIMITS), Log(end=10), range(1000)) is None


def test_records_that_were_deleted_before_they_were_read_are_nothing_to_do() -> None:
    assert ended_at(Liveness(LIMITS), Log(first=10, end=10), range(1000), place=3) is None


def test_an_order_after_a_long_time_without_any_has_its_full_time() -> None:
    liveness, log = Liveness(LIMITS), Log(end=10)
    assert ended_at(liveness, log, range(1000)) is None
    log.end = 11
    assert ended_at(liveness, log, range(1000, 1030), place=10) is None


def test_a_worker_that_is_behind_and_catches_up_goes_on_and_kafka_is_not_even_asked() -> None:
    liveness, log = Liveness(LIMITS), Log(end=1_000_000)
    for now in range(1000):
        assert liveness.check(now, Vitals(now, is_ready=True, places={0: now}), log) is None
    assert log.asked == 0


def test_an_outage_while_records_wait_counts_anew_from_its_end() -> None:
    liveness, log = Liveness(LIMITS), Log(end=10)
    assert ended_at(liveness, log, range(30), place=9) is None
    log.is_away = True
    assert ended_at(liveness, log, range(30, 300), place=9) is None
    log.is_away = False
    assert ended_at(liveness, log, range(300, 330), place=9) is None
    assert ended_at(liveness, log, range(330, 345), place=9) is not None


@pytest.mark.parametrize("ready", [True, False])
def test_what_others_hold_up_does_not_count_as_standing_still(ready: bool) -> None:
    liveness, log = Liveness(LIMITS), Log(end=10)
    for now in range(40):
        assert liveness.check(now, Vitals(now, ready, places={} if ready else {0: 3}), log) is None


def test_what_may_end_a_worker_is_told_before_it_does() -> None:
    liveness, log = Liveness(LIMITS), Log()
    assert liveness.concern(0) is None
    assert ended_at(liveness, log, range(20), place=3) is None
    assert liveness.concern(20) == "partitions [0] have records, and none was done for 15 s, the process ends after 30"
    assert ended_at(liveness, log, range(20, 30)) is None
    assert liveness.concern(30) is None
    assert ended_at(liveness, log, range(30, 50), ready=False) is None
    assert liveness.concern(50) == "no table was taken over for 20 s, the process ends after 45"
    assert ended_at(liveness, log, range(50, 60)) is None
    assert liveness.concern(60) is None

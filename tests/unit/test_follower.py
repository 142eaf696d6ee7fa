"""What comes from a follower after it was asked for something else; without a broker."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from app.adapters.fatal import end_process
from app.adapters.follower import Followed, Follower
from app.settings import Kafka, Settings


class Agent:
    """Notes what comes."""

    def __init__(self) -> None:
        self.came: list[tuple[int, Sequence[Followed]]] = []
        settings = Settings(kafka=Kafka(bootstrap="127.0.0.1:1"))  # nobody listens there
        self.follower = Follower(settings, "commands", arrived=self._arrived, has_room=lambda: True, fatal=end_process)

    def _arrived(self, partition: int, records: Sequence[Followed]) -> None:
        self.came.append((partition, records))
        if records == ["and stop"]:
            self.follower.follow({})


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent()
    yield agent
    agent.follower.stop()


async def test_what_was_under_way_when_something_else_was_asked_for_is_dropped(agent: Agent) -> None:
    records: Any = ["record"]
    agent.follower.follow({0: 5})
    agent.follower._arrive({0: records}, epoch=1)
    assert agent.came == [(0, records)]
    agent.follower.follow({0: 5})
    agent.follower._arrive({0: records}, epoch=1)
    assert agent.came == [(0, records)]
    agent.follower._arrive({0: records}, epoch=2)
    assert agent.came == [(0, records)] * 2


async def test_a_stop_between_two_partitions_of_a_batch_holds_for_the_second(agent: Agent) -> None:
    last: Any = ["and stop"]
    agent.follower.follow({0: 5, 1: 5})
    agent.follower._arrive({0: last, 1: last}, epoch=1)
    assert agent.came == [(0, last)]

"""Stacks of tests that run at the same time."""

from app.settings import Ports
from tests.stack import OFFSETS

PROCESSES = 10  # of a service


def ports(offset: int) -> set[int]:
    """All that a stack may take."""
    here = Ports(offset=offset)
    services = ("orders", "kitchen", "ledger", "auditor", "monitor")
    others = [here.of(name) for name in Ports.model_fields if name not in ("offset", "metrics", *services)]
    own = [
        of(service, index)
        for service in services
        for index in range(1, PROCESSES + 1)
        for of in (here.of, here.metrics_of)
    ]
    return {*others, *own}


def test_no_two_of_them_share_a_port() -> None:
    seen: set[int] = set()
    for offset in OFFSETS:
        mine = ports(offset)
        assert not seen & mine, offset
        seen |= mine

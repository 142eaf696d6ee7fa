"""The versions that we go round: docs/faust.md tells in what, and which test to run without it."""

from importlib.metadata import version

import pytest


@pytest.mark.parametrize(
    ("library", "known"),
    [
        ("faust-streaming", "0.15.3"),
        ("mode-streaming", "0.7"),
        ("aiokafka", "0.14"),
        ("aiohttp", "3.14"),
        ("confluent-kafka", "2.16"),
        ("cassandra-driver", "3.30"),
    ],
)
def test_a_library_that_moved_is_looked_through_again(library: str, known: str) -> None:
    found = version(library)
    assert f"{found}.".startswith(f"{known}."), (
        f"{library} is {found}, and what docs/faust.md says was seen with {known}: go through its table, try each "
        "entry by taking it out and running its test, read what the release changed, then set the version here."
    )

"""What all tests share: the one stack of the test run."""

from collections.abc import Iterator

import pytest

from tests.secrets_in_logs import secrets_in_logs
from tests.stack import Stack, new_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Kafka, Cassandra, Redis, two order workers and a ledger, ready; a machine without a server fails the tests."""
    with new_stack(WORKERS="2", LEDGERS="1") as stack:
        stack.up()
        yield stack
        assert secrets_in_logs(stack) == [], "whatever the tests did, no log holds a secret of it"

"""What all tests share: the one stack of the test run."""

from collections.abc import Iterator

import pytest

from tests.secrets_in_logs import secrets_in_logs
from tests.stack import Stack, new_stack

GRACE = 2.0  # s, of the spoiled stack's auditor


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Kafka, Cassandra, Redis, two order workers and a ledger, ready; a machine without a server fails the tests."""
    with new_stack(WORKERS="2", LEDGERS="1") as stack:
        stack.up()
        yield stack
        assert secrets_in_logs(stack) == [], "whatever the tests did, no log holds a secret of it"


@pytest.fixture(scope="session")
def spoiled() -> Iterator[Stack]:
    """Another one, whose topics and tables tests may spoil: no audit of it need be clean, and its auditor is quick.

    Modules name it `stack`. Each leaves every process ready, and the menu as it was.
    """
    with new_stack(WORKERS="2", LEDGERS="1", KITCHENS="1", AUDIT__GRACE=str(GRACE), AUDIT__EVERY="0.3") as stack:
        stack.up()
        yield stack

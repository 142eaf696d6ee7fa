"""A Cassandra keyspace of a test's own beside the stack's."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cassandra.cluster import Session

from app.adapters import schema
from app.adapters.cassandra import new_cluster
from app.settings import Settings
from tests.stack import Stack


@contextmanager
def connected(settings: Settings, keyspace: str | None = None) -> Iterator[Session]:
    """A session with the stack's Cassandra."""
    cluster = new_cluster(settings, timeout=20)
    try:
        yield cluster.connect(keyspace)
    finally:
        cluster.shutdown()


@pytest.fixture
def cassandra(stack: Stack) -> Iterator[Session]:
    """A session with the stack's Cassandra, in no keyspace."""
    with connected(stack.settings) as session:
        yield session


@contextmanager
def new_keyspace(stack: Stack) -> Iterator[Settings]:
    """The stack's settings with another keyspace, which does not exist yet."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    own: Any = stack.settings.cassandra.model_copy(update={"keyspace": name})
    yield stack.settings.model_copy(update={"cassandra": own})
    with connected(stack.settings) as session:
        session.execute(f"DROP KEYSPACE IF EXISTS {name}")


@pytest.fixture
def own_keyspace(stack: Stack) -> Iterator[Settings]:
    """The stack's settings with a keyspace of the test's own, which does not exist yet."""
    with new_keyspace(stack) as settings:
        yield settings


@pytest.fixture(scope="session")
def own_tables(stack: Stack) -> Iterator[Settings]:
    """The stack's settings with a keyspace of these tests, which holds all tables."""
    with new_keyspace(stack) as settings:
        schema.apply(settings, say=lambda _: None)
        yield settings


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is elsewhere
            await asyncio.sleep(0.01)

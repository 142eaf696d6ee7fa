"""`python -m app token` on the running stack, as an operator types it."""

import uuid

import pytest

from app.adapters.tokens import SignedTokens
from tests.house import Client, order
from tests.stack import Stack

pytestmark = pytest.mark.stack


def names(count: int) -> list[str]:
    run_id = uuid.uuid4().hex[:8]
    return [f"K-{run_id}-{number}" for number in range(count)]


async def test_it_opens_tables_and_prints_a_token_for_each_in_order(stack: Stack, client: Client) -> None:
    tables = names(100)
    made = stack.run("token", *tables)
    lines = [line.split() for line in made.stdout.splitlines()]
    assert [table for table, _ in lines] == tables
    for table, token in lines[:3]:
        assert (await client.order(order(table=table), token)).status == 201


async def test_a_table_that_is_open_keeps_its_session(stack: Stack, tokens: SignedTokens) -> None:
    [table] = names(1)
    first, second = (stack.run("token", table).stdout.split()[1] for _ in range(2))
    sessions = [claims.session for token in (first, second) if (claims := tokens.verify(token))]
    assert sessions == [1, 1]


async def test_it_closes_tables_and_opens_the_next_session(stack: Stack, tokens: SignedTokens) -> None:
    [table] = names(1)
    stack.run("token", table)
    closed = stack.run("token", "--close", table)
    assert (closed.returncode, closed.stdout) == (0, "")
    claims = tokens.verify(stack.run("token", table).stdout.split()[1])
    assert claims is not None
    assert claims.session == 2


async def test_it_prints_a_token_of_a_role(stack: Stack, tokens: SignedTokens) -> None:
    for role in ("kitchen", "manager", "operator"):
        claims = tokens.verify(stack.run("token", "--role", role).stdout.strip())
        assert claims is not None
        assert (claims.role, claims.table) == (role, "")


async def test_what_is_wrong_is_said_in_a_sentence(stack: Stack) -> None:
    for arguments, part in (
        (["a b"], "no table number"),
        (["--close", *names(1)], "never been opened"),
        ([], "name tables"),
        (["T1", "--role", "manager"], "name tables"),
        (["--role", "chef"], "chef"),
        (["--url", "http://127.0.0.1:1", "T1"], "nothing answers at http://127.0.0.1:1"),
    ):
        failed = stack.run("token", *arguments)
        assert failed.returncode != 0
        assert part in failed.stderr
        assert "Traceback" not in failed.stderr

"""Opening and closing tables."""

import asyncio

import pytest

from tests.house import House, order, serving


async def test_sessions_are_numbered_from_one_and_begin_at_version_zero() -> None:
    house = House()
    async with serving(house) as client:
        for session in (1, 2, 3):
            opened = await client.post("/tables/T1/open", "manager")
            assert (opened.status, opened.body["session"], opened.body["version"]) == (201, session, 0)
            assert (await client.order(order(), f"pad/T1/{session}")).status == 201
            closed = await client.post("/tables/T1/close", "operator")
            assert (closed.status, closed.body["open"], closed.body["version"]) == (200, False, 1)


async def test_opening_and_closing_twice_changes_nothing() -> None:
    house = House()
    async with serving(house) as client:
        assert (await client.post("/tables/T1/open", "manager")).status == 201
        again = await client.post("/tables/T1/open", "manager")
        assert (again.status, again.body["session"], again.body["open"]) == (200, 1, True)
        for _ in range(2):
            closed = await client.post("/tables/T1/close", "manager")
            assert (closed.status, closed.body["session"], closed.body["open"]) == (200, 1, False)


async def test_of_two_who_open_at_once_one_opens_and_both_learn_the_session() -> None:
    house = House()
    async with serving(house) as client:
        both = await asyncio.gather(*(client.post("/tables/T1/open", "manager") for _ in range(2)))
    assert sorted(reply.status for reply in both) in ([200, 201], [201, 201])
    assert {reply.body["session"] for reply in both} == {1}
    assert house.owner.rows["T1"].session == 1


async def test_a_lost_race_answers_with_the_table_as_it_is() -> None:
    house = House()
    read = house.owner.table

    async def read_and_be_overtaken(table: str):
        state = await read(table)
        if not state.session:
            await house.seat(table)
        return state

    house.owner.table = read_and_be_overtaken
    async with serving(house) as client:
        reply = await client.post("/tables/T1/open", "manager")
    assert (reply.status, reply.body["session"], reply.body["open"]) == (200, 1, True)


async def test_a_close_that_names_an_earlier_session_leaves_the_open_one_alone() -> None:
    house = House()
    await house.seat()
    async with serving(house) as client:
        assert (await client.post("/tables/T1/close", "manager", json={"session": 1})).body["open"] is False
        await house.seat()
        for session in (1, 3):
            reply = await client.post("/tables/T1/close", "manager", json={"session": session})
            assert (reply.status, reply.body["session"], reply.body["open"]) == (200, 2, True)
        assert (await client.post("/tables/T1/close", "manager", json={"session": 2})).body["open"] is False


@pytest.mark.parametrize("action", ["open", "close"])
async def test_only_managers_and_operators_open_and_close(action: str) -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        for token in (pad, "kitchen", "worker"):
            assert (await client.post(f"/tables/T1/{action}", token)).status == 403
        for token in ("", "forged"):
            assert (await client.post(f"/tables/T1/{action}", token)).status == 401
    assert len(house.owner.commands) == 1


@pytest.mark.parametrize("action", ["open", "close"])
async def test_a_wrong_body_or_table_changes_nothing(action: str) -> None:
    house = House()
    await house.seat()
    async with serving(house) as client:
        for body in (b"{", b"[]", b'{"session":"1"}', b'{"session":0}', b'{"session":1,"tip":2}'):
            reply = await client.post(f"/tables/T1/{action}", "manager", data=body)
            assert (reply.status, reply.body["error"]) == (400, "Invalid request")
            assert reply.body["detail"]
        assert (await client.post(f"/tables/T1/{action}", "manager", data=b" " * 70_000)).status == 413
        for table in ("a%20b", "%00", "x" * 65):
            assert (await client.post(f"/tables/{table}/{action}", "manager")).status == 404
    assert len(house.owner.commands) == 1


async def test_closing_a_table_that_was_never_opened_is_not_found() -> None:
    house = House()
    async with serving(house) as client:
        assert (await client.post("/tables/T1/close", "manager")).status == 404
    assert house.owner.commands == []


@pytest.mark.parametrize("action", ["open", "close"])
async def test_a_worker_that_is_not_ready_or_finds_no_owner_says_so(action: str) -> None:
    house = House()
    await house.seat()
    async with serving(house) as client:
        house.not_ready = "stopping"
        assert (await client.post(f"/tables/T1/{action}", "manager")).status == 503
        house.not_ready, house.owner.away = None, True
        assert (await client.post(f"/tables/T1/{action}", "manager")).status == 503

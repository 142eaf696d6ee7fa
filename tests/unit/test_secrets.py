"""Secrets stay where they belong: in no log, no answer, no error and no repr."""

import asyncio
import io
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import structlog

from app.adapters.menu_copies import MenuCopies
from app.adapters.tokens import Keys, KeysError, SignedTokens
from app.service.logs import set_up_logging
from app.settings import Settings, SettingsError, load
from tests.house import Client, House, order, serving
from tests.secrets_in_logs import CANARY, secrets_in
from tests.stack import clean_environment

URL = f"redis://cook:{CANARY}@127.0.0.1:1/0"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that a process logs at its most talkative."""
    root, written = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    noisy = {name: logging.getLogger(name).level for name in ("faust", "mode", "aiokafka", "kafka", "cassandra")}
    set_up_logging(Settings(log_level="DEBUG"))
    structlog.configure(cache_logger_on_first_use=False)
    for handler in root.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(written)
    try:
        yield written
    finally:
        root.handlers[:], root.level = before, level
        for name, its in noisy.items():
            logging.getLogger(name).setLevel(its)
        structlog.reset_defaults()


@pytest.fixture
def tokens(tmp_path: Path) -> SignedTokens:
    return SignedTokens(Keys(tmp_path, 2), issuer="bistro92", audience="bistro92", ttl_seconds=3600)


def keys_in(folder: Path) -> tuple[str, ...]:
    return tuple(path.read_text().strip() for path in folder.iterdir())


async def test_no_log_and_no_refusal_repeats_a_token_or_a_note(
    log: io.StringIO, tokens: SignedTokens, tmp_path: Path
) -> None:
    house = House()
    house.services = replace(house.services, tokens=tokens)
    await house.seat()
    pad, manager = tokens.sign("pad", "T1", 1), tokens.sign("manager", name="anna")
    note = f"window seat {CANARY}"
    shown = []
    async with serving(house) as client:
        shown += [
            await client.order(order(note=note), pad),
            await client.order(order(note=note), pad),
            await client.order(order(7, "id-7", note=note), pad),
            await client.order(order(1, "id-1", note=note + "!"), pad),
            await client.order(order(1, "id-2", note=note * 100), pad),
            await client.order(order(1, "id-2", note=f"{note}\0"), pad),
            await client.order(order(1, "id-2", **{note: 1}, items=5), pad[:-1]),
            await client.get(f"/tables/T1?token={manager}", pad[1:]),
            await client.get("/tables/T1", tokens.sign("pad", "T2", 1)),
            await client.get(f"/{pad}"),
            await client.post("/tables/T1/close", manager, data=f'{{"session": "{CANARY}"}}'),
            await client.send("PUT", "/menu_items/m9", manager, data=f'{{"name": "{CANARY}"'),
        ]
        for fault in (RuntimeError("a fault"), ConnectionError("gone"), TimeoutError("late")):
            house.owner.ask = mock.AsyncMock(side_effect=fault)  # type: ignore[method-assign]
            shown.append(await client.order(order(1, "id-2", note=note), pad))
        for line in (
            b"Authorization: Bearer %b\0" % pad.encode(),
            b"Cookie: %b\x01" % pad.encode(),
            b"%b" % pad.encode(),
        ):
            await send_raw(client, b"GET /menu_items HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n")
        await send_raw(client, b"GET /" + pad.encode() * 50 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    keys = keys_in(tmp_path)
    assert "request failed" in log.getvalue()
    assert "not HTTP" in log.getvalue()
    assert secrets_in(log.getvalue(), keys) == []
    for reply in shown:
        assert secrets_in(str(reply.body), keys) == []
        assert secrets_in(str(dict(reply.headers)), keys) == []
        assert "Traceback" not in str(reply.body)
        assert ".py" not in str(reply.body)


async def send_raw(client: Client, sent: bytes) -> None:
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        async with asyncio.timeout(10):
            assert b" 400 " in await reader.readuntil(b"\r\n")
    finally:
        writer.close()


async def test_a_cache_that_is_away_is_logged_without_its_password(log: io.StringIO) -> None:
    copies = MenuCopies(Settings(redis={"url": URL}))
    assert await copies.stand() is None
    await copies.stop()
    assert "redis" in log.getvalue()
    assert secrets_in(log.getvalue()) == []


def test_settings_show_no_password() -> None:
    settings = Settings(redis={"url": URL})
    assert settings.redis_url == URL
    assert settings.redis_shown == "redis://127.0.0.1:1/0"
    assert Settings().redis_shown.startswith("redis://127.0.0.1:")
    for shown in (
        repr(settings),
        str(settings),
        f"{settings.redis}",
        f"{settings.redis!r}",
        f"{House(redis={'url': URL}).services}",
    ):
        assert secrets_in(shown) == []


@pytest.mark.parametrize(
    "given",
    [
        {"BISTRO92_REDIS": URL},
        {"BISTRO92_REDIS": f'{{"url": 5, "server": "{CANARY}", "timeout": "{CANARY}"}}'},
        {"BISTRO92_REDIS": f'{{"password": "{CANARY}"}}'},
        {"BISTRO92_REDIS__URL": URL, "BISTRO92_REDIS__TIMEOUT": "never"},
        {"BISTRO92_REDIS__URL": URL, "BISTRO92_WORKERS": "many"},
    ],
)  # fmt: skip
def test_settings_that_are_wrong_are_named_without_a_password(given: dict[str, str]) -> None:
    with (
        mock.patch.dict(os.environ, {**clean_environment(), **given}, clear=True),
        pytest.raises(SettingsError) as caught,
    ):
        load()
    assert secrets_in(f"{caught.value}") == []


def test_keys_and_what_holds_them_show_none(tokens: SignedTokens, tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    held: list[Any] = [
        tokens,
        tokens._signing,
        Keys(tmp_path, 2),
        Keys(tmp_path, 2).load(),
        tokens.verify(tokens.sign("manager")),
    ]
    for shown in map(repr, held):
        assert secrets_in(shown, (*keys, str(bytes.fromhex(keys[0]))[2:-1])) == []


@pytest.mark.parametrize("content", [f"{CANARY}", secrets.token_hex(8) + CANARY, "00" * 31])
def test_a_key_that_is_none_is_named_by_its_file(content: str, tmp_path: Path) -> None:
    (tmp_path / "0001.key").write_text(content)
    with pytest.raises(KeysError) as caught:
        Keys(tmp_path, 2).load()
    assert secrets_in(str(caught.value), (content,)) == []


def test_what_is_looked_for_would_be_found(tokens: SignedTokens) -> None:
    token = tokens.sign("manager")
    for text in (token, f"x=eyJ{token[3:]}", f"authorization: bearer {token}", f"note={CANARY}", "Bearer 12345678"):
        assert secrets_in(text)
    assert secrets_in("a key: 77aa77aa", ("77aa77aa",))
    assert secrets_in('event="order answered" table=T1 WWW-Authenticate: Bearer') == []

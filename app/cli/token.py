"""Tokens of pads and staff; opens the tables that they are for."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import click
from yarl import URL

from app.adapters.tokens import Keys, KeysError, signed_tokens
from app.cli._links import DRAWN, PAGES, BadUrlError, address_of, link, note_on, print_codes, save_codes
from app.domain.claims import MAX_NAME, Role, is_name
from app.settings import SettingsError, load

CONCURRENT = 32  # requests; 3,000 tables take seconds, and guests' orders go on beside them
RETRY_SECONDS = 30.0  # as long as a service that restarts may need
PAUSE_SECONDS = 0.5
REQUESTS_PER_TOKEN = 20  # below the smallest limits.source_writes_per_minute that makes sense
REQUEST_SECONDS = 15.0  # above the views' own deadline, so that their 503 is seen


class TokenCommandError(click.ClickException):
    """What stopped the command, in a sentence with what to do."""


@click.command()
@click.argument("tables", nargs=-1)
@click.option(
    "--role",
    type=click.Choice(["pad", "kitchen", "manager", "operator"]),
    default="pad",
    show_default=True,
    help="whose token; only a pad's names a table",
)
@click.option("--name", default="", help="with --role: whose it is; the menu's history shows it")
@click.option("--close", "closing", is_flag=True, help="close the tables' sessions: their tokens end")
@click.option("--rotate-keys", is_flag=True, help="make a new signing key; tokens of the one before stay valid")
@click.option("--url", help="the orders service, where it is not the local stack's")
@click.option(
    "--link", "linked", is_flag=True, help="print links that open a table's pad, or with --role kitchen a display"
)
@click.option(
    "--qr",
    is_flag=False,
    flag_value=DRAWN,
    metavar="[FILE.svg|FILE.png]",
    help="the links as QR codes: here, or each in a file; after the TABLES",
)
@click.option("--public-url", help="with --link and --qr: the address that pads reach, where it is not web.public_url")
def command(
    tables: tuple[str, ...],
    role: Role,
    name: str,
    closing: bool,
    rotate_keys: bool,
    url: str | None,
    linked: bool,
    qr: str | None,
    public_url: str | None,
) -> None:
    """Open the TABLES where none is open and print `TABLE TOKEN` for each; or print a token of another role."""
    if rotate_keys + closing + (role != "pad") > 1 or bool(tables) == (rotate_keys or role != "pad"):
        raise click.UsageError("name tables (with or without --close), or one of --role and --rotate-keys")
    if name and (role == "pad" or not is_name(name)):
        raise click.UsageError(f"--name is for staff, with --role: one line of up to {MAX_NAME} characters")
    _check_links(role, closing or rotate_keys, linked, qr, public_url)
    try:
        settings = load()
        if rotate_keys:
            key = Keys(settings.keys_dir, settings.tokens.live_keys).rotate()
            click.echo(f"key {key.id} signs from now on")
            return
        tokens = signed_tokens(settings)
        base = address_of(role, settings, public_url)
    except (SettingsError, KeysError, BadUrlError) as error:
        raise TokenCommandError(str(error)) from error
    if role != "pad":
        given = [(name or role, tokens.sign(role, name=name))]
    else:
        floor = Floor(url or settings.orders_url, lambda number: tokens.sign("operator", number=number))
        if closing:
            asyncio.run(floor.each(tables, floor.close))
            return
        sessions = asyncio.run(floor.each(tables, floor.open))
        given = [(table, tokens.sign("pad", table, session)) for table, session in zip(tables, sessions, strict=True)]
    if linked or qr:
        _show_links([(whose, link(base, PAGES[role], token)) for whose, token in given], qr, role)
        click.echo(note_on(base), err=True, nl=False)
        return
    for whose, token in given:
        sys.stdout.write(f"{whose} {token}\n" if role == "pad" else f"{token}\n")


def _check_links(role: Role, is_other: bool, linked: bool, qr: str | None, public_url: str | None) -> None:
    wants = linked or qr is not None
    if wants and (is_other or role not in PAGES):
        raise click.UsageError("--link and --qr are for tables, and for --role kitchen: only these have a page")
    if public_url and not wants:
        raise click.UsageError("--public-url is for --link and --qr")
    if qr not in (None, DRAWN) and Path(str(qr)).suffix not in (".svg", ".png"):
        raise click.UsageError(f"--qr {qr}: a file ends in .svg or .png; tables stand before --qr")


def _show_links(links: Sequence[tuple[str, str]], qr: str | None, role: Role) -> None:
    if qr in (None, DRAWN):
        for whose, target in links:
            click.echo(f"{whose} {target}" if role == "pad" else target)
            if qr:
                print_codes(target)
        return
    try:
        for whose, path in save_codes(Path(str(qr)), links):
            click.echo(f"{whose} {path}")
    except OSError as error:
        raise TokenCommandError(f"{qr}: {error.strerror}") from error


class Floor:
    """The tables of a running stack, seen through its HTTP interface."""

    def __init__(self, url: str, operator_token: Callable[[int], str]) -> None:
        """`operator_token` gives tokens by their number, from 1."""
        self._url = url.rstrip("/")
        self._sign = operator_token
        self._sent = 0
        self._session: aiohttp.ClientSession
        self._reached = False  # once it was, a refused connection is a worker that restarts

    async def each(self, tables: tuple[str, ...], act: Callable[[str], Coroutine[Any, Any, int]]) -> list[int]:
        """Do the same at every table, some at once; the results in the tables' order."""
        limit = asyncio.Semaphore(CONCURRENT)

        async def at(table: str) -> int:
            async with limit:
                return await act(table)

        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as self._session:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(at(table)) for table in tables]
            except* TokenCommandError as errors:
                raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def open(self, table: str) -> int:
        """Open the table's next session where none is open; the number of the open one."""
        session: int = (await self._post(table, "open"))["session"]
        return session

    async def close(self, table: str) -> int:
        """Close the table's session; its number."""
        session: int = (await self._post(table, "close"))["session"]
        return session

    def _headers(self) -> dict[str, str]:
        """A token may change so much in a minute; who has the keys opens a whole house at once."""
        self._sent += 1
        return {"Authorization": f"Bearer {self._sign(1 + self._sent // REQUESTS_PER_TOKEN)}"}

    async def _post(self, table: str, action: str) -> Any:
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            refusal = f"{self._url} gave no answer"
            try:
                # Quoted, so that a wrong table number is refused there and does not become another path.
                path = f"{self._url}/tables/{quote(table, safe='')}/{action}"
                async with self._session.post(URL(path, encoded=True), headers=self._headers()) as answer:
                    self._reached = True
                    if answer.status in (200, 201):
                        return await answer.json()
                    refusal = f"table {table!r}: {answer.status} {(await answer.text())[:300]}"
                    if answer.status == 404:
                        raise TokenCommandError(_not_found(table, action))
                    if answer.status != 503:
                        raise TokenCommandError(refusal)
            except aiohttp.ClientConnectorError as error:
                refusal = f"nothing answers at {self._url}: `make up` starts the stack, `python -m app status` tells"
                if not self._reached:
                    raise TokenCommandError(refusal) from error
            except (aiohttp.ClientError, TimeoutError) as error:
                refusal = f"{self._url}: {error or 'no answer in time'}"
            if time.monotonic() > deadline:
                raise TokenCommandError(f"{refusal}; tried for {RETRY_SECONDS:.0f} s")
            await asyncio.sleep(PAUSE_SECONDS)


def _not_found(table: str, action: str) -> str:
    if action == "close":
        return f"table {table!r} has never been opened"
    return f"{table!r} is no table number: 1 to 64 of A-Z a-z 0-9 . _ : - are allowed"

"""What of `python -m app token` needs no stack."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import segno
from click.testing import CliRunner, Result

from app.adapters.tokens import Keys, SignedTokens
from app.cli.token import command
from tests.house import House, serving


@pytest.fixture(autouse=True)
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment of its own, whose keys are made by the first command."""
    monkeypatch.setenv("BISTRO92_DATA_DIR", str(tmp_path))
    return tmp_path / "keys"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_a_rotation_makes_a_new_key_beside_the_old_one(deployment: Path) -> None:
    assert run("--role", "kitchen").exit_code == 0
    rotated = run("--rotate-keys")
    assert (rotated.exit_code, rotated.output.endswith("signs from now on\n")) == (0, True)
    assert sorted(path.name for path in deployment.iterdir()) == ["0001.key", "0002.key"]


def test_a_managers_token_may_bear_a_name(deployment: Path) -> None:
    printed = run("--role", "manager", "--name", "Anna Müller").output.strip()
    tokens = SignedTokens(Keys(deployment, 2), issuer="bistro92", audience="bistro92", ttl_seconds=60)
    claims = tokens.verify(printed)
    assert claims is not None
    assert (claims.role, claims.name, claims.who) == ("manager", "Anna Müller", "manager Anna Müller")
    nameless = tokens.verify(run("--role", "operator").output.strip())
    assert nameless is not None
    assert nameless.who == "operator"


def test_a_stack_that_is_not_running_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else answers at this port
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        failed = run("--url", url, "T1", "T2")
    assert failed.exit_code == 1
    assert failed.output.startswith(f"Error: nothing answers at {url}: `make up`")


def test_keys_that_cannot_be_made_are_named(deployment: Path) -> None:
    deployment.touch()
    failed = run("--role", "manager")
    assert failed.exit_code == 1
    assert str(deployment) in failed.output


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("T1", "--rotate-keys"),
        ("--close",),
        ("--role", "worker"),
        ("--role", "pad"),
        ("T1", "--name", "anna"),
        ("--rotate-keys", "--name", "anna"),
        ("--role", "manager", "--name", "anna\nbob"),
        ("--role", "manager", "--name", "a" * 65),
        ("--role", "manager", "--link"),
        ("--role", "operator", "--qr"),
        ("--rotate-keys", "--link"),
        ("T1", "--close", "--qr"),
        ("T1", "--qr", "codes.pdf"),
        ("--qr", "T1"),
        ("T1", "--public-url", "http://10.0.0.5:8090"),
    ],
)
def test_arguments_that_make_no_sense_together_are_refused(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def read(token: str, deployment: Path) -> tuple[str, str, int]:
    tokens = SignedTokens(Keys(deployment, 2), issuer="bistro92", audience="bistro92", ttl_seconds=60)
    claims = tokens.verify(token)
    assert claims is not None
    return claims.role, claims.table, claims.session


@pytest.fixture
async def house(deployment: Path) -> AsyncIterator[str]:
    """A house that takes this deployment's tokens; its address."""
    house = House()
    tokens = SignedTokens(Keys(deployment, 2), issuer="bistro92", audience="bistro92", ttl_seconds=60)
    house.services = replace(house.services, tokens=tokens)
    async with serving(house) as client:
        yield client.url


async def test_a_link_opens_the_tables_pad_and_no_server_is_sent_the_token(house: str, deployment: Path) -> None:
    printed = await asyncio.to_thread(
        run, "T1", "PARIS-T2", "--url", house, "--link", "--public-url", "https://eat.example"
    )
    lines = [line.split(" ") for line in printed.stdout.splitlines()]
    assert [table for table, _ in lines] == ["T1", "PARIS-T2"]
    for table, link in lines:
        page, _, fragment = link.partition("#")
        assert page == "https://eat.example/pad"
        assert read(fragment.removeprefix("token="), deployment) == ("pad", table, 1)
    assert printed.stderr == "", "others reach this address"


async def test_the_address_that_pads_reach_is_a_setting(house: str, monkeypatch: pytest.MonkeyPatch) -> None:
    local = await asyncio.to_thread(run, "T1", "--url", house, "--link")
    assert local.stdout.startswith("T1 http://127.0.0.1:8090/pad#token=")
    assert "Only this machine opens 127.0.0.1" in local.stderr
    monkeypatch.setenv("BISTRO92_WEB__PUBLIC_URL", "http://192.168.1.20:8090")
    told = await asyncio.to_thread(run, "T1", "--url", house, "--link")
    assert told.stdout.startswith("T1 http://192.168.1.20:8090/pad#token=")


def test_a_link_opens_a_kitchen_display(deployment: Path) -> None:
    printed = run(
        "--role", "kitchen", "--name", "Anna", "--link", "--public-url", "http://10.0.0.5:8190/"
    ).stdout.strip()
    page, _, token = printed.partition("#token=")
    assert page == "http://10.0.0.5:8190/kitchen"
    assert read(token, deployment) == ("kitchen", "", 0)


@pytest.mark.parametrize(
    "url", ["10.0.0.5:8090", "ftp://x", "https://", "https://x/path", "https://x?y", "https://u:p@x"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    failed = run("--role", "kitchen", "--link", "--public-url", url)
    assert (failed.exit_code, "is no address like" in failed.output) == (1, True)


async def test_codes_are_drawn_in_the_terminal_or_written_to_a_file_for_each_table(house: str, tmp_path: Path) -> None:
    drawn = await asyncio.to_thread(run, "T1", "--url", house, "--qr")
    [link, *code] = drawn.stdout.splitlines()
    assert link.startswith("T1 http://127.0.0.1:8090/pad#token=")
    assert len(code) > 30
    assert "█▀" in drawn.stdout
    for name in ("codes.svg", "codes.png"):
        written = await asyncio.to_thread(run, "T1", "T2", "--url", house, "--qr", str(tmp_path / name))
        files = [tmp_path / name.replace(".", f"-{table}.") for table in ("T1", "T2")]
        assert written.stdout.splitlines() == [
            f"{table} {file}" for table, file in zip(("T1", "T2"), files, strict=True)
        ]
        for file in files:
            assert file.read_bytes()[:5] in (b"<?xml", b"\x89PNG\r")
    alone = await asyncio.to_thread(run, "T1", "--url", house, "--qr", str(tmp_path / "t1.svg"))
    assert alone.stdout == f"T1 {tmp_path / 't1.svg'}\n"


def test_a_code_holds_the_link(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    coded: list[str] = []
    make = segno.make_qr
    monkeypatch.setattr(segno, "make_qr", lambda text, **how: coded.append(text) or make(text, **how))
    link = run("--role", "kitchen", "--link").stdout.split("#")[0]
    assert run("--role", "kitchen", "--qr", str(tmp_path / "k.png")).exit_code == 0
    assert [text.split("#")[0] for text in coded] == [link]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    failed = run("--role", "kitchen", "--qr", str(tmp_path / "none" / "k.png"))
    assert failed.exit_code == 1
    assert str(tmp_path / "none" / "k.png") in failed.output

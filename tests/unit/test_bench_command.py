"""`bench` from the command line, against small restaurants that run beside it."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click.testing
import pytest

from app.bench import profile
from app.bench.stack import Stack
from app.cli._stack import open_stack
from app.cli.bench import command
from app.settings import Settings
from tests.unit.test_bench_load import Restaurant

QUICK = ["--tables", "4", "--seconds", "0.4", "--warmup", "0.1"]


@contextmanager
def serving(restaurant: Restaurant) -> Iterator[str]:
    """The restaurant on a loop and thread of its own; its address."""
    loop = asyncio.new_event_loop()
    address: list[str] = []
    is_open, is_over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with restaurant.open() as url:
            address.append(url)
            is_open.set()
            await is_over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert is_open.wait(10)
        yield address[0]
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join(10)
        loop.close()


@pytest.fixture
def restaurant() -> Iterator[str]:
    with serving(Restaurant()) as url:
        yield url


@pytest.fixture
def tokens(tmp_path: Path) -> str:
    path = tmp_path / "tokens"
    path.write_text("".join(f"T{number} token\n" for number in range(4)))
    return str(path)


def bench(*arguments: str) -> Any:
    return click.testing.CliRunner().invoke(command, arguments)


def test_the_median_of_runs_is_shown_saved_drawn_and_compared(restaurant: str, tokens: str, tmp_path: Path) -> None:
    there = ["--url", restaurant, "--tokens", tokens]
    done = bench(
        "orders", *QUICK, *there, "--runs", "3", "--save", f"{tmp_path}/a.json", "--chart", f"{tmp_path}/a.svg"
    )
    assert done.exit_code == 0, done.output
    assert "median of 3 runs" in done.output
    saved = json.loads((tmp_path / "a.json").read_text())
    assert (saved["command"], saved["options"]["tables"], len(saved["runs"])) == ("orders", 4, 3)
    assert sorted(run["orders/s"] for run in saved["runs"])[1] == saved["figures"]["orders/s"]
    assert restaurant not in (tmp_path / "a.json").read_text()
    assert str(tmp_path) not in (tmp_path / "a.json").read_text()
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
    again = bench("orders", *QUICK, *there, "--against", f"{tmp_path}/a.json")
    assert again.exit_code == 0, again.output
    assert "warning: another option: runs was 3, is 1" in again.output


def test_a_file_to_compare_with_is_read_before_any_load(tokens: str, tmp_path: Path) -> None:
    done = bench("orders", "--url", "http://127.0.0.1:1", "--tokens", tokens, "--against", f"{tmp_path}/none.json")
    assert done.exit_code == 1
    assert "none.json cannot be read" in done.output


def test_another_server_is_measured_in_turns_with_the_first(restaurant: str, tokens: str, tmp_path: Path) -> None:
    other = Restaurant(is_first_form=True)
    with serving(other) as url:
        beside = ["--beside", url, "--beside-tokens", tokens, "--beside-name", "Peer"]
        done = bench("orders", *QUICK, "--url", restaurant, "--tokens", tokens, *beside, "--runs", "2")
    assert done.exit_code == 0, done.output
    assert "Peer:" in done.output
    [header] = [line.split() for line in done.output.splitlines() if line.split()[-1:] == ["ratio"]]
    assert header == ["Peer", "ours", "ratio"]
    assert other.requests > 0


@pytest.mark.parametrize("form", ["", "forgets"])
def test_a_server_that_breaks_the_contract_ends_the_command_with_one(tokens: str, form: str) -> None:
    with serving(Restaurant(form)) as url:
        shares = ["--replays", "0.5", "--duplicates", "0.5"]
        options = ["--tables", "4", "--seconds", "2", "--warmup", "0"]
        done = bench("orders", *options, *shares, "--url", url, "--tokens", tokens)
    assert done.exit_code == (1 if form else 0), done.output


def test_menus_alone_and_among_orders_are_measured_from_the_command_line(restaurant: str, tokens: str) -> None:
    there = ["--url", restaurant, "--tokens", tokens]
    alone = bench("menu", *QUICK[2:], *there, "--connections", "4")
    assert alone.exit_code == 0, alone.output
    assert "menu on 4 connections, closed loop" in alone.output
    among = bench("mixed", *QUICK, *there, "--rate", "50", "--menu-rate", "100", "--json")
    assert among.exit_code == 0, among.output
    found = json.loads(among.output)
    assert found["orders"]["orders"] > 0
    assert found["menu"]["reads"] > 0


def test_so_many_orders_are_told_in_tenths(restaurant: str, tokens: str) -> None:
    done = bench("orders", *QUICK, "--url", restaurant, "--tokens", tokens, "--orders", "100", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert len(found["tenths"]) == 10
    assert found["result"]["orders"] >= 100


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--audit", "--url", "http://x"), "--audit and --profile"),
        (("--orders", "200", "--runs", "2"), "one long run"),
        (("--beside", "http://x"), "belong together"),
        (("--url", "http://x"), "belong together"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_a_stack_starts(
    arguments: tuple[str, ...], says: str
) -> None:
    done = bench("orders", *arguments)
    assert done.exit_code == 2
    assert says in done.output


def test_without_the_sampler_a_profile_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "find", lambda: None)
    done = bench("orders", "--profile")
    assert done.exit_code == 1
    assert "pip install py-spy" in done.output


@pytest.mark.parametrize("is_limited", [True, False])
def test_a_stack_with_limits_is_told_to_have_them(is_limited: bool, capsys: pytest.CaptureFixture[str]) -> None:
    stack = Stack({}, Settings(limits={"enabled": is_limited}, data_dir="/nowhere"))
    context = click.Context(command, obj=lambda: contextlib.nullcontext(stack))
    with open_stack(context):
        pass
    assert ("Limits are on" in capsys.readouterr().err) == is_limited

"""What of `python -m app token` needs no stack."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.adapters.tokens import Keys, SignedTokens
from app.cli.token import command


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
    ],
)
def test_arguments_that_make_no_sense_together_are_refused(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2

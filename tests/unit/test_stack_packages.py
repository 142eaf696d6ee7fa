"""Programs that are installed where they are missing, by an apt-get of the test's own."""

from pathlib import Path

import pytest

from app.stack import packages
from app.stack.layout import StackError
from app.stack.packages import Wanted

SPIT = Wanted("a spit", ["spit", "turn"], ["rotisserie", "rotisserie-tools"], "Buy a spit", services=["spit.service"])


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's programs, of which one is an apt-get; it logs what it is told and what services may do meanwhile."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(packages, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(packages.os, "geteuid", lambda: 0)
    install = "; ".join(f"/bin/cp {programs}/apt-get {programs}/{name}" for name in SPIT.programs)
    program(
        programs / "apt-get",
        f"""echo "$@" $({tmp_path}/policy-rc.d >/dev/null 2>&1; echo $?) >> {tmp_path}/log
if [ "$1" = install ]; then {install}; fi""",
    )
    return programs


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_what_is_missing_is_installed_once_and_starts_no_service(apt: Path, tmp_path: Path) -> None:
    program(apt / "systemctl", f"echo $@ >> {tmp_path}/units")
    said: list[str] = []
    for _ in range(2):
        packages.fetch(SPIT, said.append)
    assert said == ["installing a spit by apt-get"]
    # Debian's packages start no service where the policy's exit code is 101.
    assert (tmp_path / "log").read_text().splitlines() == [
        "update --quiet 101",
        "install --yes --quiet --no-install-recommends rotisserie rotisserie-tools 101",
    ]
    assert (tmp_path / "units").read_text() == "disable spit.service\n"
    assert not packages.POLICY.exists()


def test_a_policy_that_the_machine_has_stays(apt: Path, tmp_path: Path) -> None:
    program(packages.POLICY, "exit 3")
    packages.fetch(SPIT, lambda _: None)
    assert (tmp_path / "log").read_text().splitlines()[0] == "update --quiet 3"
    assert "exit 3" in packages.POLICY.read_text()


def test_what_apt_says_is_told_where_it_fails(apt: Path) -> None:
    program(apt / "apt-get", "echo no such package; exit 100")
    with pytest.raises(StackError, match="Buy a spit\nno such package"):
        packages.fetch(SPIT, lambda _: None)
    assert not packages.POLICY.exists()


def test_who_is_not_root_or_has_no_apt_is_told_what_to_do(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as somebody:
        somebody.setattr(packages.os, "geteuid", lambda: 1000)
        with pytest.raises(StackError, match=r"^Buy a spit$"):
            packages.fetch(SPIT, lambda _: None)
    (apt / "apt-get").unlink()
    with pytest.raises(StackError, match=r"^Buy a spit$"):
        packages.fetch(SPIT, lambda _: None)

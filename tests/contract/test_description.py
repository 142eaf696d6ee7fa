"""The interface tried against its own description, by somebody who knows nothing else of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.tokens import signed_tokens
from tests.stack import ROOT, Stack, clean_environment

pytestmark = [pytest.mark.stack, pytest.mark.own_stack]

SECONDS = 8  # for each of the three
MENU = ROOT / "config" / "menu.yaml"
CONFIGURATION = ROOT / "config" / "schemathesis.toml"


@pytest.fixture(scope="module")
def stack(spoiled: Stack) -> Iterator[Stack]:
    """One that it may turn upside down; its menu is put right again."""
    yield spoiled
    spoiled.command("menu", "import", str(MENU))


def tried(stack: Stack, token: str, report: Path) -> dict[str, Any]:
    """The report of a run with every check."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
            *(
                "run",
                f"{stack.own_url(1)}/openapi.json",
                "--checks",
                "all",
                "--max-time",
                str(SECONDS),
                "--max-examples",
                "20",
            ),
            *("--report", "json", "--report-json-path", str(report)),
            *(("--header", f"Authorization: Bearer {token}") if token else ()),
        ],
        env={**clean_environment(), "PYTHONPATH": str(ROOT), "HYPOTHESIS_STORAGE_DIRECTORY": str(report.parent)},
        cwd=report.parent,
        capture_output=True,
        text=True,
        timeout=SECONDS * 4,
    )
    assert report.exists(), done.stdout + done.stderr
    return json.loads(report.read_text()) | {"text": done.stdout}


@pytest.mark.parametrize("who", ["manager", "pad", "nobody"])
def test_what_the_description_promises_is_kept(
    who: str, stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {"manager": lambda: signed_tokens(stack.settings).sign("manager"), "nobody": str}
    token = made.get(who, lambda: stack.token("T1"))()
    report = tried(stack, token, tmp_path / "report.json")
    cases = report["test_cases"]
    with capsys.disabled():
        print(f"\ndescription as {who}: calls={cases['generated']} failures={cases['unique_failures']}", end="")
    assert not report["failures"], report["text"]
    assert not report["errors"], report["text"]
    # Hundreds of calls where the machine has nothing else to do; here it may have.
    assert cases["generated"] >= report["operations"]["tested"] == report["operations"]["total"]

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

SECONDS = 8  # for each
MENU = ROOT / "config" / "menu.yaml"
CONFIGURATION = ROOT / "config" / "schemathesis.toml"


@pytest.fixture(scope="module")
def stack(spoiled: Stack) -> Iterator[Stack]:
    """One that it may turn upside down; its menu is put right again."""
    yield spoiled
    spoiled.command("menu", "import", str(MENU))


def tried(url: str, token: str, report: Path) -> dict[str, Any]:
    """The report of a run with every check against a service."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
            *(
                "run",
                f"{url}/openapi.json",
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


@pytest.mark.parametrize(
    ("service", "who"), [("orders", "manager"), ("orders", "pad"), ("orders", "nobody"), ("kitchen", "kitchen")]
)
def test_what_the_description_promises_is_kept(
    service: str, who: str, stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    staff = signed_tokens(stack.settings)
    made = {"nobody": str, "pad": lambda: stack.token("T1")}
    token = made.get(who, lambda: staff.sign(who))()
    url = {"orders": stack.own_url(1), "kitchen": stack.settings.kitchen_url}[service]
    report = tried(url, token, tmp_path / "report.json")
    cases = report["test_cases"]
    with capsys.disabled():
        found = f"calls={cases['generated']} failures={cases['unique_failures']}"
        print(f"\ndescription of {service} as {who}: {found}", end="")
    assert not report["failures"], report["text"]
    assert not report["errors"], report["text"]
    # Hundreds of calls where the machine has nothing else to do; here it may have.
    assert cases["generated"] >= report["operations"]["tested"] == report["operations"]["total"]

"""What the pad decides by itself, in its own language: tests/unit/pad/*.test.mjs, run by Node where there is one.

The pad needs no Node; browsers run the same rules in tests/browser, so that a machine without it notices a break later.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "pad"
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None and not os.environ.get("CI"), reason="no node on this machine")
@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.test.mjs")))
def test_the_pads_rules_hold(name: str) -> None:
    run = subprocess.run([str(NODE), "--test", FOLDER / name], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_there_are_rules_to_hold() -> None:
    assert len(list(FOLDER.glob("*.test.mjs"))) >= 4

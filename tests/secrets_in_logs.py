"""What no log may hold: tokens, signing keys, and what guests write."""

import re

from tests.stack import Stack

CANARY = "canary-4c1f"  # stands in what guests write, and in passwords, where a test looks for it
_token = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.")
_header = re.compile(r"bearer [A-Za-z0-9._-]{8,}", re.IGNORECASE)


def secrets_in(text: str, keys: tuple[str, ...] = ()) -> list[str]:
    """Each secret that stands in the text, with what is round it."""
    found = [match.span() for pattern in (_token, _header, re.compile(CANARY)) for match in pattern.finditer(text)]
    found += [(place, place + len(key)) for key in keys if (place := text.find(key)) >= 0]
    return [text[max(0, start - 80) : end + 20] for start, end in found]


def secrets_in_logs(stack: Stack) -> list[str]:
    """Each secret in a log of the stack, with the log's name."""
    folder = stack.settings.keys_dir
    keys = tuple(path.read_text().strip() for path in folder.iterdir() if path.is_file()) if folder.is_dir() else ()
    return [
        f"{path.name}: {secret}"
        for path in sorted((stack.settings.data_dir / "logs").glob("**/*"))
        if path.is_file()
        for secret in secrets_in(path.read_text(encoding="utf-8", errors="replace"), keys)
    ]

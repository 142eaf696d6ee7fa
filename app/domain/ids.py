"""Ids and fingerprints: the same request always yields the same ones."""

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Protocol


class OrderedLine(Protocol):
    """What of a line makes an order the same order: the price does not."""

    @property
    def menu_item_id(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def note(self) -> str: ...
    @property
    def modifiers(self) -> tuple[str, ...]: ...


_ORDER_ID = re.compile(r"o[0-9a-f]{32}")
_ORDER_ID_AND_FINGERPRINT = re.compile(r"o[0-9a-f]{32} [0-9a-f]{16}")
_TABLE = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def is_order_id(text: str) -> bool:
    """Whether this can be a server's id of an order."""
    return _ORDER_ID.fullmatch(text) is not None


def are_ids(order_id: str, fingerprint: str) -> bool:
    """Whether these can be a server's id of an order and the fingerprint of its lines; looked at once, for speed."""
    return _ORDER_ID_AND_FINGERPRINT.fullmatch(f"{order_id} {fingerprint}") is not None


def is_table(text: str) -> bool:
    """Whether this can be a table number."""
    return _TABLE.fullmatch(text) is not None


def order_id(table: str, session: int, client_order_id: str) -> str:
    """The server's id of an order: ``o`` and 32 hex digits."""
    return "o" + blake2b(f"{table}/{session}/{client_order_id}".encode(), digest_size=16).hexdigest()


def id_hash(order: str) -> bytes:
    """The 16 bytes of a server's order id."""
    return bytes.fromhex(order[1:])


def fingerprint(lines: Iterable[OrderedLine], note: str) -> str:
    """16 hex digits of what must be the same when an order id is sent again: lines and notes, not version or price."""
    # Every part is preceded by its length, so that no two orders run together to the same text.
    parts = [note]
    for line in lines:
        parts += (line.menu_item_id, str(line.quantity), line.note, str(len(line.modifiers)), *line.modifiers)
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode(), digest_size=8).hexdigest()

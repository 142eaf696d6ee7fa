"""What the contract says of an answer to `POST /orders`: each check returns what is wrong, or None."""

from typing import Any

import msgspec

from app.bench.http import Response


class Placed(msgspec.Struct):
    """The body of a 201."""

    order_id: str
    status: str
    version: int | None = None


class Conflict(msgspec.Struct):
    """The body of a 409."""

    error: str
    current_version: int | None = None


_placed = msgspec.json.Decoder(Placed)
_conflict = msgspec.json.Decoder(Conflict)


class Contract:
    """The checks; where `extras` is off, a server need not give what the contract has added behind its first form.

    Those are `version` on a 201, `current_version` on a 409 and the header `Idempotency-Replayed`. If given, they
    must be right all the same.
    """

    def __init__(self, *, extras: bool = True) -> None:
        self.extras = extras

    def placed(self, response: Response, sent_version: int, *, may_be_replay: bool) -> str | None:
        """The answer to an order that the table's version allows.

        `may_be_replay`: the order was sent before or at the same time, so that this may be the first answer again.
        """
        body = self._read(response, 201, _placed)
        if isinstance(body, str):
            return body
        if body.status != "received" or not body.order_id:
            return f"a 201 says {_text(response)}"
        if not self._is(body.version, sent_version + 1):
            return f"an order sent at version {sent_version} was answered {_text(response)}"
        if response.replayed and not may_be_replay:
            return f"an order sent for the first time was answered as a replay: {_text(response)}"
        return None

    def replayed(self, response: Response, first: bytes) -> str | None:
        """The answer to an order that was accepted before, with the body `first`."""
        if response.status != 201 or response.body != first:
            return f"first answered {first.decode(errors='replace')}, then {response.status} {_text(response)}"
        if self.extras and not response.replayed:
            return f"an order sent again was answered without Idempotency-Replayed: {_text(response)}"
        return None

    def twins(self, one: Response, other: Response, *, sent_once_each: bool) -> str | None:
        """The two answers to an order sent twice at the same time."""
        if one.body != other.body:
            return f"an order sent twice at once was answered {_text(one)} and {_text(other)}"
        replays = one.replayed + other.replayed
        if self.extras and (replays == 0 or (replays == 2 and sent_once_each)):
            return f"of two answers to one order {replays} are marked as replays: {_text(one)}"
        return None

    def refused(self, response: Response, version: int) -> str | None:
        """The answer to an order with another version than the table's, which is `version`."""
        body = self._read(response, 409, _conflict)
        if isinstance(body, str):
            return body
        if body.error != "Version conflict" or not self._is(body.current_version, version):
            return f"a stale order at a table of version {version} was answered {_text(response)}"
        return None

    def _is(self, told: int | None, expected: int) -> bool:
        return told == expected or (told is None and not self.extras)

    def _read(self, response: Response, status: int, decoder: "msgspec.json.Decoder[Any]") -> Any:
        if response.status != status:
            return f"{status} expected, answered {response.status} {_text(response)}"
        try:
            return decoder.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return f"a {status} that cannot be read ({error}): {_text(response)}"


def order_id(response: Response) -> str:
    """The order id of a 201 that was checked."""
    return _placed.decode(response.body).order_id


def current_version(response: Response) -> int | None:
    """The version that a 409 tells, None where it tells none."""
    try:
        return _conflict.decode(response.body).current_version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _text(response: Response) -> str:
    return response.body[:200].decode(errors="replace")

"""Signed tokens of pads and staff, and the keys that sign them.

A key is one file in the keys folder, named by a rising number: the newest signs, the newest few verify. Workers look at
the folder again every half minute, and for a key id that they do not know at once where something was added to it: so a
rotation needs no restart.
"""

import json
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

import jwt

from app.domain.claims import ROLES, STAFF, Claims, Role, is_name
from app.settings import Settings

ALGORITHM = "HS256"
KEY_BYTES = 32  # of the hash's own length; PyJWT refuses a shorter one
RESCAN_SECONDS = 30.0  # until a retired key is retired everywhere
UNKNOWN_KEY_RESCAN_SECONDS = 1.0  # a flood of forged key ids must not become a flood of directory reads
CACHE_SIZE = 16_384  # tokens; several for each table of a large deployment
MAX_TOKEN = 4096  # characters
MAX_LIFE = 31 * 86_400  # s; no deployment may give a longer one, see `tokens.ttl_hours`
# Three parts in base64url and nothing else, though its reader skips what is none. 32 bytes end in one of these sixteen
# letters: so a token can be written in one way only.
_shape = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


class KeysError(Exception):
    """The keys cannot be read or made; the message says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key; its id is a hash of it, so that keys of two deployments are never taken for one another."""

    number: int
    id: str
    secret: bytes = field(repr=False)


class Keys:
    """The folder of keys. Safe between processes that start at once: the first to make a file wins."""

    def __init__(self, folder: Path, live: int) -> None:
        self._folder = folder
        self._live = live

    def load(self) -> list[Key]:
        """The live keys, newest first; the first one ever is made here.

        Raises:
            KeysError: the folder cannot be read or written, or holds a file that is no key.
        """
        try:
            keys = self._read()
            if not keys:
                self._make(1)
                keys = self._read()
        except OSError as error:
            raise KeysError(f"signing keys in {self._folder}: {error}") from error
        return keys

    def names(self) -> frozenset[str]:
        """What is in the folder, without reading it; nothing while it cannot be looked at."""
        try:
            return frozenset(os.listdir(self._folder))
        except OSError:
            return frozenset()

    def rotate(self) -> Key:
        """Make a key that signs from now on, and delete those that no longer verify.

        Raises:
            KeysError: as for `load`.
        """
        newest = self.load()[0]
        try:
            self._make(newest.number + 1)
            keys = self._read()
            for path in self._files()[self._live :]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise KeysError(f"signing keys in {self._folder}: {error}") from error
        return keys[0]

    def _files(self) -> list[Path]:
        paths = [path for path in self._folder.glob("*.key") if path.stem.isdecimal()]
        return sorted(paths, key=lambda path: int(path.stem), reverse=True)

    def _read(self) -> list[Key]:
        keys = []
        for path in self._files()[: self._live]:
            try:
                secret = bytes.fromhex(path.read_text().strip())
            except ValueError as error:
                raise KeysError(f"{path} is no key: {error}") from error
            if len(secret) < KEY_BYTES:
                raise KeysError(f"{path} is too short for a key: {len(secret)} bytes of at least {KEY_BYTES}")
            keys.append(Key(int(path.stem), blake2b(secret, digest_size=8).hexdigest(), secret))
        return keys

    def _make(self, number: int) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{number}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(KEY_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            # A link appears whole or not at all, and never replaces another process's key.
            os.link(draft, self._folder / f"{number:04}.key")
        except FileExistsError:
            pass  # another process was first: its key is the one
        finally:
            draft.unlink()


class SignedTokens:
    """Signs and verifies tokens; verified ones are remembered until they expire or a key changes."""

    def __init__(
        self,
        keys: Keys,
        *,
        issuer: str,
        audience: str,
        ttl_seconds: float,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the keys. The `clock` tells when tokens end, `ticks` when the keys are looked at again.

        Raises:
            KeysError: they cannot be read or made.
        """
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._ttl = ttl_seconds
        self._clock = clock
        self._ticks = ticks  # a clock that is set back must not put off a new key by hours
        self._live: dict[str, bytes] = {}
        self._signing: Key
        self._next_scan = 0.0
        self._next_unknown_scan = 0.0
        self._verified: dict[str, Claims] = {}
        self._seen: frozenset[str] = frozenset()  # in the folder when it was last read
        self._use(keys.load())

    def sign(self, role: Role, table: str = "", session: int = 0, name: str = "", *, number: int = 0) -> str:
        """A token of this role; a pad's names its table and session, staff's may have a name.

        Those of several numbers differ.
        """
        now = int(self._clock())
        payload: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "iat": now,
            "exp": now + int(self._ttl),
            "role": role,
        }
        if table:
            payload |= {"table": table, "session": session}
        if name:
            payload["name"] = name
        if number:
            payload["jti"] = str(number)
        return jwt.encode(payload, self._signing.secret, algorithm=ALGORITHM, headers={"kid": self._signing.id})

    def verify(self, token: str) -> Claims | None:
        """Who holds this token; None for one that is forged, expired or not of this deployment."""
        if self._ticks() >= self._next_scan:
            self._rescan()
        claims = self._verified.get(token)
        if claims is None:
            claims = self._decode(token)
            if claims is None:
                return None
            if len(self._verified) >= CACHE_SIZE:
                del self._verified[next(iter(self._verified))]  # the oldest; one that is in use comes back at once
            self._verified[token] = claims
        if self._clock() >= claims.expires:
            del self._verified[token]
            return None
        return claims

    def _decode(self, token: str) -> Claims | None:
        if len(token) > MAX_TOKEN or not _shape.fullmatch(token):
            return None
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            if key_id not in self._live and self._may_have_come():
                self._rescan()
            if not isinstance(key_id, str) or key_id not in self._live:
                return None
            payload = jwt.decode(
                token,
                self._live[key_id],
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                options={
                    "require": ["iss", "aud", "iat", "exp"],
                    "verify_exp": False,  # judged by `verify` on each use, by one clock
                    # A clock that was set back must not log out every pad whose token is from before.
                    "verify_iat": False,
                    "enforce_minimum_key_length": True,
                },
            )
            for part in token.split(".")[:2]:
                json.loads(jwt.utils.base64url_decode(part), object_pairs_hook=_each_once)
        # Beyond PyJWT's own errors: what its header and claims checks raise on a value of a type they do not expect.
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
            return None
        return _claims(payload)

    def _may_have_come(self) -> bool:
        """Whether a look for a key that is not known is worth it: a new one signs from the moment it is there."""
        return self._keys.names() != self._seen or self._ticks() >= self._next_unknown_scan

    def _rescan(self) -> None:
        now = self._ticks()
        self._seen = self._keys.names()
        self._next_scan = now + RESCAN_SECONDS
        self._next_unknown_scan = now + UNKNOWN_KEY_RESCAN_SECONDS
        try:
            keys = self._keys.load()
        except KeysError:
            return  # the keys in memory go on: a folder that is away for a moment must not log every pad out
        if {key.id for key in keys} != set(self._live):
            self._use(keys)

    def _use(self, keys: list[Key]) -> None:
        self._signing = keys[0]
        self._live = {key.id: key.secret for key in keys}
        self._verified.clear()


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A claim that stands twice is read in two ways by two readers."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice")
    return fields


def _claims(payload: dict[str, Any]) -> Claims | None:
    role, issued, expires = payload.get("role"), payload.get("iat"), payload.get("exp")
    table, session, name = payload.get("table", ""), payload.get("session", 0), payload.get("name", "")
    if (
        type(role) is not str
        or role not in ROLES
        or type(issued) is not int
        or type(expires) is not int
        or not 0 < expires - issued <= MAX_LIFE
        or type(table) is not str
        or type(session) is not int
    ):
        return None
    if not (table and session > 0 if role == "pad" else table == "" and session == 0):
        return None
    if "name" in payload and not (role in STAFF and type(name) is str and is_name(name)):
        return None
    return Claims(cast("Role", role), expires, table, session, name)


def signed_tokens(settings: Settings) -> SignedTokens:
    """The tokens of this deployment.

    Raises:
        KeysError: the keys cannot be read or made.
    """
    tokens = settings.tokens
    return SignedTokens(
        Keys(settings.keys_dir, tokens.live_keys),
        issuer=tokens.issuer,
        audience=tokens.audience,
        ttl_seconds=tokens.ttl_hours * 3600,
    )

"""Signed tokens: what holds, what does not, and how keys change without a logged-out pad."""

import multiprocessing
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from app.adapters.tokens import Keys, KeysError, SignedTokens
from app.domain.claims import Claims

HOUR = 3600


class Clock:
    """Real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def tokens_of(folder: Path, clock: Callable[[], float] = time.time, live: int = 2, **changes: Any) -> SignedTokens:
    settings = {"issuer": "bistro92", "audience": "bistro92", "ttl_seconds": 12 * HOUR} | changes
    return SignedTokens(Keys(folder, live), clock=clock, **({"ticks": clock} | settings))


def forge(tokens: SignedTokens, key: bytes | str | None = None, algorithm: str = "HS256", **changes: Any) -> str:
    """A pad's token with changes; None takes a claim out."""
    now = int(time.time())
    payload = {"iss": "bistro92", "aud": "bistro92", "iat": now, "exp": now + HOUR, "role": "pad"}
    payload |= {"table": "T1", "session": 1} | changes
    payload = {name: value for name, value in payload.items() if value is not None}
    secret = tokens._signing.secret if key is None else key
    return jwt.encode(payload, secret, algorithm=algorithm, headers={"kid": tokens._signing.id})


def test_a_pads_token_names_its_table_and_session(tmp_path: Path) -> None:
    tokens = tokens_of(tmp_path)
    claims = tokens.verify(tokens.sign("pad", "T1", 3))
    assert claims is not None
    assert (claims.role, claims.table, claims.session) == ("pad", "T1", 3)
    assert 12 * HOUR - 5 <= claims.expires - time.time() <= 12 * HOUR


@pytest.mark.parametrize("role", ["kitchen", "manager", "operator", "worker"])
def test_staff_and_workers_have_no_table(tmp_path: Path, role: Any) -> None:
    tokens = tokens_of(tmp_path)
    claims = tokens.verify(tokens.sign(role))
    assert claims == Claims(role, claims.expires if claims else 0)


def test_tokens_of_several_numbers_differ_and_say_the_same(tmp_path: Path) -> None:
    tokens = tokens_of(tmp_path)
    one, other = tokens.sign("operator", number=1), tokens.sign("operator", number=2)
    assert one != other
    assert tokens.verify(one) == Claims("operator", int(jwt.decode(one, options={"verify_signature": False})["exp"]))
    assert tokens.verify(other) is not None


def test_a_token_ends_when_it_expires_also_one_that_was_seen_before(tmp_path: Path) -> None:
    clock = Clock()
    tokens = tokens_of(tmp_path, clock, ttl_seconds=HOUR)
    seen, unseen = tokens.sign("pad", "T1", 1), tokens.sign("pad", "T2", 1)
    assert tokens.verify(seen)
    clock.ahead = HOUR + 1
    assert tokens.verify(seen) is None
    assert tokens.verify(unseen) is None


def test_what_was_not_signed_here_does_not_hold(tmp_path: Path) -> None:
    tokens = tokens_of(tmp_path)
    good = forge(tokens)
    assert tokens.verify(good)
    head, body, signature = good.split(".")
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        longer_hash = forge(tokens, algorithm="HS512")
    for token in (
        "",
        "x",
        "a.b.c",
        good[:-1],
        f"{head}.{body}.",
        f"{head}.{body}.{signature[::-1]}",
        f"{head}.{jwt.encode({'role': 'operator'}, b'k' * 32).split('.')[1]}.{signature}",
        good + "x" * 5000,
        "\ud800",
        forge(tokens, key=b"another key of the same length..", algorithm="HS256"),
        longer_hash,
        forge(tokens, algorithm="none", key=""),
    ):
        assert tokens.verify(token) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"iss": None},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"exp": 1},
        {"exp": "4000000000"},
        {"exp": 4e9},
        {"role": "chef"},
        {"role": None},
        {"role": ["pad"]},
        {"table": None},
        {"table": 5},
        {"session": None},
        {"session": 0},
        {"session": "1"},
        {"session": True},
        {"role": "manager"},
    ],
    ids=str,
)
def test_a_claim_that_is_missing_or_wrong_spoils_a_well_signed_token(tmp_path: Path, changes: dict[str, Any]) -> None:
    tokens = tokens_of(tmp_path)
    assert tokens.verify(forge(tokens, **changes)) is None


def test_a_key_of_another_deployment_does_not_sign_for_this_one(tmp_path: Path) -> None:
    here, there = tokens_of(tmp_path / "here"), tokens_of(tmp_path / "there")
    assert here.verify(there.sign("operator")) is None


def test_the_first_start_makes_a_key_that_nobody_else_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    tokens_of(folder)
    [path] = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert tokens_of(folder).verify(tokens_of(folder).sign("kitchen"))


def _sign_in_a_process(folder: Path, start: Any, signed: Any) -> None:
    start.wait()
    signed.put(tokens_of(folder).sign("kitchen"))


def test_processes_that_start_at_once_agree_on_the_first_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, signed = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_sign_in_a_process, args=(tmp_path / "keys", start, signed)) for _ in range(4)]
    for process in processes:
        process.start()
    made = [signed.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    tokens = tokens_of(tmp_path / "keys")
    assert all(tokens.verify(token) for token in made)
    assert len(list((tmp_path / "keys").iterdir())) == 1


def test_a_rotation_is_noticed_by_a_running_worker_and_the_key_before_still_holds(tmp_path: Path) -> None:
    worker = tokens_of(tmp_path, Clock())
    old = worker.sign("pad", "T1", 1)
    assert worker.verify(old)
    Keys(tmp_path, 2).rotate()
    new = tokens_of(tmp_path).sign("pad", "T1", 1)
    assert worker.verify(new)  # also within a second of its last look at the folder
    assert worker.verify(old)
    assert jwt.get_unverified_header(worker.sign("kitchen"))["kid"] == jwt.get_unverified_header(new)["kid"]


def test_a_key_two_rotations_old_is_gone_for_good(tmp_path: Path) -> None:
    clock = Clock()
    worker = tokens_of(tmp_path, clock)
    old = worker.sign("pad", "T1", 1)
    assert worker.verify(old)
    keys = Keys(tmp_path, 2)
    keys.rotate()
    keys.rotate()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0002.key", "0003.key"]
    clock.ahead = 31  # without any unknown key it looks every half minute
    assert worker.verify(old) is None


@pytest.mark.parametrize("ahead", [2 * HOUR, -2 * HOUR])
def test_a_clock_that_is_set_by_hours_logs_nobody_out_and_puts_no_key_off(tmp_path: Path, ahead: float) -> None:
    clock, ticks = Clock(), Clock()
    other, worker = (tokens_of(tmp_path, clock, ticks=ticks) for _ in range(2))
    old = other.sign("pad", "T1", 1)
    assert worker.verify("of no known key") is None  # it has looked at the keys
    clock.ahead = ahead
    assert worker.verify(old)
    Keys(tmp_path, 2).rotate()
    new = tokens_of(tmp_path, clock).sign("pad", "T1", 1)
    assert worker.verify(new)
    assert worker.verify(old)


def test_forged_key_ids_do_not_make_a_worker_read_the_folder_each_time(tmp_path: Path) -> None:
    clock = Clock()
    clock.ahead = 1000
    fixed = clock()
    reads = 0

    class CountingKeys(Keys):
        def load(self) -> Any:
            nonlocal reads
            reads += 1
            return super().load()

    tokens = SignedTokens(
        CountingKeys(tmp_path, 2), issuer="bistro92", audience="bistro92", ttl_seconds=HOUR, ticks=lambda: fixed
    )
    for number in range(50):
        forged = jwt.encode({"exp": 4_000_000_000}, b"k" * 32, headers={"kid": f"unknown-{number}"})
        assert tokens.verify(forged) is None
    assert reads <= 2


def test_a_folder_that_goes_away_logs_nobody_out(tmp_path: Path) -> None:
    clock = Clock()
    folder = tmp_path / "keys"
    worker = tokens_of(folder, clock)
    token = worker.sign("pad", "T1", 1)
    folder.rename(tmp_path / "moved")
    folder.touch()  # a file in its place: it can be neither read nor made
    clock.ahead = 100
    assert worker.verify(token)


@pytest.mark.parametrize("content", ["", "short", "00" * 31, "zz" * 32])
def test_a_key_that_is_too_short_or_none_is_refused_at_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "0001.key").write_text(content)
    with pytest.raises(KeysError, match=r"0001\.key"):
        tokens_of(tmp_path)


def test_the_memory_of_verified_tokens_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.tokens.CACHE_SIZE", 10)
    tokens = tokens_of(tmp_path)
    for session in range(1, 50):
        assert tokens.verify(tokens.sign("pad", "T1", session))
    assert len(tokens._verified) == 10

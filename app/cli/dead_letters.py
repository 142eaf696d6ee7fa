"""`python -m app dead-letters`: records that could not be decoded, to look at and to send again."""

import json
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from app.adapters.dead_letters import DeadLetter
from app.audit import letters as box
from app.audit.letters import Letter, Original
from app.audit.log import AuditError
from app.cli._text import iso, plain, printable, readable
from app.settings import Settings, SettingsError, load
from app.topics import ORDER_COMMANDS

_AGO = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
KEY_SHOWN, REASON_SHOWN = 24, 100  # characters, in a line of the list

topic_option = click.option("--topic", help="only letters of this topic")


class Since(click.ParamType):
    """A time in the past, as ms since 1970, UTC."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """`90m`, `12h`, `3d`, or ISO 8601 (UTC where it names no zone)."""
        ago = _AGO.fullmatch(value)
        try:
            if ago:
                moment = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            else:
                moment = datetime.fromisoformat(value)
                moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return int(moment.timestamp() * 1000)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: write 90m, 12h, 3d or 2026-11-03T20:00", param, ctx)


since_option = click.option("--since", type=Since(), help="only newer ones: 90m, 12h, 3d ago, or a time (UTC)")


@click.group(name="dead-letters", invoke_without_command=True)
@topic_option
@since_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="the newest so many")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@click.pass_context
def command(ctx: click.Context, topic: str | None, since: int | None, limit: int, as_json: bool) -> None:
    """List the records that could not be decoded, newest last; `show` and `resend` take the numbers.

    A record that was set aside while its reader was being started anew may have two letters.
    """
    if ctx.invoked_subcommand is not None:
        return
    _, found = _read(topic, since)
    shown = found[-limit:]
    if as_json:
        click.echo(json.dumps({"dead_letters": [_summary(letter) for letter in shown]}))
        return
    row = "{:>6}  {:<20} {:<28} {:<24} {:>8} {:<7} {}".format
    if shown:
        click.echo(row("NUMBER", "WHEN", "PLACE", "KEY", "BYTES", "RE-SENT", "REASON"))
    for letter in shown:
        content = letter.content
        place = f"{content.topic}/{content.partition}@{content.offset}"
        key, reason = printable(content.key)[:KEY_SHOWN], plain(content.reason)[:REASON_SHOWN]
        resent = str(len(letter.resent) or "-")
        click.echo(row(letter.number, iso(letter.at), place, key, content.size, resent, reason))
    left_out = len(found) - len(shown)
    click.echo(f"{len(shown)} dead letters" + (f", {left_out} older ones left out" if left_out else ""), err=True)


@command.command()
@click.argument("number", type=click.IntRange(min=0))
@click.option("--json", "as_json", is_flag=True, help="one JSON object, bytes as base64")
def show(number: int, as_json: bool) -> None:
    """Show letter NUMBER: where its record stood, why it was set aside, and all of it."""
    settings, found = _read()
    letter = _named(found, [number])[0]
    whole = dict(_guarded(lambda: list(box.whole_letters(settings, [number]))))[number]
    if as_json:
        more = {"value": _base64(whole.value), "headers": [[name, _base64(v)] for name, v in whole.headers or ()]}
        click.echo(json.dumps({**_summary(letter), **more}))
        return
    for name, text in _facts(letter, whole):
        click.echo(f"{name:<10} {text}")
    click.echo()
    click.echo(readable(whole.value))


@command.command()
@click.argument("numbers", nargs=-1, type=click.IntRange(min=0))
@click.option("--all", "everything", is_flag=True, help="every letter that was not re-sent yet")
@topic_option
@since_option
@click.option("--value", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="one letter's mended value")
@click.option("--again", is_flag=True, help="also what was re-sent before")
@click.option("--yes", is_flag=True, help=f"also commands ({ORDER_COMMANDS}), which change tables now")
def resend(
    numbers: tuple[int, ...],
    everything: bool,
    topic: str | None,
    since: int | None,
    value: Path | None,
    again: bool,
    yes: bool,
) -> None:
    """Send the records of letters NUMBERS again: to their topic and partition, under their key.

    What still cannot be decoded comes back as a new letter. Events may be sent again at any time: consumers keep the
    first of each (table, session, version). Commands need --yes: an order of hours ago would be placed now.
    """
    if everything == bool(numbers) or (value is not None and len(numbers) != 1) or (numbers and (topic or since)):
        raise click.UsageError("name letters, or --all with --topic and --since; --value takes one letter")
    settings, found = _read(topic, since)
    chosen = [letter for letter in found if again or not letter.resent] if everything else _named(found, numbers)
    _check(chosen, again=again, yes=yes)
    mended = None if value is None else value.read_bytes()
    sender = box.Sender(settings)
    for number, letter in _guarded(lambda: box.whole_letters(settings, {letter.number for letter in chosen})):
        _resend(settings, sender, number, letter, mended)
    click.echo(f"{len(chosen)} re-sent", err=True)


def _check(chosen: list[Letter], *, again: bool, yes: bool) -> None:
    """Refuse before anything is sent."""
    before = [letter.number for letter in chosen if letter.resent]
    if before and not again:
        raise click.ClickException(f"re-sent before: {_some(before)}; --again sends once more")
    commands = [letter.number for letter in chosen if letter.content.topic == ORDER_COMMANDS]
    if commands and not yes:
        raise click.ClickException(
            f"of {ORDER_COMMANDS}: {_some(commands)}. The guest was answered 503 and has most likely sent the order "
            "again; what is accepted now is cooked and billed, though nobody waits for it. --yes sends all the same"
        )


def _resend(settings: Settings, sender: box.Sender, number: int, letter: DeadLetter, mended: bytes | None) -> None:
    try:
        record = box.original(settings, letter)
        if mended is not None:
            record = Original(record.key, mended, record.headers)
        note = sender.resend(number, letter, record, mended=mended is not None)
    except AuditError as error:
        raise click.ClickException(f"letter {number}: {error}") from error
    reason = box.refusal(letter.topic, record)
    expect = f"will come back as a new letter: {plain(reason)}" if reason else "can be decoded by this release"
    click.echo(f"{number} -> {note.topic}/{note.partition}@{note.offset}, {expect}")


def _read(topic: str | None = None, since: int | None = None) -> tuple[Settings, list[Letter]]:
    settings = _guarded(load)
    found = _guarded(lambda: box.read_box(settings))
    if found.strange:
        click.echo(f"{found.strange} records of dead-letters are none that this release knows", err=True)
    letters = found.letters.values()
    return settings, [one for one in letters if topic in (None, one.content.topic) and one.at >= (since or 0)]


def _guarded(read: Any) -> Any:
    try:
        return read()
    except (SettingsError, AuditError) as error:
        raise click.ClickException(str(error)) from error


def _named(found: list[Letter], numbers: Any) -> list[Letter]:
    there = {letter.number: letter for letter in found}
    unknown = sorted(set(numbers) - there.keys())
    if unknown:
        raise click.ClickException(f"there is no dead letter {_some(unknown)}")
    return [there[number] for number in sorted(set(numbers))]


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:20])) + (f" and {len(numbers) - 20} more" if len(numbers) > 20 else "")


def _summary(letter: Letter) -> dict[str, Any]:
    content = letter.content
    return {
        "number": letter.number,
        "at": iso(letter.at),
        "topic": content.topic,
        "partition": content.partition,
        "offset": content.offset,
        "logged_at": iso(content.time),
        "key": _base64(content.key),
        "size": content.size,
        "reason": content.reason,
        "resent": [{"partition": n.partition, "offset": n.offset, "mended": n.mended} for n in letter.resent],
    }


def _facts(letter: Letter, whole: DeadLetter) -> list[tuple[str, str]]:
    kept = len(whole.value or b"")
    cut = f", the first {kept} are below; `resend` reads all where the record stands" if kept < whole.size else ""
    facts = [
        ("number", str(letter.number)),
        ("when", iso(letter.at)),
        ("topic", whole.topic),
        ("partition", str(whole.partition)),
        ("offset", str(whole.offset)),
        ("log time", iso(whole.time)),
        ("reason", plain(whole.reason)),
        (
            "key",
            printable(whole.key) + (f" … ({whole.key_size} bytes)" if len(whole.key or b"") < whole.key_size else ""),
        ),
        ("bytes", f"{whole.size}{cut}" if whole.value is not None else "none: the value is null"),
    ]
    facts += [("header", f"{plain(name)}: {printable(value)}") for name, value in whole.headers or ()]
    facts += [("header", "too long to be kept here")] if whole.headers is None else []
    for note in letter.resent:
        facts.append(("re-sent", f"to offset {note.offset}" + (", with a mended value" if note.mended else "")))
    return facts


def _base64(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()

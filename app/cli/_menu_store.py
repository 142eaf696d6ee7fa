"""The menu's store as the commands reach it: what cannot be done is said in a sentence."""

import asyncio
import getpass
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import click
import structlog

from app.adapters import menu_editor
from app.cli._menu_text import Teller
from app.dishes import DishError
from app.domain.menu import Menu
from app.domain.menu_edits import AlreadyThere, CannotUndo, ChangedSince, Edit, Edited, NoSuchDish, Refused
from app.ports import MenuEditor, MenuTooLargeError, UnavailableError
from app.settings import Settings, SettingsError, load

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was made, and the menus round it; the same twice: there was nothing to change."""

    before: Menu
    after: Menu


class MenuDesk:
    """Where one command asks and changes; opened with the settings, which it reads.

    Raises:
        click.ClickException: a setting is not allowed.
    """

    def __init__(self) -> None:
        try:
            self.settings: Settings = load()
        except SettingsError as error:
            raise click.ClickException(str(error)) from error
        self.teller = Teller(self.settings.restaurant)
        # Warnings only, and not among what a script reads: that a change was made is said below.
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        )

    def ask(self, question: Callable[[MenuEditor], Awaitable[T]]) -> T:
        """What the store answers; a click.ClickException where it is away."""

        async def asked() -> T:
            async with menu_editor.open_editor(self.settings) as editor:
                return await question(editor)

        try:
            return asyncio.run(asked())
        except UnavailableError as error:
            raise click.ClickException(f"{error}; `python -m app status` shows what runs") from error

    def change(self, edit: Edit, what: str) -> None:
        """Make a change and show it; a click.ClickException where it is refused."""
        self.show(self.ask(lambda editor: self.apply(editor, edit, what)))

    async def apply(self, editor: MenuEditor, edit: Edit, what: str) -> Done:
        """Make a change; a click.ClickException where it is refused."""
        edited: list[Menu] = []

        def noted(menu: Menu) -> Edited | Refused:
            edited[:] = [menu]
            return edit(menu)

        try:
            outcome = await editor.apply(noted, who(), what)
        except DishError as error:
            raise click.ClickException(
                "nothing was changed, since this would be no dish:\n"
                + "\n".join(f"  {self.teller.plain(mistake)}" for mistake in error.mistakes)
            ) from error
        except UnavailableError as error:
            raise click.ClickException(
                f"{error}; whether the change was made is not known: `python -m app menu history` tells, and the same "
                "command may be given again"
            ) from error
        except MenuTooLargeError as error:
            raise click.ClickException(f"nothing was changed: {error}") from error
        if not isinstance(outcome, Edited):
            raise click.ClickException(self._refusal(outcome))
        return Done(edited[0], outcome.menu)

    def show(self, done: Done) -> None:
        """Say what was changed, and that it was."""
        if done.after.revision == done.before.revision:
            click.echo(f"nothing to change: so it stands at revision {done.after.revision}")
            return
        for line in self.teller.differences(done.before.items, done.after.items):
            click.echo(f"  {line}")
        click.echo(f"revision {done.after.revision}; the workers show it within a second")

    def _refusal(self, refused: Refused) -> str:
        if isinstance(refused, NoSuchDish):
            return f"there is no dish {refused.item_id!r}; `python -m app menu list` shows those that there are"
        if isinstance(refused, AlreadyThere):
            return f"{refused.current.id} is on the menu already:\n{self.teller.dish(refused.current)}"
        if isinstance(refused, CannotUndo):
            return f"nothing was taken back: {refused.reason}; `python -m app menu set` changes single dishes"
        assert isinstance(refused, ChangedSince)
        if refused.current is None:
            return "the dish is gone since; `python -m app menu history` tells by whom"
        return (
            f"nothing was changed: {refused.current.id} was last changed by revision {refused.current.revision}, "
            "other than --seen says; look whether your change still fits, and name the menu's newest revision. "
            f"It stands so now:\n{self.teller.dish(refused.current)}"
        )


def who() -> str:
    """By whom a change is made, for the menu's history."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = f"user {os.getuid()}"
    return f"command line: {user}"

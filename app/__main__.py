"""`python -m app COMMAND`: one file per command in app/cli, imported only when it is asked for."""

import importlib
import pkgutil

import click

import app.cli


class Commands(click.Group):
    """The modules of app/cli, each of which holds a click command named `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command's name."""
        names = (module.name for module in pkgutil.iter_modules(app.cli.__path__))
        return sorted(name.replace("_", "-") for name in names if name[0] != "_")

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, None where there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"app.cli.{cmd_name.replace('-', '_')}").command
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Bistro 92: the order back end of a restaurant whose tables order from smart pads."""


if __name__ == "__main__":
    main(prog_name="python -m app")

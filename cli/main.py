"""The `facestream` command: how a command is found and run, and how an error reaches a person."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli.commands import COMMANDS, Entry
from errors import FacestreamError

_HELP = "Keeps every face of a photo archive clustered by person, while new scans stream in through Kafka."


class LazyCommand(TyperCommand):
    """A command in the list. Its module is imported when the command runs or prints its own help."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.name, rich_help_panel=entry.panel)
        self.entry = entry

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:  # noqa: ANN401 - click's context: typer has a copy of click in some versions
        """The context of the imported command, which is invoked instead of this one."""
        app = typer.Typer(add_completion=False, rich_markup_mode="rich")
        with _imports_without_collection():
            function, commands = self.entry.load(), self.entry.load_commands()
        if commands:
            app.callback(invoke_without_command=True)(function)
        else:
            app.command(self.entry.name)(function)
        for name, below in commands.items():
            app.command(name)(below)
        return typer.main.get_command(app).make_context(info_name, args, parent=parent, **extra)


class LazyGroup(TyperGroup):
    """The commands of `cli.commands`, none of them imported."""

    def __init__(self) -> None:
        commands: Any = {name: LazyCommand(entry) for name, entry in COMMANDS.items()}
        super().__init__(
            name="facestream", help=_HELP, commands=commands, no_args_is_help=True, rich_markup_mode="rich"
        )

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as above
        """Print the help, with the help line of each command."""
        for name, entry in COMMANDS.items():
            self.commands[name].help = entry.help()
        super().format_help(ctx, formatter)


@contextmanager
def _imports_without_collection() -> Iterator[None]:
    """Keep the garbage collector away from what is imported: it is never garbage.

    Collections during imports and at the exit of the process take a quarter of the time of a short command.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def main() -> None:
    """Run the command line. A FacestreamError ends as one line and exit code 1."""
    # Errors of Kafka reach people as our own line; a consumer's log has the client's lines as well.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        LazyGroup()()
    except FacestreamError as error:
        from cli.printing import stderr

        stderr.print(f"facestream: {error}", style="bold red", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()

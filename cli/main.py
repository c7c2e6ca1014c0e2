"""The `facestream` command: how a command is found and run, and how an error reaches a person."""

from __future__ import annotations

import gc
import logging
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli.commands import COMMANDS, Entry
from cli.streams import READER_GONE, OutputFailed, usable_streams
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
    """Run the command line. A FacestreamError ends as one line and exit code 1, and so does any other."""
    # Errors of Kafka reach people as our own line; a consumer's log has the client's lines as well.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    # It warns of a query that is given up because nobody reads its rows any more.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        with usable_streams(), _no_tracebacks():
            _run()
    except OutputFailed as failed:
        if failed.reader_gone:
            sys.exit(READER_GONE)
        _print_error(str(failed))
        sys.exit(1)


def _run() -> None:
    try:
        LazyGroup()()
    except FacestreamError as error:
        _print_error(str(error))
        sys.exit(1)
    except OutputFailed:
        raise
    except Exception as error:  # noqa: BLE001 - nobody reads a traceback but those who mend the program
        _print_error(f"{_in_one_line(error)} (unexpected: {_kept_traceback(error)} says where)")
        sys.exit(1)


@contextmanager
def _no_tracebacks() -> Iterator[None]:
    """What fails in another thread is one line too; what a library fails to clean up is nothing."""

    def report(failed: threading.ExceptHookArgs) -> None:
        error = failed.exc_value or SystemExit()
        if isinstance(error, Exception):
            name = failed.thread.name if failed.thread else "a thread"
            _print_error(f"{_in_one_line(error)} (unexpected, in {name}: {_kept_traceback(error)} says where)")

    earlier = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = report, lambda _: None
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = earlier


def _print_error(line: str) -> None:
    from cli.printing import stderr
    from settings.hiding import hidden

    stderr.print(f"facestream: {hidden(line)}", style="bold red", soft_wrap=True)


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _kept_traceback(error: Exception) -> str:
    """Write the traceback of an exception into a file; its name."""
    from settings.hiding import hidden

    try:
        descriptor, name = tempfile.mkstemp(prefix="facestream-", suffix=".traceback")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123 - a descriptor
            file.write(hidden("".join(traceback.format_exception(error))))
    except OSError as full:
        return f"no file, since none can be written ({full.strerror}),"
    return name


if __name__ == "__main__":
    main()

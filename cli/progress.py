"""The progress of the commands that take a while: a bar at a terminal, lines in a log file."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cli.printing import stderr


def progress_bar(label: str, last: ProgressColumn | None = None) -> Progress:
    """A bar on standard error with counts and the time elapsed. `last` is its last column: the time remaining."""
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, last or TimeRemainingColumn(), console=stderr)


class ProgressLines:
    """Progress where there is no terminal that a bar could be on: a line now and then, as long as something changes."""

    every_s = 30.0

    def __init__(self, console: Console = stderr, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._printed_at = clock()
        self._printed = ""

    def update(self, line: str) -> None:
        """Print this line, unless there is a terminal, the last line was the same, or printed a short while ago."""
        if self._console.is_terminal or line == self._printed or self._clock() < self._printed_at + self.every_s:
            return
        self._console.print(line, soft_wrap=True)
        self._printed, self._printed_at = line, self._clock()

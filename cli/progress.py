"""The progress bar of the commands that take a while."""

from __future__ import annotations

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

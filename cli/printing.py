"""Output: JSON lines for programs, tables and figures for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

console = Console()
"""Standard output: results."""

stderr = Console(stderr=True)
"""Standard error: errors and progress, so that standard output can be piped."""


def print_json(line: Mapping[str, object] | DataclassInstance) -> None:
    """Print one JSON object as one line; times as ISO 8601."""
    values = line if isinstance(line, Mapping) else asdict(line)
    print(json.dumps(values, default=str))  # noqa: T201 - standard output is the result


def print_rows(rows: Iterable[DataclassInstance]) -> None:
    """Print one JSON object a line; as `print_json`, floats rounded to six places."""
    for row in rows:
        values = asdict(row)
        print_json({name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()})


def print_line(text: str) -> None:
    """Print a line for a person as it is: without markup, colours or line breaks."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def identifier(header: str) -> Column:
    """A column of ids, which are not broken into lines."""
    return Column(header, no_wrap=True)


def number(header: str = "") -> Column:
    """A column of numbers."""
    return Column(header, justify="right")


def folded(header: str) -> Column:
    """A column of long texts without spaces, such as paths."""
    return Column(header, overflow="fold")


def print_values(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print a table of names and numbers."""
    table = Table(Column(), number(), show_header=False, title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def figure(value: float | None, digits: int = 3) -> str:
    """A number in a table; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def minute(time: datetime) -> str:
    """A time in a table, in the local time zone."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}"

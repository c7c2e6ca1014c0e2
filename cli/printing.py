"""Output: JSON lines for programs, tables and figures for people.

Names, notes, paths and uris come from people, and may hold anything. So nothing that is printed here is markup: square
brackets and colons are shown as they are, and control characters, which could steer a terminal, as escapes.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Control characters, lone surrogates (bytes that are not UTF-8), and those that reorder text, as of Unicode 9.
_ESCAPED_CATEGORIES = ("Cc", "Cs")
_BIDI_CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def shown(text: str) -> str:
    r"""The text with control characters as escapes (\x1b). Letters of all scripts stay as they are."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _ESCAPED_CATEGORIES or character in _BIDI_CONTROLS
        else character
        for character in text
    )


class PlainConsole(Console):
    """A console that shows each text as it is: every line, table cell and title passes through `render_str`."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - passed on
        """The text, as rich prints it."""
        return super().render_str(shown(text), **options)


console = PlainConsole()
"""Standard output: results."""

stderr = PlainConsole(stderr=True)
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
    """Print a line for a person, which the terminal breaks where it has to."""
    console.print(text, soft_wrap=True)


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

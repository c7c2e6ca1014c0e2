"""`facestream dead-letters`: the records that could not be used, and why."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from catalogue import reader
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, print_json


def dead_letters(
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many, the latest first.")] = 50,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The records that could not be used: which, by which consumer, and why."""
    with open_catalogue(load_settings(data), "dead-letters") as connection:
        letters = reader.dead_letters(connection, limit)
    if json_:
        for letter in letters:
            print_json(letter)
        return
    if not letters:
        console.print("no dead letters")
        return
    table = Table("record", "key", "consumer", "reason")
    for letter in letters:
        record = f"{letter.topic} {letter.partition}/{letter.offset}"
        table.add_row(record, letter.key or "", letter.consumer, letter.reason)
    console.print(table)

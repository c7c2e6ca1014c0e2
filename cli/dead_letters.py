"""`facestream dead-letters`: the records that could not be used, and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from catalogue import reader
from catalogue.connection import connect
from cli.common import Data, Json, archive, console, load_settings


def dead_letters(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 50,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The records that could not be used: which, by whom they were given up, and why."""
    with (
        archive(load_settings(data), kafka=False, command="dead-letters") as settings,
        connect(settings.database) as connection,
    ):
        letters = reader.dead_letters(connection, limit)
    if json_:
        for letter in letters:
            print(json.dumps(asdict(letter), default=str))  # noqa: T201 - standard output is the result
        return
    if not letters:
        console.print("no dead letters")
        return
    table = Table("record", "key", "consumer", "reason")
    for letter in letters:
        place = f"{letter.topic} {letter.partition}/{letter.offset}"
        table.add_row(place, letter.key or "", letter.consumer, letter.reason)
    console.print(table)

"""`facestream next`: the face to name next."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from catalogue import suggestions
from catalogue.connection import connect
from cli.common import Data, Json, archive, console, load_settings
from cli.printing import print_json


def next_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many faces, each of another cluster.")] = 10,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The faces whose naming would settle most others, each of another cluster, the most informative first."""
    with (
        archive(load_settings(data), kafka=False, command="next") as settings,
        connect(settings.database) as connection,
    ):
        found = suggestions.next_faces(connection, limit)
    if json_:
        print_json(found)
        return
    table = Table()
    table.add_column("face", no_wrap=True)
    table.add_column("settles", justify="right")
    table.add_column("of", justify="right")
    table.add_column("named", justify="right")
    table.add_column("scan", overflow="fold")
    for it in found:
        table.add_row(it.face_id, f"{it.others:,}", f"{it.size:,}", f"{it.named:,}", it.scan_id)
    console.print(table)

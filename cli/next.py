"""`facestream next`: the face to name next."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from catalogue import suggestions
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, folded, identifier, number, print_rows


def next_(
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many faces, each of another cluster.")] = 10,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The faces whose names would settle most others, each of another cluster, the most informative first."""
    with open_catalogue(load_settings(data), "next") as connection:
        faces = suggestions.next_faces(connection, limit)
    if json_:
        print_rows(faces)
        return
    table = Table(identifier("face"), number("settles"), number("of"), number("named"), folded("scan"))
    for face in faces:
        table.add_row(face.face_id, f"{face.others:,}", f"{face.size:,}", f"{face.named:,}", face.scan_id)
    console.print(table)

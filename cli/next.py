"""`facestream next`: the face to name next."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from catalogue import suggestions
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, folded, identifier, number, print_json


def next_(
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many faces, each of another cluster.")] = 10,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The faces whose names would settle most others, each of another cluster, the most informative first."""
    with open_catalogue(load_settings(data), "next") as connection:
        faces = suggestions.next_faces(connection, limit)
    if json_:
        for face in faces:
            print_json(_as_json(face))
        return
    table = Table(identifier("face"), number("settles"), number("of"), number("named"), folded("scan"))
    for face in faces:
        table.add_row(face.face_id, f"{face.others:,}", f"{face.size:,}", f"{face.named:,}", face.scan_id)
    console.print(table)


def _as_json(face: suggestions.NextFace) -> dict[str, object]:
    """The fields are called as the columns of the table; the others are for programs."""
    return {
        "face_id": face.face_id,
        "settles": face.others,
        "of": face.size,
        "named": face.named,
        "scan_id": face.scan_id,
        "uri": face.uri,
        "cluster_id": face.cluster_id,
        "unsettled": round(face.unsettled, 6),
    }

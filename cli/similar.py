"""`facestream similar`: the faces nearest to one face."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from catalogue import reader
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.options import Data, FaceId, Json
from cli.printing import console, folded, identifier, number, print_json


def similar(
    face_id: FaceId,
    k: Annotated[int, typer.Option("--k", min=1, max=reader.MOST_NEIGHBOURS, help="How many faces.")] = 10,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The faces nearest to a face, whatever their cluster, with their distance from it."""
    with open_catalogue(load_settings(data), "similar") as connection:
        nearest = reader.similar(connection, reader.face_id_of(connection, face_id), k)
    if json_:
        for neighbour in nearest:
            face = neighbour.face
            print_json(
                {
                    "face_id": face.face_id,
                    "distance": round(neighbour.distance, 6),
                    "scan_id": face.scan_id,
                    "uri": face.uri,
                    "box": face.box.model_dump(),
                    "cluster_id": face.cluster_id,
                }
            )
        return
    table = Table(identifier("face"), number("distance"), folded("scan"), identifier("cluster"))
    for neighbour in nearest:
        face = neighbour.face
        cluster = face.cluster_id or face.role or "not clustered yet"
        table.add_row(face.face_id, f"{neighbour.distance:.3f}", face.scan_id, cluster)
    console.print(table)

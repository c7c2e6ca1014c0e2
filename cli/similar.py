"""`facestream similar`: the faces nearest to one face."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from catalogue import reader
from catalogue.connection import connect
from cli.common import Data, Json, archive, console, load_settings


def similar(
    face_id: Annotated[
        str, typer.Argument(metavar="FACE_ID", help="A face's id, or a beginning of it that no other face has.")
    ],
    k: Annotated[int, typer.Option("--k", min=1, max=reader.MOST_NEIGHBOURS, help="How many faces.")] = 10,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The faces nearest to a face, whatever their cluster, with their distance from it."""
    with (
        archive(load_settings(data), kafka=False, command="similar") as settings,
        connect(settings.database) as connection,
    ):
        found = reader.similar(connection, reader.face_id_of(connection, face_id), k)
    if json_:
        for it in found:
            face = it.face
            line = {
                "face_id": face.face_id,
                "distance": round(it.distance, 6),
                "scan_id": face.scan_id,
                "uri": face.uri,
                "box": face.box.model_dump(),
                "cluster_id": face.cluster_id,
            }
            print(json.dumps(line))  # noqa: T201 - standard output is the result
        return
    table = Table()
    table.add_column("face", no_wrap=True)
    table.add_column("distance", justify="right")
    table.add_column("scan", overflow="fold")
    table.add_column("cluster", no_wrap=True)
    for it in found:
        where = it.face.cluster_id or it.face.role or "not clustered yet"
        table.add_row(it.face.face_id, f"{it.distance:.3f}", it.face.scan_id, where)
    console.print(table)

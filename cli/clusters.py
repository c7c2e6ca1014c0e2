"""`facestream clusters`: the clusters of the catalogue, the largest first."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from psycopg import Connection
from rich.table import Table

from catalogue import reader
from catalogue.connection import connect
from cli.common import Data, Json, console, load_settings
from local.services import services

_SHOWN = 20


def clusters(
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many clusters.", show_default=f"{_SHOWN}, or all with --json"),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The clusters, the largest first: their faces, scans, and the names given in them. Noise is in none."""
    with (
        services(load_settings(data), kafka=False, command="clusters") as settings,
        connect(settings.database) as connection,
    ):
        if json_:
            _print_json(connection, limit)
        else:
            _print_table(connection, limit or _SHOWN)


def _print_json(connection: Connection, limit: int | None) -> None:
    for faces in reader.faces_of_clusters(connection, limit):
        line = {
            "cluster_id": faces[0].cluster_id,
            "size": len(faces),
            "faces": [
                {"face_id": face.face_id, "scan_id": face.scan_id, "uri": face.uri, "box": face.box.model_dump()}
                for face in faces
            ],
        }
        print(json.dumps(line))  # noqa: T201 - standard output is the result


def _print_table(connection: Connection, limit: int) -> None:
    counts = reader.counts(connection)
    shown = reader.clusters(connection, limit)
    table = Table(title=f"Faces: {counts.faces:,}, clusters: {counts.clusters:,}")
    table.add_column("cluster", no_wrap=True)
    table.add_column("faces", justify="right")
    table.add_column("scans", justify="right")
    table.add_column("named", overflow="fold")
    table.add_column("on the scan", overflow="fold")
    for cluster in shown:
        table.add_row(
            cluster.cluster_id,
            f"{cluster.size:,}",
            f"{cluster.scans:,}",
            ", ".join(cluster.label_ids),
            cluster.example_scan_id,
        )
    console.print(table)
    if counts.noise:
        console.print(f"faces in no cluster (noise): {counts.noise:,}")
    if counts.clusters > len(shown):
        console.print(f"more clusters, which a larger --limit shows: {counts.clusters - len(shown):,}")

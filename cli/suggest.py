"""`facestream suggest`: the names that a face may have."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from catalogue import reader, suggestions
from catalogue.connection import connect
from cli.common import Data, Json, archive, console, load_settings
from cli.deciding import FaceId
from cli.printing import figure, print_json
from errors import UserError


def suggest(
    face_id: FaceId,
    radius: Annotated[
        float | None, typer.Option(min=0, help="Look at the faces up to this distance.", show_default="eps_max")
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("--k", min=1, max=reader.MOST_NEIGHBOURS, help="Look at the k nearest faces.", show_default=False),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The names that a face may have: those of its cluster, and those of the faces near it, whatever their cluster."""
    if radius is not None and k is not None:
        raise UserError("--radius and --k say the same in two ways: give one of them")
    settings = load_settings(data)
    if k is None and radius is None:
        radius = settings.clustering.eps_max
    with (
        archive(settings, kafka=False, command="suggest") as running,
        connect(running.database) as connection,
    ):
        face = reader.face_id_of(connection, face_id)
        found = suggestions.names_near(connection, face, radius, k or reader.MOST_NEIGHBOURS)
    if json_:
        print_json(found)
        return
    table = Table("name", title=f"Names near face {face}")
    table.add_column("in its cluster", justify="right")
    for kind in ("named", "proposed"):
        table.add_column(kind, justify="right")
        table.add_column("nearest", justify="right")
    for it in found:
        table.add_row(
            it.name,
            figure(it.probability, 4),
            f"{it.hard:,}",
            figure(it.nearest_hard),
            f"{it.soft:,}",
            figure(it.nearest_soft),
        )
    console.print(table)

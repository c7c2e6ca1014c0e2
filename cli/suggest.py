"""`facestream suggest`: the names that a face may have."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from catalogue import reader, suggestions
from cli.archive import open_catalogue
from cli.common import largest_euclidean, load_settings
from cli.options import Data, FaceId, Json
from cli.printing import console, figure, number, print_line, print_rows
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
        raise UserError("--radius and --k exclude each other: give one of them")
    settings = load_settings(data)
    with open_catalogue(settings, "suggest") as connection:
        if k is None and radius is None:
            radius = largest_euclidean(settings, connection)
        face = reader.face_id_of(connection, face_id)
        names = suggestions.names_near(connection, face, radius, k or reader.MOST_NEIGHBOURS)
    if json_:
        print_rows(names)
        return
    if not names:
        where = f"within {radius} of it" if radius is not None else f"among the {k} faces nearest to it"
        print_line(f"no name is proposed for face {face}: nobody was named in its cluster, nor {where}")
        return
    table = Table(
        *("name", number("in its cluster"), number("named"), number("nearest"), number("proposed"), number("nearest")),
        title=f"Names near face {face}",
    )
    for name in names:
        table.add_row(
            name.name + (f" (not sure, asked again {name.not_sure_until:%Y-%m-%d})" if name.not_sure_until else ""),
            figure(name.probability, 4),
            f"{name.hard:,}",
            figure(name.nearest_hard),
            f"{name.soft:,}",
            figure(name.nearest_soft),
        )
    console.print(table)

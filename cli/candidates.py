"""`facestream candidates`: the faces that a name may belong to."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from catalogue import decisions, suggestions
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.options import Data, Json, KnownName
from cli.printing import console, figure, folded, identifier, number, print_line, print_rows
from decisions.people import known_person


def candidates(
    name: KnownName,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many faces.")] = 20,
    radius: Annotated[
        float | None,
        typer.Option(
            min=0, help="Largest distance of faces in other clusters from a face of that name.", show_default="eps_max"
        ),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The unnamed faces that are most likely a person's, best first: of the person's clusters, then of others."""
    settings = load_settings(data)
    within = settings.clustering.largest_euclidean if radius is None else radius
    with open_catalogue(settings, "candidates") as connection:
        person = known_person(name, decisions.known_labels(connection))
        faces = suggestions.candidates(connection, person.label_id, within, limit)
    if json_:
        print_rows(faces)
        return
    if not faces:
        print_line(f"no face without a name may be {person.name} ({person.label_id}) within {within}")
        return
    table = Table(
        *(identifier("face"), number("probability"), number("distance"), folded("scan")),
        title=f"Faces that may be {person.name} ({person.label_id})",
    )
    for face in faces:
        table.add_row(face.face_id, figure(face.probability, 4), f"{face.distance:.3f}", face.scan_id)
    console.print(table)

"""`facestream candidates`: the faces that a name may belong to, and the clusters, where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from catalogue import decisions, suggestions
from catalogue.candidate_clusters import CandidateCluster, candidate_clusters
from cli.archive import open_catalogue
from cli.common import largest_euclidean, load_settings
from cli.options import Data, Json, KnownName
from cli.printing import console, figure, folded, identifier, number, print_line, print_rows
from decisions.people import known_person


def candidates(
    name: KnownName,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many faces, and as many clusters.")] = 20,
    radius: Annotated[
        float | None,
        typer.Option(
            min=0, help="Largest distance of faces in other clusters from a face of that name.", show_default="eps_max"
        ),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The unnamed faces that are most likely a person's, best first: of the person's clusters, then of others.

    Where these are several clusters, each is proposed as a whole, too.
    """
    settings = load_settings(data)
    with open_catalogue(settings, "candidates") as connection:
        within = largest_euclidean(settings, connection) if radius is None else radius
        person = known_person(name, decisions.known_labels(connection))
        faces = suggestions.candidates(connection, person.label_id, within, limit)
        clusters = candidate_clusters(connection, person.label_id, within, limit)
    if json_:
        print_rows(faces)
        # After the faces: whoever reads only these stops at the first row with the field `faces`.
        print_rows(clusters)
        return
    if not faces:
        print_line(f"no face without a name may be {person.name} ({person.label_id}) within {within}")
        return
    if clusters:
        console.print(_cluster_table(f"Clusters that may be {person.name} ({person.label_id})", clusters))
    table = Table(
        *(identifier("face"), number("probability"), number("distance"), folded("scan")),
        title=f"Faces that may be {person.name} ({person.label_id})",
    )
    for face in faces:
        table.add_row(face.face_id, figure(face.probability, 4), figure(face.distance), face.scan_id)
    console.print(table)


def _cluster_table(title: str, clusters: Sequence[CandidateCluster]) -> Table:
    columns = (identifier("cluster"), number("faces"), number("probability"), number("distance"), folded("scan"))
    table = Table(*columns, title=title)
    for it in clusters:
        cells = f"{it.faces:,}", figure(it.probability, 4), figure(it.distance)
        table.add_row(it.cluster_id, *cells, it.scan_id)
    return table

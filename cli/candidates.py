"""`facestream candidates`: the faces that a name may belong to."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from catalogue import decisions, suggestions
from catalogue.connection import connect
from cli.common import Data, Json, archive, console, load_settings
from cli.printing import figure, print_json
from decisions.holding import Person
from decisions.people import known_person


def candidates(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of a person who was named, or their label id.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many faces.")] = 20,
    radius: Annotated[
        float | None,
        typer.Option(
            min=0, help="How far from a face of that name those of other clusters may be.", show_default="eps_max"
        ),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The faces without a name that are most likely a person's, best first, of their clusters and then of others."""
    settings = load_settings(data)
    reach = settings.clustering.eps_max if radius is None else radius
    with (
        archive(settings, kafka=False, command="candidates") as running,
        connect(running.database) as connection,
    ):
        people = {it.label_id: Person(it.label_id, it.name, it.authority) for it in decisions.people(connection)}
        person = known_person(name, people)
        found = suggestions.candidates(connection, person.label_id, reach, limit)
    if json_:
        print_json(found)
        return
    table = Table(title=f"Faces that may be {person.name} ({person.label_id})")
    table.add_column("face", no_wrap=True)
    table.add_column("probability", justify="right")
    table.add_column("distance", justify="right")
    table.add_column("scan", overflow="fold")
    for it in found:
        table.add_row(it.face_id, figure(it.probability, 4), f"{it.distance:.3f}", it.scan_id)
    console.print(table)

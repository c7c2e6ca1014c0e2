"""`facestream people`: everybody who was named."""

from __future__ import annotations

from rich.table import Table

from catalogue import decisions
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, folded, number, print_rows


def people(data: Data = None, json_: Json = False) -> None:
    """Everybody who was named, with how many faces have the name and for how many it is proposed."""
    with open_catalogue(load_settings(data), "people") as connection:
        named = decisions.people(connection)
    if json_:
        print_rows(named)
        return
    table = Table(
        *("name", folded("label"), number("named"), number("proposed"), folded("authority")),
        title=f"People: {len(named):,}",
    )
    for person in named:
        table.add_row(person.name, person.label_id, f"{person.hard:,}", f"{person.soft:,}", person.authority or "")
    console.print(table)

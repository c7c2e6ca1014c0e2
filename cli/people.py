"""`facestream people`: everybody who was named."""

from __future__ import annotations

from rich.table import Table

from catalogue import decisions
from catalogue.connection import connect
from cli.common import Data, Json, archive, console, load_settings
from cli.printing import print_json


def people(data: Data = None, json_: Json = False) -> None:
    """Everybody who was named, with how many faces people gave the name and for how many it is proposed."""
    with (
        archive(load_settings(data), kafka=False, command="people") as settings,
        connect(settings.database) as connection,
    ):
        found = decisions.people(connection)
    if json_:
        print_json(found)
        return
    table = Table("name", title=f"People: {len(found):,}")
    table.add_column("label", overflow="fold")
    table.add_column("named", justify="right")
    table.add_column("proposed", justify="right")
    table.add_column("authority", overflow="fold")
    for it in found:
        table.add_row(it.name, it.label_id, f"{it.hard:,}", f"{it.soft:,}", it.authority or "")
    console.print(table)

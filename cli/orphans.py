"""`facestream orphans`: what was decided about faces that are not there."""

from __future__ import annotations

from rich.table import Table

from catalogue import decisions
from catalogue.connection import connect
from cli.common import Data, Json, archive, console, load_settings
from cli.printing import print_json
from decisions.wording import predicate


def orphans(data: Data = None, json_: Json = False) -> None:
    """The decisions that hold about faces that are not in the catalogue. None is dropped.

    A face is not there when its scan was withdrawn, when a later analysis did not find it again, or when it has not
    come yet. When it comes, what was decided takes effect.
    """
    with (
        archive(load_settings(data), kafka=False, command="orphans") as settings,
        connect(settings.database) as connection,
    ):
        found = decisions.orphans(connection)
    if json_:
        print_json(found)
        return
    table = Table(title=f"Decisions about faces that are not there: {len(found):,}")
    table.add_column("face", no_wrap=True)
    table.add_column("decided")
    table.add_column("by")
    table.add_column("what")
    table.add_column("decision", no_wrap=True)
    for it in found:
        other = it.other_face_id if it.missing_face_id == it.face_id else it.face_id
        what = predicate(it.kind, it.name, other)
        table.add_row(
            it.missing_face_id, f"{it.decided_at.astimezone():%Y-%m-%d %H:%M}", it.author, what, it.decision_id
        )
    console.print(table)
    if found:
        console.print("they are kept, and take effect when the face comes (again)")

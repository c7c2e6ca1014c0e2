"""`facestream orphans`: decisions about faces that are not in the catalogue."""

from __future__ import annotations

from rich.table import Table

from catalogue import decisions
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, identifier, minute, print_rows
from decisions.wording import predicate


def orphans(data: Data = None, json_: Json = False) -> None:
    """The decisions that hold about faces that are not in the catalogue. None is dropped.

    A face is missing when its scan was withdrawn, when a later analysis did not find it again, or when it is not
    analysed yet. Once the face is in the catalogue, the decision takes effect.
    """
    with open_catalogue(load_settings(data), "orphans") as connection:
        orphaned = decisions.orphans(connection)
    if json_:
        print_rows(orphaned)
        return
    table = Table(
        *(identifier("face"), "decided", "by", "what", identifier("decision")),
        title=f"Decisions about faces that are not there: {len(orphaned):,}",
    )
    for row in orphaned:
        other = row.other_face_id if row.missing_face_id == row.face_id else row.face_id
        what = predicate(row.kind, row.name, other)
        table.add_row(row.missing_face_id, minute(row.decided_at), row.author, what, row.decision_id)
    console.print(table)
    if orphaned:
        console.print("they are kept, and take effect when the face is in the catalogue (again)")

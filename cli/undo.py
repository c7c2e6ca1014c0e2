"""`facestream undo` and `history`: taking decisions back, and what was ever decided about a face."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from cli.common import Data, Json, console
from cli.deciding import Author, Desk, FaceId, Fields, Note, decide_and_tell, desk
from producers.decisions import decision_of
from producers.words import told
from schemas.labels import Decision, DecisionUndone


def undo(
    decision_id: Annotated[
        str,
        typer.Argument(metavar="DECISION_ID", help="A decision's id, or a beginning of it that no other decision has."),
    ],
    author: Author,
    note: Note = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Take a decision back: what was decided before holds again. To undo the undo restores the decision."""

    def make(at: Desk, fields: Fields) -> Decision:
        return DecisionUndone(**fields, undone_decision_id=decision_of(at.held, decision_id).decision_id)

    decide_and_tell(make, command="undo", author=author, note=note, data=data, json_=json_)


def history(face_id: FaceId, data: Data = None, json_: Json = False) -> None:
    """Everything that was ever decided about a face, the earliest first, undone decisions and undos among it."""
    with desk(data, "history") as at:
        # A face that has vanished is not in the catalogue; `orphans` gives its whole id.
        vanished = any(face_id in it.face_ids for it in at.held)
        face = face_id if vanished else at.face_id(face_id)
        decisions, people = at.held.history(face), at.held.people()
        holding = {it.decision_id for it in decisions if at.held.holds(it)}
    if json_:
        for it in decisions:
            line = {"kind": it.kind, "holds": it.decision_id in holding} | it.model_dump(mode="json", exclude_none=True)
            print(json.dumps(line))  # noqa: T201 - standard output is the result
        return
    if not decisions:
        console.print(f"nothing was decided about face {face}", markup=False, highlight=False, soft_wrap=True)
        return
    table = Table("decided", "by", "what", "note", title=f"Face {face}")
    table.add_column("decision", no_wrap=True)
    table.add_column("holds")
    for it in decisions:
        when = f"{it.decided_at.astimezone():%Y-%m-%d %H:%M}"
        holds = "yes" if it.decision_id in holding else "undone"
        table.add_row(when, it.author, told(it, people), it.note or "", it.decision_id, holds)
    console.print(table)
